"""An assessment as it comes to a step."""

from collections.abc import Callable

import pytest
from converse import converse_result
from words import EXPIRES_AT, NOW, carried_by, key_of

from domain.inference.answers import Answer
from domain.inference.prompts import guarded
from inference.assess.assessment import Assessment

REQUEST = {
    "tenant": "acme",
    "request_id": "r-1",
    "request_key": "acme#r-1",
    "use_case": "general_question",
    "in_flight_key": "in-flight#acme#0",
    "mode": "normal",
    "expires_at": int(EXPIRES_AT),
}


@pytest.fixture
def assessment(stores, rules, clock) -> Callable[..., Assessment]:
    """An answer to an admitted request; keyword arguments change what its event says of it or of its request."""

    def of(raw: dict | None = None, request: dict | None = None, known: dict | None = None, **event) -> Assessment:
        key, raw = key_of(), raw or converse_result("Eleven hours.")
        came = {"request": REQUEST | {"subject": carried_by(key)} | (request or {}), "model": "nova-lite"}
        came |= {"answer": raw, "attempts": [], "retrieval_scores": [], "passages": []} | event
        came["passages"] = [guarded(text, []) for text in came["passages"]]
        use_case = rules.use_cases[came["request"]["use_case"]]
        found = Assessment(came, NOW, rules, use_case, key, Answer.from_converse(raw))
        return found._replace(**(known or {}))

    return of
