"""Queues of reviews: what a caller may take, merged from one queue per tenant, use case and tier."""

from collections.abc import Mapping
from functools import partial

from adapters.clock import iso
from adapters.paging import merged_page
from adapters.reviews import reviews_table
from domain.api.callers import Caller
from domain.api.places import places_of
from domain.policy import Policy
from domain.reviews.claims import is_claimed, may_take
from domain.reviews.review import Tier
from domain.reviews.tiers import queue_name


def page(
    rules: Policy, caller: Caller, filters: Mapping[str, str], after: str, limit: int, now: float, *, free_only: bool
) -> tuple[list[dict], str | None]:
    """Reviews behind a position in order of urgency, and the position to go on from if there may be more."""
    wanted = filters.get("tier")
    tiers = list(Tier) if caller.is_lead else [Tier.REVIEWER, Tier.SECOND]
    queues = [
        queue_name(tenant, use_case, tier)
        for tenant, use_case in places_of(rules, caller)
        if filters.get("tenant", tenant) == tenant and filters.get("use_case", use_case) == use_case
        for tier in tiers
        if wanted in (None, tier)
    ]

    def accept(review: dict) -> bool:
        return may_take(review, caller) and not (free_only and is_claimed(review, iso(now)))

    return merged_page([partial(reviews_table.page, queue) for queue in queues], "queue_position", after, limit, accept)


def claimed(caller: Caller, now: float, limit: int = 100) -> list[dict]:
    """The reviews that a caller holds a claim on, the latest first."""
    return [
        each
        for each in reviews_table.of_person(caller.user_id, "claim", "~", limit)
        if is_claimed(each, iso(now)) and caller.sees(each["tenant"], each["use_case"])
    ]
