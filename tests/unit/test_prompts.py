"""domain/prompts.py: a request as Converse reads it, with its parts marked for the guardrail."""

import json

from hypothesis import given
from hypothesis import strategies as st

from domain.prompts import fits, render
from domain.requests import canonical

DETAIL = {
    "query": "How long?",
    "passages": [{"id": "p", "text": "Eleven hours."}],
    "history": [{"role": "user", "text": "Hi."}, {"role": "assistant", "text": "Hello."}],
}


def test_query_and_passages_are_guarded_and_marked():
    rendered = render(DETAIL)

    assert rendered["query"]["GuardContent"]["Text"] == {
        "Text": "How long?",
        "Qualifiers": ["query", "guard_content"],
    }
    assert rendered["passages"][0]["GuardContent"]["Text"]["Qualifiers"] == [
        "grounding_source",
        "guard_content",
    ]
    assert rendered["messages"] == [
        {"Role": "user", "Content": [{"Text": "Hi."}]},
        {"Role": "assistant", "Content": [{"Text": "Hello."}]},
    ]


def test_what_is_not_there_is_empty():
    assert render({"query": "How long?"}) | {"query": {}} == {"messages": [], "passages": [], "query": {}}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(TEXTS, st.lists(TEXTS, max_size=20), st.integers(0, 6000))
def test_what_is_said_to_fit_does_fit(query, passages, room):
    detail = {"query": query, "passages": [{"id": "p", "text": text} for text in passages]}
    rendered = render(detail)
    size = len(json.dumps(rendered, ensure_ascii=False).encode())

    assert fits(rendered, canonical(detail), room) == (size <= room)
