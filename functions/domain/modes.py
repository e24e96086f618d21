"""Modes: how a use case works while something is wrong, each set by an owner, for a time, and lifted by it alone."""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """In the order of strictness: of several the last one holds."""

    NORMAL = "normal"
    ASK_LESS = "ask_less"  # answers of a little less confidence are released
    CACHE_ONLY = "cache_only"  # only questions that were answered before are answered
    REFUSE = "refuse"


OWNER_PREFIX = "by_"
_STRICTNESS = list(Mode)


@dataclass(frozen=True, slots=True)
class EffectiveMode:
    mode: Mode = Mode.NORMAL
    owner: str | None = None
    confidence_floor: float | None = None


NORMAL = EffectiveMode()


def effective(item: dict | None, now: float) -> EffectiveMode:
    """The strictest of the modes in force; one whose owner has not renewed it is none."""
    found = NORMAL
    for name, entry in (item or {}).items():
        if not name.startswith(OWNER_PREFIX) or entry["until"] <= now:
            continue
        mode = Mode(entry["mode"])
        if _STRICTNESS.index(mode) > _STRICTNESS.index(found.mode):
            floor = entry.get("confidence_floor")
            found = EffectiveMode(mode, name.removeprefix(OWNER_PREFIX), None if floor is None else float(floor))
    return found
