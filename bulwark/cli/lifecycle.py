"""The states an execution went through, from its history or from its lifecycle lines in a log."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

_FAILURES = ("Failed", "TimedOut", "Aborted")


@dataclass
class Step:
    """One visit to a state; `took` is None while the execution is in it."""

    state: str
    entered: float
    took: float | None = None
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict:
        took = None if self.took is None else round(self.took, 3)
        return {"state": self.state, "entered": self.entered, "took_seconds": took, "notes": self.notes}


def steps_of(events: Iterable[dict[str, Any]]) -> list[Step]:
    """Read events that have an id, a type, a moment `at` in epoch seconds, and details of any name."""
    steps: list[Step] = []
    for event in sorted(events, key=lambda event: event["id"]):
        kind, details = event["type"], _details(event)
        if kind.endswith("StateEntered"):
            steps.append(Step(details["name"], event["at"]))
        elif kind.endswith("StateExited") and steps:
            step = next((one for one in reversed(steps) if one.state == details["name"]), steps[-1])
            step.took = event["at"] - step.entered
        elif kind.endswith(_FAILURES) and steps:
            error = details.get("error") or kind
            steps[-1].notes.append(f"execution ends: {error}" if kind.startswith("Execution") else error)
            if kind.startswith("Execution") and steps[-1].took is None:
                steps[-1].took = event["at"] - steps[-1].entered
    return steps


def _details(event: dict[str, Any]) -> dict[str, Any]:
    for name, value in event.items():
        if isinstance(value, dict) and name.lower().endswith("details"):
            return value
    return {}
