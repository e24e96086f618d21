"""Modes in the control table: an item per use case, and one per tenant and use case; an attribute per owner."""

import os

from adapters.clock import iso, now
from adapters.dynamodb import client, decimal, get_many, update
from domain.modes import ANY_TENANT, OWNER_PREFIX, EffectiveMode, Mode, effective

# How old a mode may be that a request is handled by: one read serves every request of a process meanwhile.
MAX_AGE_SECONDS = 5
_seen: dict[tuple[str, str], tuple[float, list[dict]]] = {}


def current(tenant: str, use_case: str) -> EffectiveMode:
    """The mode in force for a use case of a tenant, at most MAX_AGE_SECONDS old."""
    moment = now()
    read_at, items = _seen.get((tenant, use_case), (0.0, []))
    if moment - read_at >= MAX_AGE_SECONDS:
        items = _read([_key(tenant, use_case), _key(ANY_TENANT, use_case)])
        _seen[tenant, use_case] = (moment, items)
    return effective(items, moment)


def fresh(tenant: str, use_case: str) -> EffectiveMode:
    """The mode in force this moment, of one tenant or (ANY_TENANT) of all together."""
    return effective(_read([_key(tenant, use_case)]), now())


def in_force(places: list[tuple[str, str]]) -> list[dict]:
    """Every owner's mode of these tenants' use cases and of all tenants together: for whoever looks."""
    keys = {_key(tenant, use_case) for tenant, use_case in places} | {_key(ANY_TENANT, each) for _, each in places}
    found, moment = [], now()
    for item in get_many(_table(), [{"control_key": key} for key in sorted(keys)]):
        _, tenant, use_case = item["control_key"].split("#")
        for name, entry in sorted(item.items()):
            if name.startswith(OWNER_PREFIX) and entry["until"] > moment:
                place = {"use_case": use_case} | ({} if tenant == ANY_TENANT else {"tenant": tenant})
                told = {"mode": entry["mode"], "until": iso(float(entry["until"])), "reason": entry.get("reason", "")}
                found.append(place | told | {"owner": name.removeprefix(OWNER_PREFIX)})
    return found


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


def _read(keys: list[str]) -> list[dict]:
    # All of them or none: one that could not be read may be the one that stops everything.
    return get_many(_table(), [{"control_key": key} for key in keys], consistent=True)


def _key(tenant: str, use_case: str) -> str:
    return f"mode#{tenant}#{use_case}"


def _table() -> str:
    return os.environ["CONTROL_TABLE"]
