"""Holds the house to the limits of bench/house.py: what the template deploys, and what a reader takes in at one go."""

import json

import pytest

from bench import house

LIMITS = house.LIMITS


@pytest.fixture(scope="module")
def transformed() -> dict:
    return house.transformed()


def test_what_sam_makes_of_the_template_leaves_cloudformation_room(transformed, capsys):
    resources, outputs = len(transformed["Resources"]), len(transformed["Outputs"])
    kilobytes = house.kilobytes(transformed)
    with capsys.disabled():
        print(f"\nSAM gives {resources} resources, {kilobytes} KB, {outputs} outputs")

    assert resources <= LIMITS["resources"]
    assert kilobytes <= LIMITS["transformed_kb"]
    assert outputs <= LIMITS["outputs"]


def test_no_fragment_of_the_template_is_too_long():
    assert house.too_long(house.fragments(), LIMITS["longest_fragment"]) == {}, "cut it: box_part.yaml"


def test_no_handler_is_too_long():
    assert house.too_long(house.handlers(), LIMITS["longest_handler"]) == {}


def test_no_module_is_too_long():
    assert house.too_long(house.modules(), LIMITS["longest_module"]) == {}


def test_lengths_are_of_what_a_reader_sees(tmp_path):
    (tmp_path / "act.py").write_text(
        '"""Act."""\n\n\n@logged\ndef handler(event, context):\n    a = 1\n\n    return a\n'
    )

    assert house.handlers(tmp_path) == {"act.py:5": 4}
    assert house.modules(tmp_path) == {"act.py": 8}
    assert house.too_long({"short": 3, "long": 4}, 3) == {"long": 4}


@pytest.mark.parametrize(("limit", "code"), [(10**6, 0), (1, 1)])
def test_the_bench_fails_where_a_limit_is_broken_and_ends_with_one_line_of_json(monkeypatch, capsys, limit, code):
    monkeypatch.setattr(house, "LIMITS", {**dict.fromkeys(LIMITS, 10**6), "longest_fragment": limit})

    assert house.main() == code
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last.keys() == {*LIMITS, "longest"}
