"""Endings: what silence decides, and what a review's end makes of its request."""

from dataclasses import dataclass

from domain.requests import Reason, Status
from domain.reviews.decisions import Decision
from domain.reviews.review import CLAIM, QUEUE, Change, Next, ReviewStatus, Tier


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of the request once its review has ended."""

    status: Status
    decided_by: str
    reason: Reason | None
    message: str | None


def rule_on(review: dict) -> Ruling:
    """Turn a review's decision, or the policy's default after silence, into its request's end."""
    lapsed = review["status"] == ReviewStatus.LAPSED
    decided_by = "silence" if lapsed else review.get("tier", Tier.REVIEWER)
    if review["decision"] in (Decision.APPROVE, Decision.EDIT):
        return Ruling(Status.COMPLETED, decided_by, None, None)
    if lapsed:
        return Ruling(Status.REFUSED, decided_by, Reason.REVIEW_LAPSED, "Nobody decided on the answer in time.")
    return Ruling(Status.REFUSED, decided_by, Reason.REJECTED, "A reviewer held the answer back.")


def silence_means(review: dict, on_silence: str) -> str:
    """What silence decides: never against a person who looked and did not approve."""
    spoken = {verdict["decision"] for verdict in review.get("verdicts", ())}
    return Decision.REJECT if spoken - {Decision.APPROVE, Decision.CANNOT_JUDGE} else on_silence


def lapse(review: dict, on_silence: str, now_iso: str) -> Change | None:
    """End a review as silence ends it; nothing to change where it has ended."""
    if review["status"] not in (ReviewStatus.OPEN, ReviewStatus.ANSWERED):
        return None
    ended = {
        "status": ReviewStatus.LAPSED,
        "decision": silence_means(review, on_silence),
        "decided_at": now_iso,
        "overdue_at": now_iso,
        "next": Next.DONE,
    }
    return Change(ended, (*CLAIM, *QUEUE))
