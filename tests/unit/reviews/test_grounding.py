"""domain/reviews/grounding.py: a sentence is marked where its words, or a number of it, are in no passage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear import assert_linear

from domain.reviews.grounding import MAX_MISSING_SHOWN, marked_sentences, sentences_of

PASSAGE = "The battery of the X2 lasts about 11 hours. A service partner replaced 1,200 batteries."


def marked(draft: str, *passages: str) -> list[str]:
    return [one["text"] for one in marked_sentences(draft, passages or (PASSAGE,)) if one["marked"]]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("One.", ["One."]),
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ('He said "no." Then went.', ['He said "no." ', "Then went."]),
        ("3.5 hours", ["3.5 hours"]),
        ("- one\n- two\n", ["- one\n", "- two\n"]),
        ("One.\n\nTwo", ["One.\n\n", "Two"]),
    ],
)
def test_a_text_falls_into_sentences(text, sentences):
    assert sentences_of(text) == sentences


@given(st.text() | st.lists(st.sampled_from(["a", ".", " ", "\n", '"', ")", "?", "\u00a0", "\r"])).map("".join))
def test_sentences_joined_are_the_text_again(text):
    assert "".join(sentences_of(text)) == text
    assert all(sentences_of(text))
    assert "".join(one["text"] for one in marked_sentences(text, ["a"])) == text


@pytest.mark.parametrize(
    "sentence",
    [
        "The battery lasts about 11 hours.",
        "Batteries are replaced by partners.",
        "A partner's service.",
        "1200 batteries.",
        "It was.",
        "",
        "!?",
    ],
)
def test_what_the_passages_say_is_not_marked(sentence):
    assert marked(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [
        ("The camera films whales.", ["camera", "films", "whales"]),
        ("The battery lasts about 12 hours.", ["12"]),
        ("The battery lasts about 11.5 hours.", ["11.5"]),
        ("The X3 battery lasts hours.", ["x3"]),
    ],
)
def test_what_no_passage_says_is_marked_with_its_words(sentence, missing):
    [one] = marked_sentences(sentence, [PASSAGE])

    assert (one["marked"], one["missing"]) == (True, missing)


@pytest.mark.parametrize(("words", "is_marked"), [("battery partner hours whales", False), ("battery whales", True)])
def test_a_word_or_two_of_the_sentence_s_own_mark_nothing(words, is_marked):
    assert bool(marked(words)) is is_marked


def test_each_sentence_is_checked_on_its_own():
    assert marked("The battery lasts 11 hours. It films whales. A partner replaces it.") == ["It films whales. "]


def test_all_passages_count_together():
    assert marked("The battery films whales.", "Battery.", "It films whales.") == []


@pytest.mark.parametrize("passages", [[], [""], [" \n", "!?"]])
def test_without_a_word_to_check_against_nothing_is_said(passages):
    assert marked_sentences("The battery lasts 12 hours.", passages) == []


def test_only_some_of_many_missing_words_are_shown():
    [one] = marked_sentences(" ".join(f"word{number}" for number in range(50)), [PASSAGE])

    assert len(one["missing"]) == MAX_MISSING_SHOWN


@given(st.text(), st.lists(st.text(), max_size=3))
def test_a_marked_sentence_names_its_reason_and_one_that_is_not_names_none(draft, passages):
    for one in marked_sentences(draft, passages):
        assert one["marked"] is bool(one["missing"])


@given(st.text())
def test_a_text_taken_from_a_passage_is_not_marked(text):
    assert marked(text, text) == []


@pytest.mark.parametrize(
    "piece", [".", ". ", '"', '."', ")]", "\n", " ", "a", "a-", "1.", "1,", "'s ", "-'", "\u00e9", "ing", "a b. "]
)
def test_hostile_text_is_read_in_no_time(piece):
    def mark(characters: int) -> None:
        text = "x. " + piece * (characters // len(piece)) + "!"
        marked_sentences(text, [text])

    assert_linear(mark, 500_000)
