"""The time, read once per event and handed to the domain."""

import time
from datetime import UTC, datetime


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def iso(epoch_seconds: float) -> str:
    """2026-11-23T09:30:02.120Z"""
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch(moment: str) -> float:
    """The seconds since the epoch of what iso() gave."""
    return datetime.fromisoformat(moment).timestamp()
