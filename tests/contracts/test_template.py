"""Holds template.yaml to the fragments that it is made from, and their joining to its promises."""

import pytest

from template import join


def written(folder, fragments: dict[str, str]):
    for name, text in fragments.items():
        (folder / name).write_text(text)
    return folder


def test_template_yaml_is_what_its_fragments_make():
    assert join.TEMPLATE.read_text() == join.joined(), "change the fragment, then run: make template"


def test_template_yaml_says_first_where_it_comes_from():
    assert join.TEMPLATE.read_text().splitlines()[0] == join.FIRST_LINE
    assert "template/" in join.FIRST_LINE and "make template" in join.FIRST_LINE


ROOT = """
Transform: S
# About what comes.

Conditions:
  IsProd: true

Resources:
  Layer:
    # Inside.
    Type: T
"""
REVIEWS = """
# reviews: waits.

Resources:
  # A reason.
  Review: { Type: T }

Outputs:
  Review: { Value: 1 }
"""


def test_each_section_has_the_fragments_in_the_boxes_order_with_all_their_words(tmp_path):
    routes = "Resources:\n  Route: { Type: T }\n"

    text = join.joined(written(tmp_path, {"reviews_routes.yaml": routes, "reviews.yaml": REVIEWS, "root.yaml": ROOT}))

    assert [line for line in text.splitlines() if line] == [
        join.FIRST_LINE,
        "Transform: S",
        "# About what comes.",
        "Conditions:",
        "  # --- template/root.yaml",
        "  IsProd: true",
        "Resources:",
        "  # --- template/root.yaml",
        "  Layer:",
        "    # Inside.",
        "    Type: T",
        "  # --- template/reviews.yaml",
        "  # reviews: waits.",
        "  # A reason.",
        "  Review: { Type: T }",
        "  # --- template/reviews_routes.yaml",
        "  Route: { Type: T }",
        "Outputs:",
        "  # --- template/reviews.yaml",
        "  Review: { Value: 1 }",
    ]


@pytest.mark.parametrize("section", ["Parameters", "Conditions", "Globals", "Resources", "Outputs"])
@pytest.mark.parametrize("spelling", ["Twice:", '"Twice":', "Twice: { Value: 2 }"])
def test_a_name_that_two_fragments_give_is_refused_and_both_are_named(tmp_path, section, spelling):
    once = f"{section}:\n  Twice:\n    Value: 1\n"
    written(tmp_path, {"root.yaml": once, "reviews.yaml": f"{section}:\n  Other: 1\n  {spelling}\n"})

    with pytest.raises(join.NotJoined, match=rf"{section}\.Twice stands in root.yaml and in reviews.yaml"):
        join.joined(tmp_path)


def test_a_name_that_one_fragment_gives_twice_is_refused(tmp_path):
    written(tmp_path, {"reviews.yaml": "Resources:\n  Twice: 1\n\nOutputs:\n  Other: 1\n\nResources:\n  Twice: 2\n"})

    with pytest.raises(join.NotJoined, match="Resources.Twice stands in reviews.yaml and in reviews.yaml"):
        join.joined(tmp_path)


def test_what_has_no_names_stands_once(tmp_path):
    written(tmp_path, {"root.yaml": "Transform: S\n", "reviews.yaml": "Transform: S\n"})

    with pytest.raises(join.NotJoined, match="Transform stands in root.yaml and in reviews.yaml"):
        join.joined(tmp_path)


def test_an_output_may_be_called_like_the_resource_it_tells_of(tmp_path):
    written(tmp_path, {"stores.yaml": "Resources:\n  Table: 1\n\nOutputs:\n  Table: 2\n"})

    assert "Outputs:" in join.joined(tmp_path)


def test_a_fragment_of_no_box_is_refused(tmp_path):
    written(tmp_path, {"reviewing.yaml": "Resources:\n"})

    with pytest.raises(join.NotJoined, match="reviewing.yaml is of no box"):
        join.joined(tmp_path)


def test_check_writes_nothing_and_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(join, "TEMPLATE", tmp_path / "template.yaml")
    monkeypatch.setattr("sys.argv", ["join.py", "--check"])
    join.TEMPLATE.write_text(join.joined() + "# by hand\n")

    assert join.main() == 1
    assert "make template" in capsys.readouterr().err
    assert join.TEMPLATE.read_text().endswith("# by hand\n")

    monkeypatch.setattr("sys.argv", ["join.py"])
    assert join.main() == 0
    monkeypatch.setattr("sys.argv", ["join.py", "--check"])
    assert join.main() == 0
