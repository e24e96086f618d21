"""domain/prompts.py: a request as Converse reads it, with its parts marked for the guardrail."""

from hypothesis import given
from hypothesis import strategies as st

from domain.prompts import render, rendered_bytes

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


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_size_is_counted_in_bytes(text):
    grown = rendered_bytes(render({"query": "x" + text})) - rendered_bytes(render({"query": "x"}))

    assert grown >= len(text.encode())
