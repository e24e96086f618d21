"""Publishes outcomes; a malformed event never leaves the process, and one refused is told apart from the rest."""

import json
import os

import boto3

from adapters import schemas

# PutEvents takes ten entries and 1 MB in all
# (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html).
MAX_ENTRIES = 10
MAX_BYTES = 1_000_000
SOURCE = "bulwark"

client = boto3.client("events")


def publish(events: list[tuple[str, dict]]) -> list[str | None]:
    """Publish (detail-type, detail) pairs; gives for each the error, or None if the bus took it."""
    errors: list[str | None] = []
    batch: list[dict] = []
    size = 0
    for detail_type, detail in events:
        entry = _entry(detail_type, detail)
        cost = len(entry["Detail"].encode()) + 512
        if batch and (len(batch) == MAX_ENTRIES or size + cost > MAX_BYTES):
            errors += _put(batch)
            batch, size = [], 0
        batch.append(entry)
        size += cost
    return errors + (_put(batch) if batch else [])


def fits(detail: dict) -> bool:
    """Whether a detail may travel in one event."""
    return len(json.dumps(detail, ensure_ascii=False).encode()) + 512 <= MAX_BYTES


def _entry(detail_type: str, detail: dict) -> dict:
    schemas.check_event(detail_type, detail)
    return {
        "EventBusName": os.environ["EVENT_BUS"],
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(detail, ensure_ascii=False),
    }


def _put(entries: list[dict]) -> list[str | None]:
    result = client.put_events(Entries=entries)
    return [entry.get("ErrorCode") for entry in result["Entries"]]
