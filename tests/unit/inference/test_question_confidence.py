"""domain/inference/confidence.py: what a question and its answer show in their words, and the shipped score of it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear import assert_linear

from domain.inference import confidence
from domain.inference.answers import Answer
from domain.inference.confidence import MAX_SHARES, confidence_of, query_signals, signals_of
from domain.policy import ConfidenceScore

SHIPPED = json.loads((Path(__file__).parents[3] / "policies/runtime.json").read_text(encoding="utf-8"))
OPEN_QUESTION = ConfidenceScore(**SHIPPED["confidence"]["open_question"])


def signals(text: str, query: dict | None = None) -> dict[str, float]:
    return signals_of(Answer(text, "end_turn", 20, 8, None, None, None, (), True), (), query)


@pytest.mark.parametrize(
    ("text", "signal", "value"),
    [
        ("As an AI language model, no.", "speaks_as_ai", 1.0),
        ("Eleven hours.", "speaks_as_ai", 0.0),
        ("Could you share the table?", "asks_back", 1.0),
        ("It has 4.5 million people.", "figures", 1.0),
        ("It has 12 floors.", "figures", 0.0),
        ("I don’t know.", "hedging", 1.0),
        ("Maybe.", "tentative", 0.0),
        ("It could.", "tentative", MAX_SHARES["tentative"]),
    ],
)
def test_an_answer_shows_its_signals(text, signal, value):
    assert signals(text)[signal] == value


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Write a tale of hope", (0.0, 0.2, 0.0)),
        ("WHO wrote it?", (1.0, 0.0, 0.0)),
        ("Summarise https://example.com/", (0.0, 0.0, 1.0)),
        ("", (0.0, 0.0, 0.0)),
    ],
)
def test_a_question_shows_its_signals(query, found):
    assert tuple(query_signals(query).values()) == found


def test_a_questions_signals_join_the_answers():
    assert signals("Yes.", query_signals("Who?"))["query_asks_fact"] == 1.0
    assert not any(name.startswith("query") for name in signals("Yes."))


def test_the_shipped_score_weighs_only_signals_there_are():
    assert set(OPEN_QUESTION.weights) <= signals("Yes.", query_signals("Who?")).keys()


def test_the_shipped_threshold_is_within_reach_and_not_free():
    threshold = SHIPPED["use_cases"]["general_question"]["confidence_threshold"]
    prose = confidence_of(signals("A stone can be a gift.", query_signals("Write a line on a stone")), OPEN_QUESTION)
    claim = confidence_of(
        signals("As an AI language model, I guess 4.5 million.", query_signals("What is the number?")),
        OPEN_QUESTION,
    )

    assert claim < threshold <= prose


@given(st.text(), st.text())
def test_confidence_in_any_answer_to_any_question_is_a_probability(question, answer):
    assert 0 < confidence_of(signals(answer, query_signals(question)), OPEN_QUESTION) < 1


@given(st.integers(1, 2_000), st.sampled_from(["a ", "could ", "may if "]))
def test_repeating_a_good_word_lifts_confidence_no_further(times, word):
    usual = {"tentative": MAX_SHARES["tentative"], "query_indefinite": MAX_SHARES["query_indefinite"]}
    repeated = signals(word * times, query_signals(word * times))

    assert confidence_of(repeated, OPEN_QUESTION) <= confidence_of(
        dict.fromkeys(OPEN_QUESTION.weights, 0.0) | usual, OPEN_QUESTION
    )


@pytest.mark.parametrize("name", sorted(OPEN_QUESTION.weights))
def test_a_weight_has_its_sign(name):
    low, high = ({**dict.fromkeys(OPEN_QUESTION.weights, 0.0), name: value} for value in (0.0, 0.05))
    rises = confidence_of(high, OPEN_QUESTION) > confidence_of(low, OPEN_QUESTION)

    assert rises == (OPEN_QUESTION.weights[name] > 0)


@pytest.mark.parametrize("run", ["i ", "i'", "not ", "1", "1,", "as an ", "m", "mmillio", "é", "’", "=", "a a "])
def test_a_hostile_text_takes_no_longer_than_its_length(run):
    def judge(size: int) -> None:
        text = run * (size // len(run))
        signals(text, query_signals(text))

    assert_linear(judge, 1_000_000)


@given(st.text(st.characters(max_codepoint=200)))
def test_words_are_the_same_by_table_and_by_pattern(text):
    assert confidence._words(text.lower()) == confidence._WORD.findall(text.lower())
