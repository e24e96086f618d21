"""Which code and which policy are at work: whatever is deployed changes it."""

import hashlib
from functools import cache
from pathlib import Path

from domain.policy import Policy

_ROOT = Path(__file__).resolve().parents[1]


def current(rules: Policy) -> str:
    """The same in every process of the same deploy."""
    return f"{_code()}-{rules.digest}"


@cache
def _code() -> str:
    """Of all functions' code, for they are deployed together."""
    found = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        if path.parent.parent == _ROOT:
            found.update(path.read_bytes())
    return found.hexdigest()[:16]
