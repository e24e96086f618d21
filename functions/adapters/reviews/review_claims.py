"""Claims: a review is one person's for a while; what the rules refuse becomes the API's answer."""

from collections.abc import Callable

from adapters.api.http import Refused
from adapters.clock import iso
from adapters.reviews import reviews_table
from domain.api.callers import Caller
from domain.reviews import claims
from domain.reviews.review import Change, ReviewConflict


def claim(review: dict, caller: Caller, now: float, attempt: str | None = None) -> dict:
    until = iso(now + int(review["claim_seconds"]))
    return _change(review, lambda found: claims.claim(found, caller, iso(now), until, attempt))


def release(review: dict, caller: Caller) -> dict:
    return _change(review, lambda found: claims.release(found, caller))


def hand_over(review: dict, caller: Caller, to: Caller, now: float) -> dict:
    until = iso(now + int(review["claim_seconds"]))
    return _change(review, lambda found: claims.hand_over(found, caller, to, iso(now), until))


def _change(review: dict, rule: Callable[[dict], Change]) -> dict:
    try:
        return reviews_table.change(review["review_id"], lambda found: rule(found or review))
    except ReviewConflict as conflict:
        raise Refused(409, conflict.code, str(conflict)) from conflict
