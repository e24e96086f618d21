"""Planned maintenance in the control table: a spell for a use case, in which what metrics say is no evidence."""

import os

from adapters.dynamodb import get


def spell(use_case: str) -> tuple[float, float]:
    """From when until when maintenance is or was planned last, `bulwark maintenance` wrote it; (0, 0) if never."""
    item = get(os.environ["CONTROL_TABLE"], {"control_key": f"maintenance#{use_case}"})
    return (float(item["since"]), float(item["until"])) if item else (0.0, 0.0)
