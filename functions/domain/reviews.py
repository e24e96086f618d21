"""Reviews: what a person may decide on a held answer, and what silence means."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from domain.requests import Reason, Status

MAX_COMMENT = 4000


class Decision(StrEnum):
    APPROVE = "APPROVE"
    EDIT = "EDIT"
    REJECT = "REJECT"


class ReviewStatus(StrEnum):
    OPEN = "OPEN"
    DECIDED = "DECIDED"
    LAPSED = "LAPSED"


class Tier(StrEnum):
    REVIEWER = "reviewer"
    LEAD = "lead"


REASON_CODES = ("WRONG", "UNGROUNDED", "UNSAFE", "OFF_TOPIC", "POLICY", "OTHER")


class DecisionInvalid(ValueError):
    """The body of a decision is wrong; the first argument is the field, the second what to do."""


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    decision: Decision
    draft_digest: str
    answer: str | None
    reason_code: str | None
    comment: str | None


def read_decision(body: object) -> ReviewDecision:
    """Read what a reviewer sent; raises DecisionInvalid."""
    if not isinstance(body, dict):
        raise DecisionInvalid("body", "must be a JSON object")
    if unknown := set(body) - {"decision", "draft_digest", "answer", "reason_code", "comment"}:
        raise DecisionInvalid(sorted(unknown)[0][:80], "is not a field of a decision")
    for name, value in body.items():
        if not isinstance(value, str):
            raise DecisionInvalid(name, "must be a string")
    if body.get("decision") not in set(Decision):
        raise DecisionInvalid("decision", f"must be one of {', '.join(Decision)}")
    decision = Decision(body["decision"])
    if not body.get("draft_digest"):
        raise DecisionInvalid("draft_digest", "is missing: send the one GET /reviews/{id} showed")
    if (decision is Decision.EDIT) != ("answer" in body) or not body.get("answer", "-").strip():
        raise DecisionInvalid("answer", "goes with EDIT, and EDIT needs it")
    if (decision is Decision.REJECT) != ("reason_code" in body):
        raise DecisionInvalid("reason_code", f"goes with REJECT, and REJECT needs one of {', '.join(REASON_CODES)}")
    if "reason_code" in body and body["reason_code"] not in REASON_CODES:
        raise DecisionInvalid("reason_code", f"must be one of {', '.join(REASON_CODES)}")
    if len(body.get("comment", "")) > MAX_COMMENT:
        raise DecisionInvalid("comment", f"is longer than {MAX_COMMENT} characters")
    return ReviewDecision(
        decision, body["draft_digest"], body.get("answer"), body.get("reason_code"), body.get("comment")
    )


def draft_digest(draft: str) -> str:
    """What a decision is bound to: a decision on any other draft is refused."""
    return hashlib.sha256(draft.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of the request once its review has ended."""

    status: Status
    decided_by: str
    reason: Reason | None
    message: str | None


def rule_on(decision: str, tier: str, lapsed: bool) -> Ruling:
    """Turn a review's decision, or the policy's default after silence, into the request's end."""
    decided_by = "silence" if lapsed else tier
    if decision in (Decision.APPROVE, Decision.EDIT):
        return Ruling(Status.COMPLETED, decided_by, None, None)
    if lapsed:
        return Ruling(Status.REFUSED, decided_by, Reason.REVIEW_LAPSED, "Nobody decided on the answer in time.")
    return Ruling(Status.REFUSED, decided_by, Reason.REJECTED, "A reviewer held the answer back.")
