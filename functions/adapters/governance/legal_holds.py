"""Legal holds on all that is kept of a subject: its records, their reviews and verdicts, and the objects they name.

Copies come before what refers to them, deletions behind, and each record with its review is one transaction that
checks the hold: whatever dies or comes twice in between, the next call goes on.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adapters import payloads, requests_table, subject_index, subject_keys
from adapters.dynamodb import BACKOFF_SECONDS, ConditionFailed, transact, update
from adapters.reviews import reviews_table
from domain.errors import HoldChanged, TableContended
from domain.governance import holds
from domain.outcomes import review_id_of

ATTEMPTS = 5
REQUESTS, REVIEWS = "requests", "reviews"
Place = tuple[str, str]  # which of the two, and the key


@dataclass(slots=True)
class Progress:
    """How far a call came: what it went through and changed, objects that were gone, and where to go on."""

    records: int = 0
    changed: int = 0
    lost: int = 0
    cursor: str = ""

    def to_json(self) -> dict:
        return {"records": self.records, "changed": self.changed, "lost": self.lost, "cursor": self.cursor}


def apply(ref: str, cursor: str, is_time_up: Callable[[], bool]) -> Progress:
    """Hold what there is of a subject behind a cursor; raises HoldChanged if its hold does not stand (any more)."""
    return _go_through(ref, cursor, is_time_up, lambda place: _hold(ref, place))


def release(ref: str, cursor: str, now: float, is_time_up: Callable[[], bool]) -> Progress:
    """Release what there is of a subject behind a cursor; raises HoldChanged if its hold is not being lifted."""
    return _go_through(ref, cursor, is_time_up, lambda place: _release(ref, place, now))


def _go_through(
    ref: str, cursor: str, is_time_up: Callable[[], bool], work: Callable[[Place], tuple[bool, int]]
) -> Progress:
    progress = Progress()
    for place in _places(ref, cursor):
        if progress.records and is_time_up():
            return progress
        changed, lost = work(place)
        progress.records += 1
        progress.changed += changed
        progress.lost += lost
        progress.cursor = ":".join(place)
    progress.cursor = ""
    return progress


def _hold(ref: str, place: Place) -> tuple[bool, int]:
    for attempt in range(ATTEMPTS):
        items = _items(place)
        lost = {name for _, _, item in items for name in holds.to_hold(item) if not _copied(name)}
        changes = [(table, key, item, holds.hold(item, lost)) for table, key, item in items]
        if _written(subject_keys.hold_stands(ref, lifting=False), changes, ref, attempt):
            return any(changed for *_, changed in changes), len(lost)
    raise TableContended(f"{ATTEMPTS} attempts met other writers of the same record")


def _release(ref: str, place: Place, now: float) -> tuple[bool, int]:
    for attempt in range(ATTEMPTS):
        items = _items(place)
        held = {name for _, _, item in items for name in holds.to_release(item)}
        lost = {name for name in held if not payloads.copy(name, holds.released_name(name))}
        changes = [(table, key, item, holds.release(item, now)) for table, key, item in items]
        if _written(subject_keys.hold_stands(ref, lifting=True), changes, ref, attempt):
            # Also what a call that died here had released already.
            released = {name for _, _, item in items for name in holds.objects(item)} - held
            payloads.delete(sorted(held | {holds.held_name(name) for name in released}))
            return any(changed for *_, changed in changes), len(lost)
    raise TableContended(f"{ATTEMPTS} attempts met other writers of the same record")


def _copied(name: str) -> bool:
    """Copy an object to where held ones are; its original stays until its day, for whoever reads it just now."""
    return payloads.copy(name, holds.held_name(name)) or payloads.exists(holds.held_name(name))


def _items(place: Place) -> list[tuple[str, dict, dict]]:
    """What is read and written together: table, key and item of each."""
    requests, reviews = os.environ["REQUESTS_TABLE"], os.environ["REVIEWS_TABLE"]
    table, key = place
    if table == REVIEWS:
        review = reviews_table.find(key)
        return [(reviews, {"review_id": key}, review)] if review else []
    record, review = requests_table.find(key), reviews_table.find(review_id_of(key))
    found = [(requests, {"request_key": key}, record)] if record else []
    return found + ([(reviews, {"review_id": review["review_id"]}, review)] if review else [])


def _written(check: dict, changes: list[tuple[str, dict, dict, dict]], ref: str, attempt: int) -> bool:
    """Write what changes, if the hold is as it should be and the items as they were read; False to read them again."""
    actions = [_action(*change) for change in changes if change[3]]
    if not actions:
        return True
    try:
        transact([check, *actions])
    except ConditionFailed as failed:
        if failed.index == 0:
            raise HoldChanged(ref) from failed
        time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))
        return False
    return True


def _action(table: str, key: dict, item: dict, changed: dict) -> dict:
    kept = {name: value for name, value in changed.items() if value is not None}
    gone = tuple(name for name, value in changed.items() if value is None)
    if "version" in item:
        # Others write a review only as the next version of what they read.
        condition, seen = "#version = :seen", {"seen": item["version"]}
        return update(table, key, condition, seen, set=kept, add={"version": 1}, remove=gone)
    before = {name: item[name] for name in changed if name in item}
    condition = " AND ".join(f"#{name} = :was_{name}" for name in before)
    return update(table, key, condition, {f"was_{name}": item[name] for name in before}, set=kept, remove=gone)


def _places(ref: str, cursor: str) -> Iterator[Place]:
    """A subject's records behind a cursor, each with its review; then all reviews, as some outlive their record."""
    first, _, after = cursor.partition(":")
    for index in (REQUESTS, REVIEWS):
        if not first or index == first:
            yield from ((index, key) for key in _keys(index, ref, after))
            first = after = ""


def _keys(index: str, ref: str, after: str) -> Iterator[str]:
    if index == REQUESTS:
        return subject_index.keys(os.environ["REQUESTS_TABLE"], "request_key", ref, after=after)
    return subject_index.keys(os.environ["REVIEWS_TABLE"], "review_id", ref, after=after)
