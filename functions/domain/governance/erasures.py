"""Erasures: whose message a message is, and the receipt that says what was done."""

from enum import StrEnum

# How far back the keys' own table can be restored, and how long a stream shows what was deleted.
KEYS_BACKUP_DAYS = 1
STREAM_HOURS = 24
# Requests and reviews can be restored so far back; what is restored is sealed under a key that is gone.
TABLES_BACKUP_DAYS = 35


class ErasureStatus(StrEnum):
    REQUESTED = "REQUESTED"
    WAITING = "WAITING"  # for a legal hold to be lifted
    ERASING = "ERASING"
    DONE = "DONE"


class Outcome(StrEnum):
    ERASED = "ERASED"
    UNKNOWN_SUBJECT = "UNKNOWN_SUBJECT"
    INCOMPLETE = "INCOMPLETE"  # something was still found after the last round


def event_of(body: object) -> dict:
    """The event that a message keeps: itself, or what a function was invoked with in vain."""
    if not isinstance(body, dict):
        return {}
    inner = body.get("requestPayload")
    return inner if isinstance(inner, dict) else body


def names(detail: object, subject_id: str) -> bool:
    """Whether an event's detail is about a person, or of them."""
    return isinstance(detail, dict) and subject_id in (detail.get("subject_id"), detail.get("user_id"))


def outcome_of(record: dict) -> Outcome:
    if any(record.get("residual", {}).values()):
        return Outcome.INCOMPLETE
    known = record.get("known") or any(record.get("erased", {}).values())
    return Outcome.ERASED if known else Outcome.UNKNOWN_SUBJECT


def receipt_of(record: dict) -> dict:
    """What a finished erasure can prove: nothing in it is personal."""
    receipt = {
        **{name: record[name] for name in ("erasure_id", "tenant", "subject_ref", "requested_by", "reason")},
        "outcome": outcome_of(record),
        "requested_at": record["requested_at"],
        "erased_at": record["erased_at"],
        "key_dropped_at": record.get("key_dropped_at"),
        "rounds": int(record.get("round", 0)),
        "erased": {name: int(count) for name, count in sorted(record.get("erased", {}).items())},
        "found_by_search": {name: int(count) for name, count in sorted(record.get("residual", {}).items())},
        "keys_backup_days": KEYS_BACKUP_DAYS,
        "stream_hours": STREAM_HOURS,
        "tables_backup_days": TABLES_BACKUP_DAYS,
    }
    if kept := int(record.get("kept_under_hold", 0)):
        # Of what the search found: requests about somebody else, whose legal hold keeps their user's name.
        receipt["kept_under_hold"] = kept
    if "before" in record:
        receipt["reapplied_before"] = record["before"]
    return {name: value for name, value in receipt.items() if value is not None}
