"""Expired objects of the payload bucket: found by the day in their name or by age, deleted a thousand at a time."""

from adapters import payloads
from adapters.clock import epoch
from domain.governance.retention import (
    DAY_SECONDS,
    EVENT_DAYS,
    MOST_DAYS,
    Deletion,
    Expired,
    Objects,
    Page,
    Unit,
    behind_days,
    day_of,
)

# The first year whose days can stand in a name.
FIRST_YEAR = 2026


def days(year: int) -> list[str]:
    """The days up to a year that objects are named by; other names cannot begin with a year and a hyphen."""
    found = []
    for each in range(FIRST_YEAR, year + 1):
        found += [day_of(folder) for folder in payloads.folders(f"requests/{each}-")]
    return [day for day in found if day]


def page(unit: Unit, cursor: str, now: float) -> Page:
    """The expired objects of one page of a listing."""
    listed, cursor = payloads.page(unit.prefix, cursor)
    expired, seen = [], 0
    for name, modified in listed:
        if unit.objects == Objects.UNDATED and (day := day_of(name)):
            # All of them are a unit of their own: the listing goes on behind their year.
            return Page(expired, seen, behind_days(day[:4]))
        seen += 1
        ends = _end(unit, name, modified)
        if ends <= now:
            expired.append(Expired(name, int(ends), unit.objects))
    return Page(expired, seen, cursor)


def delete(unit: Unit, expired: list[Expired]) -> Deletion:
    return Deletion(failed=payloads.delete([each.key for each in expired]))


def _end(unit: Unit, name: str, modified: float) -> float:
    if unit.objects == Objects.DATED:
        return epoch(f"{day_of(name)}T00:00:00+00:00") + DAY_SECONDS
    return modified + (EVENT_DAYS if unit.objects == Objects.EVENTS else MOST_DAYS) * DAY_SECONDS
