"""domain/outcomes.py: how an answer is judged, and how a request's end is announced."""

import dataclasses
from decimal import Decimal

import pytest
from converse import converse_result

from domain.inference.answers import Answer
from domain.outcomes import announcement_of, event_id_of, failure_of, judge, review_id_of
from domain.policy import Policy
from domain.requests import Reason, Status

RECORD = {
    "request_key": "acme#r-1",
    "tenant": "acme",
    "request_id": "r-1",
    "use_case": "general_question",
    "status": "COMPLETED",
    "outcome_at": "2026-11-23T09:30:02.120Z",
    "decided_by": "policy",
    "model": "nova-lite",
    "confidence": Decimal("0.93"),
    "cost_usd": Decimal("0.00021"),
    "answer": "Eleven hours.",
    "payload": '{"query":"How long?"}',
    "findings": [],
    "signals": {"hedging": Decimal(0)},
    "user_id": "user-17",
}


@pytest.fixture
def use_case(policy_document):
    return Policy.from_json(policy_document).use_cases["general_question"]


@pytest.fixture
def answer():
    return Answer.from_converse(converse_result("Eleven hours."))


@pytest.mark.parametrize(
    ("change", "confidence", "always_review", "status", "reason"),
    [
        ({}, 0.8, False, Status.COMPLETED, None),
        ({}, 0.799999, False, Status.HELD, Reason.LOW_CONFIDENCE),
        ({}, 1.0, True, Status.HELD, Reason.RISK_CLASS),
        ({"findings": ("ContentPolicy:HATE",)}, 1.0, False, Status.HELD, Reason.GUARDRAIL_FINDING),
        ({"findings": ("ContentPolicy:HATE",)}, 1.0, True, Status.HELD, Reason.GUARDRAIL_FINDING),
        ({"text": ""}, 1.0, False, Status.HELD, Reason.LOW_CONFIDENCE),
        ({"stop_reason": "guardrail_intervened"}, 1.0, False, Status.REFUSED, Reason.GUARDRAIL_BLOCKED),
        ({"stop_reason": "guardrail_intervened"}, 0.0, True, Status.REFUSED, Reason.GUARDRAIL_BLOCKED),
    ],
)
def test_only_what_the_policy_trusts_is_released(answer, use_case, change, confidence, always_review, status, reason):
    risk_class = dataclasses.replace(use_case.risk_class, always_review=always_review)
    use_case = dataclasses.replace(use_case, risk_class=risk_class)

    verdict = judge(dataclasses.replace(answer, **change), confidence, use_case, 0.8)

    assert (verdict.status, verdict.reason) == (status, reason)


def test_a_low_threshold_lets_out_nothing_but_what_only_lacked_confidence(answer, use_case):
    found = dataclasses.replace(answer, findings=("ContentPolicy:HATE",))
    always = dataclasses.replace(use_case, risk_class=dataclasses.replace(use_case.risk_class, always_review=True))

    assert judge(answer, 0.0, use_case, 0.0).status is Status.COMPLETED
    assert judge(found, 1.0, use_case, 0.0).reason is Reason.GUARDRAIL_FINDING
    assert judge(answer, 1.0, always, 0.0).reason is Reason.RISK_CLASS
    assert judge(dataclasses.replace(answer, text=""), 1.0, use_case, 0.0).reason is Reason.LOW_CONFIDENCE


def attempt(error: str, model: str = "nova-lite") -> dict:
    return {"model": model, "error": error, "input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([], Reason.MODEL_UNAVAILABLE),
        (["BedrockRuntime.ThrottlingException"], Reason.MODEL_UNAVAILABLE),
        (["EMPTY_ANSWER", "States.Timeout"], Reason.MODEL_UNAVAILABLE),
        (["States.Timeout", "EMPTY_ANSWER"], Reason.EMPTY_ANSWER),
        (["TRUNCATED_ANSWER"], Reason.TRUNCATED_ANSWER),
        (["ASSESSMENT_FAILED"], Reason.ASSESSMENT_FAILED),
        (["LOW_CONFIDENCE"], Reason.MODEL_UNAVAILABLE),
    ],
)
def test_a_failure_s_reason_is_its_last_model_s(errors, reason):
    verdict = failure_of([attempt(error) for error in errors])

    assert (verdict.status, verdict.reason) == (Status.FAILED, reason)


def test_a_failure_names_each_model_with_its_error():
    verdict = failure_of([attempt("States.Timeout"), attempt("EMPTY_ANSWER", "nova-pro")])

    assert "nova-lite: States.Timeout; nova-pro: EMPTY_ANSWER" in verdict.message


def test_an_event_id_is_the_same_for_every_copy_and_no_other():
    assert event_id_of(RECORD) == event_id_of(RECORD | {"expires_at": 1, "sweep": "OPEN#1"})
    assert len({event_id_of(RECORD | change) for change in ({}, {"status": "HELD"}, {"outcome_at": "later"})}) == 3
    # Consumers have seen it: a change of the recipe announces everything anew.
    assert event_id_of(RECORD) == "9189f54637036c10d45218b3c2ad6699"


def test_a_review_id_is_an_execution_name_that_gives_nothing_away():
    review_id = review_id_of("acme#r-1")

    assert review_id == review_id_of("acme#r-1") != review_id_of("acme#r-2")
    assert len(review_id) <= 80
    assert "acme" not in review_id


def test_a_review_is_named_by_its_request_s_purpose_and_number():
    names = {review_id_of("acme#r-1", number=number) for number in (1, 2)}

    assert len(names) == 2
    # Reviews wait under it: a change of the recipe loses them.
    assert review_id_of("acme#r-1") == "r-ef8fdcdba40d01933b674fe14fe001d5"


def test_an_announcement_refers_to_the_words_and_holds_none():
    detail_type, detail = announcement_of(RECORD)

    assert detail_type == "InferenceCompleted"
    assert detail == {
        "event_id": event_id_of(RECORD),
        "tenant": "acme",
        "request_id": "r-1",
        "use_case": "general_question",
        "outcome_at": "2026-11-23T09:30:02.120Z",
        "decided_by": "policy",
        "model": "nova-lite",
        "confidence": 0.93,
        "cost_usd": 0.00021,
    }


def test_an_answer_travels_only_when_it_is_handed_over():
    assert announcement_of(RECORD, "Eleven hours.")[1]["answer"] == "Eleven hours."


def test_how_a_request_was_answered_is_announced_in_numbers_of_json():
    used = [{"model": "nova-lite", "input_tokens": Decimal(30), "text_units": {"topic_policy": Decimal(2)}}]
    recorded = {"guardrail": {"id": "gr1", "version": "3"}, "variants": {"tone": "b"}, "purpose": "shadow"}

    detail = announcement_of(RECORD | recorded | {"usage": used, "knowledge_version": Decimal(4)})[1]

    assert {name: detail[name] for name in recorded} == recorded
    assert (detail["usage"], detail["knowledge_version"]) == (
        [{"model": "nova-lite", "input_tokens": 30, "text_units": {"topic_policy": 2}}],
        4,
    )
    assert type(detail["usage"][0]["input_tokens"]) is int


def test_numbers_of_the_table_become_numbers_of_json():
    detail = announcement_of(RECORD | {"status": "REFUSED", "retry_after_seconds": Decimal(42)})[1]

    assert detail["retry_after_seconds"] == 42
    assert type(detail["retry_after_seconds"]) is int
