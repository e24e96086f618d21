"""Legal holds: what a hold does to an item, and what lifting it undoes. A held item has no end: nothing takes it."""

from enum import StrEnum
from typing import Any

HELD_OBJECTS = "held/"
_OBJECTS = "requests/"
_END, _HELD_END = "expires_at", "held_expires_at"


class Standing(StrEnum):
    """How a subject stands once somebody has set or lifted a hold."""

    HELD = "HELD"
    LIFTED = "LIFTED"
    NOT_HELD = "NOT_HELD"
    BEING_LIFTED = "BEING_LIFTED"  # a lift has begun: it is to end before a new hold is set
    BEING_ERASED = "BEING_ERASED"  # the hold comes too late
    REFUSED = "REFUSED"  # what was asked is not to be understood, or not of this stack


def held_name(name: str) -> str:
    """Where an object's held copy is: no lifecycle reaches it there."""
    return HELD_OBJECTS + name.removeprefix(_OBJECTS)


def released_name(name: str) -> str:
    return _OBJECTS + name.removeprefix(HELD_OBJECTS)


def hold(item: dict, lost: set[str]) -> dict[str, Any]:
    """The attributes that a hold changes in an item, None for those it takes away; objects that are lost stay named."""
    changed = _renamed(item, _OBJECTS, held_name, lost)
    if _END in item:
        changed |= {_HELD_END: item[_END], _END: None}
    return changed


def release(item: dict, now: float) -> dict[str, Any]:
    """The attributes that lifting changes: what is over by now ends now, so that nobody takes it for long overdue."""
    changed = _renamed(item, HELD_OBJECTS, released_name, set())
    if _HELD_END in item:
        changed |= {_END: max(int(item[_HELD_END]), int(now)), _HELD_END: None}
    return changed


def objects(item: dict) -> set[str]:
    """The names of all objects that an item refers to, at whatever depth, whether held or not."""
    return {name for name in _refs(item) if name.startswith((_OBJECTS, HELD_OBJECTS))}


def to_hold(item: dict) -> set[str]:
    return {name for name in objects(item) if name.startswith(_OBJECTS)}


def to_release(item: dict) -> set[str]:
    return {name for name in objects(item) if name.startswith(HELD_OBJECTS)}


def _renamed(item: dict, prefix: str, rename: Any, lost: set[str]) -> dict[str, Any]:
    def walk(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(key, each) for key, each in value.items()}
        if isinstance(value, list):
            return [walk(name, each) for each in value]
        if name.endswith("_ref") and isinstance(value, str) and value.startswith(prefix) and value not in lost:
            return rename(value)
        return value

    after = {name: walk(name, value) for name, value in item.items()}
    return {name: value for name, value in after.items() if value != item[name]}


def _refs(value: Any, name: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_refs(each, key) for key, each in value.items()))
    if isinstance(value, list):
        return set().union(*(_refs(each, name) for each in value))
    return {value} if name.endswith("_ref") and isinstance(value, str) else set()
