"""domain/inference/confidence.py: signals at hand, and one number out of them."""

import pytest
from converse import converse_result, grounding
from hypothesis import given
from hypothesis import strategies as st
from linear import assert_linear

from domain.inference.answers import Answer
from domain.inference.confidence import NEUTRAL, confidence_of, signals_of
from domain.policy import ConfidenceScore

FLOATS = st.floats(-1e6, 1e6)


def signals(text: str, scores=(), **more) -> dict[str, float]:
    return signals_of(Answer.from_converse(converse_result(text, **more)), scores)


def test_what_is_unknown_is_left_out():
    assert not {"grounding", "relevance", "stated_confidence", "retrieval"} & signals("Eleven hours.").keys()


def test_what_is_known_is_a_signal():
    found = signals("Eleven hours.\nConfidence: 0.8", [0.3, 0.6], guardrail=grounding(0.9, 0.7))

    assert (found["grounding"], found["relevance"]) == (0.9, 0.7)
    assert (found["stated_confidence"], found["retrieval"]) == (0.8, 0.6)


@pytest.mark.parametrize(
    ("text", "hedging"),
    [("I don't know.", 1.0), ("I'm sorry, but no.", 1.0), ("Eleven hours.", 0.0), ("Indonesia can.", 0.0)],
)
def test_hedging_is_heard(text, hedging):
    assert signals(text)["hedging"] == hedging


@given(st.text())
def test_any_text_has_finite_signals(text):
    assert all(isinstance(value, float) and abs(value) < 1e6 for value in signals(text).values())


@pytest.mark.parametrize("run", [" ", "\n", ".", "- ", "1", "I ", "a, B", "\n\n- a"])
def test_a_model_that_repeats_itself_is_judged_in_no_time(run):
    assert_linear(lambda size: signals("a" + run * (size // len(run)) + "b"), 100_000)


@given(st.dictionaries(st.sampled_from([*NEUTRAL, "hedging"]), FLOATS), FLOATS, FLOATS)
def test_confidence_is_a_probability(found, intercept, weight):
    score = ConfidenceScore(intercept, {name: weight for name in [*NEUTRAL, "hedging"]})

    assert 0 <= confidence_of(found, score) <= 1


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 10))
def test_more_of_a_good_signal_is_never_less_confidence(low, high, weight):
    low, high = sorted((low, high))
    score = ConfidenceScore(-2, {"grounding": weight})

    assert confidence_of({"grounding": low}, score) <= confidence_of({"grounding": high}, score)


@pytest.mark.parametrize("name", sorted(NEUTRAL))
def test_absence_is_no_evidence(name):
    score = ConfidenceScore(0.3, {name: 2.0})

    assert confidence_of({}, score) == confidence_of({name: NEUTRAL[name]}, score)


def test_a_score_without_weights_is_its_intercept():
    assert confidence_of({"grounding": 1.0}, ConfidenceScore(0, {})) == 0.5
