"""Counters of finished reviews in the control table: one item per tenant, use case and month."""

import os

from adapters.clock import iso
from adapters.dynamodb import client, update
from domain.review_quality import month_of, people_of, tally_of

KEPT_DAYS = 400
_BATCH = 100  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html


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
    found: dict[tuple[str, str], dict] = {}
    wanted = [{"control_key": key} for key in keys]
    while wanted:
        result = client.batch_get_item(RequestItems={_table(): {"Keys": wanted[:_BATCH]}})
        wanted = wanted[_BATCH:] + result.get("UnprocessedKeys", {}).get(_table(), {}).get("Keys", [])
        found |= {keys[item["control_key"]]: item for item in result["Responses"].get(_table(), [])}
    return found


def key_of(tenant: str, use_case: str, month: str) -> str:
    return f"quality#{tenant}#{use_case}#{month}"


def _table() -> str:
    return os.environ["CONTROL_TABLE"]
