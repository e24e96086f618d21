"""Modes in the control table: one item per tenant and use case, an attribute per owner."""

import os

from adapters.clock import now
from adapters.dynamodb import client, get, update
from adapters.requests_table import decimal
from domain.modes import OWNER_PREFIX, EffectiveMode, Mode, effective

# How old a mode may be that a request is handled by: one read serves every request of a process meanwhile.
MAX_AGE_SECONDS = 5
_seen: dict[str, tuple[float, dict | None]] = {}


def current(tenant: str, use_case: str) -> EffectiveMode:
    """The mode in force for a use case of a tenant."""
    key, moment = _key(tenant, use_case), now()
    read_at, item = _seen.get(key, (0.0, None))
    if moment - read_at >= MAX_AGE_SECONDS:
        item = get(_table(), {"control_key": key})
        _seen[key] = (moment, item)
    return effective(item, moment)


def hold(tenant: str, use_case: str, owner: str, mode: Mode, until: float, confidence_floor: float | None) -> None:
    """Set an owner's mode until a moment; it ends by itself if its owner dies."""
    entry = {"mode": mode, "until": decimal(until)}
    if confidence_floor is not None:
        entry["confidence_floor"] = decimal(confidence_floor)
    values = {OWNER_PREFIX + owner: entry, "expires_at": int(until) + 86_400}
    client.update_item(**update(_table(), {"control_key": _key(tenant, use_case)}, set=values)["Update"])


def lift(tenant: str, use_case: str, owner: str) -> None:
    """Take an owner's mode back; those of others stay."""
    action = update(_table(), {"control_key": _key(tenant, use_case)}, remove=(OWNER_PREFIX + owner,))
    client.update_item(**action["Update"])


def _key(tenant: str, use_case: str) -> str:
    return f"mode#{tenant}#{use_case}"


def _table() -> str:
    return os.environ["CONTROL_TABLE"]
