"""What a process remembers of subjects' keys, as it saw them last: asking for each would cost a call a request."""

from collections import OrderedDict

from adapters import clock
from adapters.sealing import SubjectKey

# So many subjects a process remembers.
MOST_REMEMBERED = 10_000
# So long it opens words with what it remembers; after that it asks whether the key is still there.
OPENED_FROM_MEMORY_SECONDS = 60

_remembered: OrderedDict[str, tuple[SubjectKey, float]] = OrderedDict()  # with when it was seen last


def remembered(ref: str) -> SubjectKey | None:
    """The key as this process saw it last; who seals with it has to check that it is still there."""
    if found := _remembered.get(ref):
        _remembered.move_to_end(ref)
        return found[0]
    return None


def remember(key: SubjectKey) -> None:
    _remembered[key.ref] = (key, clock.now())
    _remembered.move_to_end(key.ref)
    if len(_remembered) > MOST_REMEMBERED:
        _remembered.popitem(last=False)


def forget(ref: str) -> None:
    """What this process remembers of a subject is not so any more."""
    _remembered.pop(ref, None)


def seen_lately(ref: str, mark: str | None) -> SubjectKey | None:
    """The key that opens a record's words without asking, if it is the one that the record's mark, if any, is of."""
    key = remembered(ref)
    if key is None or clock.now() - _remembered[ref][1] >= OPENED_FROM_MEMORY_SECONDS:
        return None
    return key if mark in (None, key.mark) else None
