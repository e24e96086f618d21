"""Publishes outcomes; a malformed event never leaves the process, and one refused is told apart from the rest."""

import hashlib
import json
import os
from functools import cache
from typing import Any

import boto3

from adapters import schemas

# PutEvents takes ten entries and 1 MB in all
# (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html).
MAX_ENTRIES = 10
MAX_BYTES = 1_000_000
ENVELOPE_BYTES = 512
SOURCE = "bulwark"


@cache
def client() -> Any:
    """The client of EventBridge, made for the first event: most who may announce something seldom do."""
    return boto3.client("events")


def entry(detail_type: str, detail: dict) -> dict:
    """An event ready to be published; raises SchemaViolated if it is malformed."""
    schemas.check_event(detail_type, detail)
    return {
        "EventBusName": os.environ["EVENT_BUS"],
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(detail, ensure_ascii=False),
    }


def event_id(*parts: str) -> str:
    """The stable id of an announcement, the same for every copy of it."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def publish(entries: list[dict]) -> list[str | None]:
    """Publish entries in as few calls as they fit; gives for each the error, or None if the bus took it."""
    errors: list[str | None] = []
    batch: list[dict] = []
    size = 0
    for one in entries:
        cost = len(one["Detail"].encode()) + ENVELOPE_BYTES
        if batch and (len(batch) == MAX_ENTRIES or size + cost > MAX_BYTES):
            errors += _put(batch)
            batch, size = [], 0
        batch.append(one)
        size += cost
    return errors + (_put(batch) if batch else [])


def announce(detail_type: str, detail: dict) -> None:
    """Publish one event; raises if the bus does not take it, so that whoever announces is run again."""
    [error] = publish([entry(detail_type, detail)])
    if error:
        raise RuntimeError(f"the bus did not take {detail_type}: {error}")


def fits(detail: dict) -> bool:
    """Whether a detail may travel in one event."""
    return len(json.dumps(detail, ensure_ascii=False).encode()) + ENVELOPE_BYTES <= MAX_BYTES


def _put(entries: list[dict]) -> list[str | None]:
    result = client().put_events(Entries=entries)
    return [entry.get("ErrorCode") for entry in result["Entries"]]
