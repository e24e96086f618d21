"""Counters of finished reviews in the control table: one item per tenant, use case and month."""

import os

from adapters.clock import iso
from adapters.dynamodb import get_many, update
from domain.reviews.review_quality import month_of, people_of, tally_of

KEPT_DAYS = 400


def counted(review: dict, now: float) -> dict:
    """An action that counts a finished review; it belongs into the transaction that ends it."""
    return update(
        _table(),
        {"control_key": key_of(review["tenant"], review["use_case"], month_of(iso(now)))},
        set={"expires_at": int(now) + KEPT_DAYS * 86_400, **people_of(review)},
        add={"reviews": 1, **tally_of(review)},
    )


def read(places: list[tuple[str, str]], month: str) -> dict[tuple[str, str], dict]:
    """The counters of (tenant, use case) pairs in a month; a pair without any has none."""
    keys = {key_of(*place, month): place for place in places}
    items = get_many(_table(), [{"control_key": key} for key in keys])
    return {keys[item["control_key"]]: item for item in items}


def key_of(tenant: str, use_case: str, month: str) -> str:
    return f"quality#{tenant}#{use_case}#{month}"


def _table() -> str:
    return os.environ["CONTROL_TABLE"]
