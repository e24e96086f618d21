"""Loads of the review queues in the control table, as WatchReviews last measured them."""

import json
import os

from adapters.dynamodb import client, get, get_many

KEPT_SECONDS = 7 * 86_400


def find(tenant: str, use_case: str) -> dict:
    """The last measurement of a queue; empty before the first one."""
    return _state(get(_table(), {"control_key": _key(tenant, use_case)}))


def read(places: list[tuple[str, str]]) -> list[dict]:
    """The last measurements of queues, in the order of their names."""
    items = get_many(_table(), [{"control_key": _key(*place)} for place in places])
    return sorted(map(_state, items), key=lambda each: (each["tenant"], each["use_case"]))


def keep(state: dict, now: float) -> None:
    item = {
        "control_key": _key(state["tenant"], state["use_case"]),
        "state": json.dumps(state),
        "expires_at": int(now) + KEPT_SECONDS,
    }
    client.put_item(TableName=_table(), Item=item)


def _state(item: dict | None) -> dict:
    return json.loads(item["state"]) if item else {}


def _key(tenant: str, use_case: str) -> str:
    return f"load#{tenant}#{use_case}"


def _table() -> str:
    return os.environ["CONTROL_TABLE"]
