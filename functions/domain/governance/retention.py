"""Retention: what a night's run goes through, which of it is over, and what its report says."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

DAY_SECONDS = 86_400
# The longest class that the policy's schema allows: what names no end of its own is not touched before.
MOST_DAYS = 90
# An event's body is copied under requests/ when it is admitted; a parked one is replayed within 14 days.
EVENT_DAYS = 15
# A segment of a table is about so large, and a run has at most so many of one table.
SEGMENT_ITEMS = 50_000
MOST_SEGMENTS = 32
# A report names so many of a unit's failures, and counts them all.
MOST_NAMED = 5
UNKNOWN_CLASS = "unknown"

_DATED = re.compile(r"requests/(\d{4}-\d{2}-\d{2})/")


class Store(StrEnum):
    REQUESTS = "requests"
    REVIEWS = "reviews"
    CACHE = "cache"
    CONTROL = "control"
    PAYLOADS = "payloads"


TABLES = (Store.REQUESTS, Store.REVIEWS, Store.CACHE, Store.CONTROL)


class Objects(StrEnum):
    """How a part of the payload bucket says when it is over."""

    DATED = "dated"  # by the day in its name
    UNDATED = "undated"  # by the longest class
    EVENTS = "events"


class Outcome(StrEnum):
    COMPLETE = "COMPLETE"
    INCOMPLETE = "INCOMPLETE"  # something could not be looked at or deleted; it is listed


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of a store that one child of the run goes through: a segment of a table, or objects of one kind."""

    store: Store
    segment: int = 0
    segments: int = 1
    objects: Objects | None = None
    prefix: str = ""

    @classmethod
    def from_json(cls, raw: dict) -> "Unit":
        objects = raw["objects"] and Objects(raw["objects"])
        return cls(Store(raw["store"]), raw["segment"], raw["segments"], objects, raw["prefix"])

    def to_json(self) -> dict:
        return {
            "store": self.store,
            "segment": self.segment,
            "segments": self.segments,
            "objects": self.objects,
            "prefix": self.prefix,
        }


@dataclass(frozen=True, slots=True)
class Expired:
    """An item or object whose time is over: its key, since when, its class, and the objects that go with it."""

    key: str
    expires_at: int
    kept_as: str
    objects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """What one read of a unit found, and where the next one begins; nowhere if the unit is done."""

    expired: list[Expired]
    seen: int
    cursor: str


@dataclass(slots=True)
class Deletion:
    """What of a page could not go: prolonged meanwhile, or failed, with the error's name."""

    kept: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tally:
    """What has become of a unit so far."""

    seen: int = 0
    deleted: dict[str, int] = field(default_factory=dict)  # by class
    kept: int = 0
    failures: int = 0
    failed: tuple[tuple[str, str], ...] = ()  # the first MOST_NAMED: key, error
    behind_seconds: int = 0  # by how much the longest overdue one was

    @classmethod
    def from_json(cls, raw: dict) -> "Tally":
        return cls(**raw | {"failed": tuple(map(tuple, raw["failed"]))}) if raw else cls()

    def to_json(self) -> dict:
        return {
            "seen": self.seen,
            "deleted": self.deleted,
            "kept": self.kept,
            "failures": self.failures,
            "failed": [list(each) for each in self.failed],
            "behind_seconds": self.behind_seconds,
        }

    def after(self, page: Page, deletion: Deletion, now: float) -> "Tally":
        """The tally with one more page."""
        deleted = dict(self.deleted)
        for each in page.expired:
            if each.key not in deletion.kept and each.key not in deletion.failed:
                deleted[each.kept_as] = deleted.get(each.kept_as, 0) + 1
        overdue = [int(now) - each.expires_at for each in page.expired if each.key not in deletion.kept]
        return replace(
            self,
            seen=self.seen + page.seen,
            deleted=deleted,
            kept=self.kept + len(deletion.kept),
            failures=self.failures + len(deletion.failed),
            failed=(*self.failed, *deletion.failed.items())[:MOST_NAMED],
            behind_seconds=max([self.behind_seconds, *overdue]),
        )


def segments_of(store: Store, items: int) -> list[Unit]:
    """The units of a table that has about so many items."""
    segments = min(MOST_SEGMENTS, 1 + items // SEGMENT_ITEMS)
    return [Unit(store, segment, segments) for segment in range(segments)]


def day_of(key: str) -> str | None:
    """The day in an object's name, behind which it is over."""
    found = _DATED.match(key)
    return found and found[1]


def objects_of(days: Iterable[str], today: str) -> list[Unit]:
    """The units of the payload bucket: each day that is over, and what has no day in its name."""
    return [
        *(Unit(Store.PAYLOADS, objects=Objects.DATED, prefix=f"requests/{day}/") for day in days if day < today),
        Unit(Store.PAYLOADS, objects=Objects.UNDATED, prefix="requests/"),
        Unit(Store.PAYLOADS, objects=Objects.EVENTS, prefix="events/"),
    ]


def behind_days(year: str) -> str:
    """Where a listing goes on behind all days of a year, which come before any other name that begins with it."""
    return f"requests/{year}."


def report_of(units: list[dict], results: list[dict], started_at: str, ended_at: str, dry_run: bool) -> dict:
    """What a run did, by store and class; a unit that gave no result is listed as failed."""
    stores: dict[str, dict] = {}
    failed: list[dict] = []
    missing = [unit for unit in units if unit not in [result["unit"] for result in results]]
    for unit in units:
        stores.setdefault(
            unit["store"], {"seen": 0, "deleted": {}, "kept": 0, "failures": 0, "behind_seconds": 0, "units": 0}
        )["units"] += 1
    for result in [*results, *({"unit": unit, "tally": {}, "error": "Lost"} for unit in missing)]:
        unit, tally, told = result["unit"], Tally.from_json(result["tally"]), stores[result["unit"]["store"]]
        told["seen"] += tally.seen
        for kept_as, count in tally.deleted.items():
            told["deleted"][kept_as] = told["deleted"].get(kept_as, 0) + count
        told["kept"] += tally.kept
        told["failures"] += tally.failures + bool(result["error"])
        told["behind_seconds"] = max(told["behind_seconds"], tally.behind_seconds)
        failed += [{"store": unit["store"], "key": key, "error": error} for key, error in tally.failed]
        if result["error"]:
            part = unit["prefix"] or f"segment {unit['segment'] + 1} of {unit['segments']}"
            failed.append({"store": unit["store"], "key": part, "error": result["error"]})
    failures = sum(told["failures"] for told in stores.values())
    return {
        "outcome": Outcome.INCOMPLETE if failures else Outcome.COMPLETE,
        "dry_run": dry_run,
        "started_at": started_at,
        "ended_at": ended_at,
        "deleted": sum(sum(told["deleted"].values()) for told in stores.values()),
        "failures": failures,
        "behind_seconds": max((told["behind_seconds"] for told in stores.values()), default=0),
        "stores": stores,
        "failed": failed,
    }
