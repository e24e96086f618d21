"""Outcomes: how an answer is judged, and how the end of a request is announced."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from domain.inference.answers import Answer
from domain.policy import HOLD, UseCase
from domain.requests import Reason, Status

DETAIL_TYPES = {
    Status.COMPLETED: "InferenceCompleted",
    Status.HELD: "InferenceHeld",
    Status.REFUSED: "InferenceRefused",
    Status.FAILED: "InferenceFailed",
}
# Attributes of a record that its announcement carries, numbers as JSON has them.
ANNOUNCED = (
    "tenant request_id use_case policy_version outcome_at reason message field source_event_id "
    "retry_after_seconds review_id decided_by model due_at confidence cost_usd mode "
    "usage guardrail variants knowledge_version purpose"
).split()


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    reason: Reason | None = None
    message: str | None = None


def judge(answer: Answer, confidence: float, use_case: UseCase, threshold: float, is_refusal: bool = False) -> Verdict:
    """Release an answer the policy trusts; hold every other one; refuse what was blocked, or what the model refused.

    The threshold is the use case's, or another one while something is wrong.
    """
    if answer.blocked:
        return Verdict(Status.REFUSED, Reason.GUARDRAIL_BLOCKED, "The guardrail blocked the request or its answer.")
    if not answer.guarded:
        return Verdict(Status.HELD, Reason.GUARDRAIL_UNAVAILABLE)
    if answer.findings:
        return Verdict(Status.HELD, Reason.GUARDRAIL_FINDING)
    if use_case.risk_class.always_review:
        return Verdict(Status.HELD, Reason.RISK_CLASS)
    if is_refusal:
        if use_case.on_refusal == HOLD:
            return Verdict(Status.HELD, Reason.MODEL_REFUSED)
        return Verdict(Status.REFUSED, Reason.MODEL_REFUSED, "The model refused to answer. Ask something else.")
    # No number speaks for what is no answer.
    if answer.fault or confidence < threshold:
        return Verdict(Status.HELD, Reason.LOW_CONFIDENCE)
    return Verdict(Status.COMPLETED)


def failure_of(attempts: list[dict]) -> Verdict:
    """Why no model of the chain answered, each named with its error."""
    tried = "; ".join(f"{attempt['model']}: {attempt['error']}" for attempt in attempts) or "no model was asked"
    last = attempts[-1]["error"] if attempts else ""
    known = {Reason.EMPTY_ANSWER, Reason.TRUNCATED_ANSWER, Reason.BROKEN_ANSWER, Reason.ASSESSMENT_FAILED}
    reason = Reason(last) if last in known else Reason.MODEL_UNAVAILABLE
    return Verdict(
        Status.FAILED,
        reason,
        f"No answer came of it ({tried}). Send the request again under a new request_id.",
    )


class Purpose(StrEnum):
    """What a person is asked of a request; whether an answer is held, audited or planted its review's name hides."""

    ANSWER = "answer"


def review_id_of(request_key: str, purpose: Purpose = Purpose.ANSWER, number: int = 1) -> str:
    """The name of a request's review, also its execution's; gives away nothing of the request's id."""
    return "r-" + hashlib.sha256(f"{request_key}#{purpose}#{number}".encode()).hexdigest()[:32]


def event_id_of(record: dict) -> str:
    """The stable id of a record's announcement, the same for every copy of it."""
    parts = (record["request_key"], record["status"], record["outcome_at"])
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def announcement_of(record: dict, answer: str | None = None) -> tuple[str, dict]:
    """The event, detail-type and detail, that announces a record's outcome."""
    detail: dict = {"event_id": event_id_of(record)}
    detail |= {name: _plain(record[name]) for name in ANNOUNCED if record.get(name) is not None}
    if answer is not None:
        detail["answer"] = answer
    return DETAIL_TYPES[Status(record["status"])], detail


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)
