"""domain/inference/prompts.py: a request as Converse reads it, with its parts marked for the guardrail."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.inference.prompts import (
    JUDGED_ONLY,
    PASSAGE_QUALIFIERS,
    QUERY_QUALIFIERS,
    fits,
    guarded,
    last_turn,
    render,
)
from domain.requests import canonical

DETAIL = {
    "query": "How long?",
    "passages": [{"id": "p", "text": "Eleven hours."}],
    "history": [{"role": "user", "text": "Hi."}, {"role": "assistant", "text": "Hello."}],
}


def test_query_and_passages_are_guarded_and_marked():
    rendered = render(DETAIL, 1000)

    assert rendered["query"]["GuardContent"]["Text"] == {
        "Text": "How long?",
        "Qualifiers": ["query", "guard_content"],
    }
    assert rendered["passages"][0]["GuardContent"]["Text"]["Qualifiers"] == [
        "grounding_source",
        "guard_content",
    ]
    assert rendered["messages"] == [
        {"Role": "user", "Content": [{"GuardContent": {"Text": {"Text": "Hi.", "Qualifiers": ["guard_content"]}}}]},
        {"Role": "assistant", "Content": [{"Text": "Hello."}]},
    ]


def test_what_is_not_there_is_empty():
    rendered = render({"query": "How long?"}, 1000)

    assert (rendered["messages"], rendered["passages"]) == ([], [])


@pytest.mark.parametrize(
    ("query", "passage", "tokens", "checked"),
    [(1000, 50_000, 1000, True), (1001, 1, 1, False), (1, 50_001, 1, False), (1, 1, 1001, False)],
)
def test_what_the_grounding_check_does_not_take_is_judged_all_the_same(query, passage, tokens, checked):
    rendered = render({"query": "q" * query, "passages": [{"id": "p", "text": "x" * passage}]}, tokens)

    qualifiers = [rendered["query"]["GuardContent"]["Text"]["Qualifiers"], rendered["passage_qualifiers"]]
    assert all("guard_content" in each for each in qualifiers)
    assert ["query" in qualifiers[0], "grounding_source" in qualifiers[1]] == [checked, checked]


def test_a_query_grounds_nothing_where_there_is_no_passage():
    rendered, retrieved = render({"query": "How long?"}, 1000), [guarded("Eleven hours.", PASSAGE_QUALIFIERS)]

    assert last_turn(rendered, []) == {"Role": "user", "Content": [guarded("How long?", JUDGED_ONLY)]}
    assert last_turn(rendered, retrieved)["Content"] == [*retrieved, guarded("How long?", QUERY_QUALIFIERS)]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXTS, st.lists(TEXTS, max_size=20), st.integers(0, 6000))
def test_what_is_said_to_fit_does_fit(query, passages, room):
    detail = {"query": query, "passages": [{"id": "p", "text": text} for text in passages]}
    rendered = render(detail, 1000)
    size = len(json.dumps(rendered, ensure_ascii=False).encode())

    assert fits(rendered, canonical(detail), room) == (size <= room)
