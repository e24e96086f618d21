"""JSONata as Step Functions evaluates it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bulwark.local.stepfunctions.jsonata import QueryError, compile_expression

INPUT = {"n": None, "one": [1], "none": [], "items": [{"a": 1}, {"a": 2}], "flag": False, "text": "hé"}


def evaluate(source, **variables):
    return compile_expression(source).evaluate({"input": INPUT, "context": {"E": {"Id": "x"}}}, variables)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("$states.input.n", None),
        ("$states.input.one", [1]),
        ("$states.input.none", []),
        ("$states.input.items.a", [1, 2]),
        ("$states.input.items[a = 2].a", 2),
        ("$states.input.flag", False),
        ("$states.context.E.Id", "x"),
        ("{'n': $states.input.n, 'missing': $states.input.missing}", {"n": None}),
        ("[$states.input.n, null]", [None, None]),
        ("$exists($states.input.n)", True),
        ("$exists($states.input.missing)", False),
        ("$v.deep.n", None),
        ("$v.list[1]", None),
        ("$count($v.list)", 2),
        ("$null = null", True),
        ("$exists($null)", True),
        ("{'a': $null}", {"a": None}),
        ("$map($v.list, function($i) { $i })", [1, None]),
        ("6 / 2", 3),
        ("5 / 2", 2.5),
        ("$sum([0.5, 0.5])", 1),
        ("[1..3]", [1, 2, 3]),
        ("$partition([1, 2, 3, 4, 5], 2)", [[1, 2], [3, 4], [5]]),
        ("$range(0, 10, 5)", [0, 5, 10]),
        ("$range(3, 1, -1)", [3, 2, 1]),
        ("$parse('{\"a\": [1, null]}').a", [1, None]),
        ("$hash('abc', 'SHA-256')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("$random(7) = $random(7)", True),
        ("$length($uuid())", 36),
        ("$map($states.input.items, function($i) { $i.a * $v.factor })", [10, 20]),
    ],
)
def test_an_expression_gives_what_aws_gives(source, value):
    result = evaluate(source, null=None, v={"deep": {"n": None}, "list": [1, None], "factor": 10})

    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("$states.input.missing", "undefined"),
        ("$states.result", "undefined"),
        ("$unknown", "undefined"),
        ("$states.input.text + 1", "threw an error"),
        ("$eval('1')", r"\$eval is not supported"),
        ("$parse('{')", "threw an error"),
        ("$range(1, 2, 0)", "step"),
        ("function($x) { $x }", "unsupported result type"),
        ("$hash('a', 'CRC')", "threw an error"),
    ],
)
def test_an_expression_without_a_json_value_is_an_error(source, reason):
    with pytest.raises(QueryError, match=reason):
        evaluate(source)


def test_an_invalid_expression_does_not_compile():
    with pytest.raises(QueryError, match="not valid"):
        compile_expression("$states.input.(")


def test_threads_do_not_mix_their_variables():
    expression = compile_expression("$sum($map([1..20], function($i) { $i * $v }))")

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda v: expression.evaluate({}, {"v": v}), range(200)))

    assert results == [210 * v for v in range(200)]


def test_the_clock_is_read_anew_by_each_evaluation():
    clock, other = compile_expression("$millis()"), compile_expression("1 + 1")

    other.evaluate({}, {})
    time.sleep(0.02)
    before = int(time.time() * 1000)

    assert clock.evaluate({}, {}) >= before
