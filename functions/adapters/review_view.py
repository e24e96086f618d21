"""How a review looks to a reviewer over HTTP; its task token is never shown."""

from adapters import requests_table, reviews_table
from adapters.http import Refused
from domain.callers import Caller
from domain.reviews import Tier

_SHOWN = (
    "review_id tenant use_case request_id status tier due_at opened_at confidence reason draft_digest "
    "decision decided_by decided_at reason_code comment"
).split()


def summary_of(review: dict) -> dict:
    return {name: review[name] for name in _SHOWN if name in review}


def visible_review(review_id: str, caller: Caller) -> tuple[dict, dict]:
    """The review and its request, if the caller may see them; another tenant's looks like one that does not exist."""
    caller.require("reviewers", "leads")
    review = reviews_table.find(review_id)
    if review is None or review.get("tenant") not in caller.tenants:
        raise Refused(404, "NOT_FOUND", "There is no review with this id.")
    request = requests_table.find(review["request_key"]) or {}
    if request.get("user_id") == caller.user_id:
        raise Refused(403, "FORBIDDEN", "This review is of a request of your own.")
    return review, request


def is_for(review: dict, caller: Caller) -> bool:
    """Whether the review's tier is the caller's."""
    return review["tier"] != Tier.LEAD or is_lead(caller)


def is_lead(caller: Caller) -> bool:
    return "leads" in caller.groups
