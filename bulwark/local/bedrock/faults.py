"""Scripted faults: what goes wrong, for which model or operation, how often and when."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulwark.local.bedrock.errors import SCRIPTED_ERRORS
from bulwark.local.bedrock.scenarios import base_model_id

ANSWER_FAULTS = ("empty", "truncated", "ungrounded", "refusal", "says", "token_blowup")
KINDS = {
    "converse": {*SCRIPTED_ERRORS, "latency", *ANSWER_FAULTS},
    "retrieve": {"throttle", "internal_error", "access_denied", "latency", "empty"},
    "guardrail": {"throttle", "service_unavailable", "internal_error", "access_denied", "latency"},
    "embed": {*SCRIPTED_ERRORS, "latency"},
}
_FIELDS = {
    "operation",
    "model",
    "kind",
    "probability",
    "count",
    "schedule",
    "match",
    "latency_ms",
    "factor",
    "text",
    "comment",
}


@dataclass
class Fault:
    """One scripted fault; `count` goes down with every call it spoils, and at zero it is over."""

    kind: str
    operation: str = "converse"
    model: str = "*"
    probability: float = 1.0
    count: int | None = None
    schedule: Mapping[str, float] | None = None
    match: str | None = None
    latency_ms: float = 1_000.0
    factor: float = 8.0
    text: str = ""  # what the model says, of kind "says"
    loaded_at: float = field(default=0.0, repr=False)

    def applies(self, operation: str, model: str | None, prompt: str, now: float) -> bool:
        return (
            self.operation == operation
            and self.count != 0
            and (self.model == "*" or model is None or base_model_id(self.model) == base_model_id(model))
            and (self.match is None or self.match.casefold() in prompt.casefold())
            and self._is_on(now)
        )

    def _is_on(self, now: float) -> bool:
        if self.schedule is None:
            return True
        elapsed = now - self.loaded_at - self.schedule.get("after_seconds", 0)
        on, off = self.schedule["on_seconds"], self.schedule.get("off_seconds", 0)
        if elapsed < 0:
            return False
        return elapsed < on if off <= 0 else elapsed % (on + off) < on

    def as_dict(self) -> dict[str, Any]:
        shown = {"operation": self.operation, "model": self.model, "kind": self.kind}
        for name in ("count", "schedule", "match"):
            if getattr(self, name) is not None:
                shown[name] = getattr(self, name)
        if self.probability < 1:
            shown["probability"] = self.probability
        return shown


class Faults:
    """The faults in force: those of the scenario, and beside them those loaded at run time."""

    def __init__(
        self, scenario: Iterable[Mapping[str, Any]], seed: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._rng = random.Random(f"faults-{seed}")
        self._lock = threading.Lock()
        self._standing = [_parse(fault, clock()) for fault in scenario]
        self._loaded: list[Fault] = []

    def load(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Put these faults in place of those loaded before; what makes no sense changes nothing."""
        _check(
            isinstance(document, Mapping) and isinstance(document.get("faults"), list),
            'faults come as {"faults": [...]}',
        )
        loaded = [_parse(fault, self._clock()) for fault in document["faults"]]
        with self._lock:
            self._loaded = loaded
        return self.in_force()

    def clear(self) -> None:
        """Take back what was loaded at run time; the scenario's own faults stay."""
        with self._lock:
            self._loaded = []

    def in_force(self) -> list[dict[str, Any]]:
        with self._lock:
            return [fault.as_dict() for fault in (*self._standing, *self._loaded) if fault.count != 0]

    def strike(self, operation: str, model: str | None = None, prompt: str = "") -> list[Fault]:
        """The faults that hit this call, in the order they were written."""
        with self._lock:
            now = self._clock()
            hit = [
                fault
                for fault in (*self._standing, *self._loaded)
                if fault.applies(operation, model, prompt, now)
                and (fault.probability >= 1 or self._rng.random() < fault.probability)
            ]
            hit = _up_to_first_error(hit)
            for fault in hit:
                if fault.count is not None:
                    fault.count -= 1
            return hit


def _up_to_first_error(hit: list[Fault]) -> list[Fault]:
    """A call fails once: what stands after an error is kept for a later call."""
    for index, fault in enumerate(hit):
        if fault.kind in SCRIPTED_ERRORS:
            return hit[: index + 1]
    return hit


def _parse(value: Mapping[str, Any], now: float) -> Fault:
    _check(isinstance(value, Mapping), f"a fault is an object, not {value!r}")
    unknown = sorted(set(value) - _FIELDS)
    _check(not unknown, f"fault: unknown {', '.join(unknown)}; known are {', '.join(sorted(_FIELDS))}")
    operation, kind = str(value.get("operation", "converse")), str(value.get("kind"))
    _check(
        isinstance(operation, str) and operation in KINDS,
        f"fault: operation is one of {', '.join(KINDS)}, not {operation!r}",
    )
    kinds = KINDS[operation]
    _check(
        isinstance(kind, str) and kind in kinds,
        f"fault: kind of {operation} is one of {', '.join(sorted(kinds))}, not {kind!r}",
    )
    for name, least in (("probability", 0), ("count", 0), ("latency_ms", 0), ("factor", 1)):
        number = value.get(name, least)
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        _check(is_number and number >= least, f"fault: {name} is a number of at least {least}, not {number!r}")
    schedule = value.get("schedule", {"on_seconds": 1})
    _check(
        isinstance(schedule, Mapping)
        and all(isinstance(each, int | float) for each in schedule.values())
        and schedule.get("on_seconds", 0) > 0,
        'fault: schedule comes as {"on_seconds": n, "off_seconds": n, "after_seconds": n}',
    )
    _check(
        isinstance(value.get("text", ""), str) and ("text" in value) == (kind == "says"),
        'fault: a text goes with the kind "says", and "says" needs it',
    )
    return Fault(**{key: value[key] for key in _FIELDS - {"comment"} if key in value}, loaded_at=now)


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
