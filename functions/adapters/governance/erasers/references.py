"""References: where a request's objects lie, and what can name anything in a store at all."""

from adapters import payloads
from adapters.clock import iso
from domain.governance import holds

# Where events lie that came by reference.
EVENTS = "events/"
# What S3 takes as a name; DynamoDB takes twice as much as a key.
MOST_KEY_BYTES = 1024
_NAMED = ("requests/", holds.HELD_OBJECTS, EVENTS)


def objects_of(record: dict) -> list[str]:
    """What a request refers to, and what lies beside it: an attempt that was not first leaves texts behind."""
    return sorted(_references_of(record).union(*map(payloads.listed, folders_of(record))))


def folders_of(record: dict) -> list[str]:
    """Where a request's objects lie, whether or not something refers to them: under its own name, and its last day."""
    owner = payloads.owner_of(record["request_key"])
    folders = {f"requests/{owner}/"}
    folders |= {ref.rpartition("/")[0] + "/" for ref in _references_of(record) if f"/{owner}/" in ref}
    days = {name: iso(int(record[name]))[:10] for name in ("expires_at", "held_expires_at") if name in record}
    folders |= {f"requests/{day}/{owner}/" for day in days.values()}
    if day := days.get("held_expires_at"):
        folders.add(f"{holds.HELD_OBJECTS}{day}/{owner}/")
    return sorted(folders)


def _references_of(record: dict) -> set[str]:
    places = [record, record.get("review") or {}]
    return {value for place in places for name, value in place.items() if _is_reference(name, value)}


def _is_reference(name: str, value: object) -> bool:
    return name.endswith("_ref") and isinstance(value, str) and value.startswith(_NAMED)


def can_be_key(text: object) -> bool:
    """Whether what somebody wrote can name anything in a store: to look for it there would raise otherwise."""
    if not isinstance(text, str):
        return False
    try:
        return 0 < len(text.encode()) <= MOST_KEY_BYTES
    except UnicodeEncodeError:
        return False
