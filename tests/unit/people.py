"""People who review, and what they say, as tests of reviews need them."""

from adapters import requests_table, subject_keys
from adapters.clock import iso
from adapters.reviews import reviews_table
from domain.api.callers import Caller
from domain.reviews import claims
from domain.reviews.decisions import Decision, ReviewDecision

REVIEWER = ("reviewers", "tenant-acme")
LEAD = ("leads", "tenant-acme")


def reviewer(user_id: str = "rev-1", *more: str) -> Caller:
    return Caller.from_groups(user_id, f"name-of-{user_id}", (*REVIEWER, *more))


def lead(user_id: str = "lead-1", *more: str) -> Caller:
    return Caller.from_groups(user_id, f"name-of-{user_id}", (*LEAD, *more))


def saying(decision: str, shown_digest: str = "shown", answer: str | None = None) -> ReviewDecision:
    """A decision with what has to go with it."""
    edited = (answer or "Nine hours.") if decision == "EDIT" else None
    return ReviewDecision(Decision(decision), shown_digest, edited, "WRONG" if decision == "REJECT" else None, None)


def shown_now(review_id: str) -> str:
    """The digest that the desk would show of a stored review."""
    review = reviews_table.find(review_id)
    return digest_of(review, requests_table.find(review["request_key"]) or {})


def digest_of(review: dict, request: dict) -> str:
    """The digest that the desk would show of a review and its request."""
    draft = reviews_table.draft_of(review, request, subject_keys.of(review))
    return reviews_table.digest_of(review, request, draft)


def judge(review_id: str, caller: Caller, decision: str, now: float, answer: str | None = None) -> dict:
    """Claim a stored review and give a verdict on what it shows; raises what either raises."""
    claim(review_id, caller, now)
    review = reviews_table.find(review_id)
    request = requests_table.find(review["request_key"]) or {}
    said = saying(decision, digest_of(review, request), answer)
    return reviews_table.decide(review, request, caller, said, now)


def claim(review_id: str, caller: Caller, now: float, seconds: int = 300) -> dict:
    """Claim a stored review; raises ReviewConflict."""
    until = iso(now + seconds)
    return reviews_table.change(review_id, lambda found: claims.claim(found, caller, iso(now), until))
