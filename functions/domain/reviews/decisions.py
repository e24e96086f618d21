"""Decisions: what a person may send about a review, and what has to go with it."""

from dataclasses import dataclass
from enum import StrEnum

from domain.characters import cleaned, is_blank

MAX_COMMENT = 4000
MAX_ANSWER = 100_000
REASON_CODES = ("WRONG", "UNGROUNDED", "UNSAFE", "OFF_TOPIC", "POLICY", "OTHER")


class Decision(StrEnum):
    APPROVE = "APPROVE"
    EDIT = "EDIT"
    REJECT = "REJECT"
    ESCALATE = "ESCALATE"
    CANNOT_JUDGE = "CANNOT_JUDGE"


class DecisionInvalid(ValueError):
    """The body of a decision is wrong; the first argument is the field, the second what to do."""


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    decision: Decision
    shown_digest: str
    answer: str | None
    reason_code: str | None
    comment: str | None


def read_decision(body: object) -> ReviewDecision:
    """Read what a reviewer sent; raises DecisionInvalid."""
    if not isinstance(body, dict):
        raise DecisionInvalid("body", "must be a JSON object")
    if unknown := set(body) - {"decision", "shown_digest", "answer", "reason_code", "comment"}:
        raise DecisionInvalid(sorted(unknown)[0][:80], "is not a field of a decision")
    for name, value in body.items():
        if not isinstance(value, str):
            raise DecisionInvalid(name, "must be a string")
    if body.get("decision") not in set(Decision):
        raise DecisionInvalid("decision", f"must be one of {', '.join(Decision)}")
    decision = Decision(body["decision"])
    if not body.get("shown_digest"):
        raise DecisionInvalid("shown_digest", "is missing: send the one GET /reviews/{id} showed")
    if (decision is Decision.EDIT) != ("answer" in body) or is_blank(body.get("answer", "-x")):
        raise DecisionInvalid("answer", "goes with EDIT, and EDIT needs it")
    if (decision is Decision.REJECT) != ("reason_code" in body):
        raise DecisionInvalid("reason_code", f"goes with REJECT, and REJECT needs one of {', '.join(REASON_CODES)}")
    if "reason_code" in body and body["reason_code"] not in REASON_CODES:
        raise DecisionInvalid("reason_code", f"must be one of {', '.join(REASON_CODES)}")
    if len(body.get("answer", "")) > MAX_ANSWER:
        raise DecisionInvalid("answer", f"is longer than {MAX_ANSWER} characters")
    if len(body.get("comment", "")) > MAX_COMMENT:
        raise DecisionInvalid("comment", f"is longer than {MAX_COMMENT} characters")
    answer, comment = (cleaned(body[name]) if name in body else None for name in ("answer", "comment"))
    return ReviewDecision(decision, body["shown_digest"], answer, body.get("reason_code"), comment)
