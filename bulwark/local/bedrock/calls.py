"""What the emulator was asked, counted: operation, model, outcome, tokens and time, never words."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    operation: str
    model: str | None
    outcome: str  # a stop reason, an exception's name, or "ok"
    input_tokens: int
    output_tokens: int
    latency_ms: int
    at: float


class Calls:
    """The latest calls, and a count of all."""

    def __init__(self, keep: int = 20_000) -> None:
        self._lock = threading.Lock()
        self._latest: deque[Call] = deque(maxlen=keep)
        self._counts: dict[tuple[str, str | None, str], int] = {}

    def record(
        self,
        operation: str,
        model: str | None,
        outcome: str,
        usage: dict[str, int] | None = None,
        ms: int = 0,
    ) -> None:
        usage = usage or {}
        call = Call(
            operation,
            model,
            outcome,
            usage.get("inputTokens", 0),
            usage.get("outputTokens", 0),
            ms,
            time.time(),
        )
        with self._lock:
            self._latest.append(call)
            key = (operation, model, outcome)
            self._counts[key] = self._counts.get(key, 0) + 1

    def count(self, operation: str | None = None, model: str | None = None, outcome: str | None = None) -> int:
        """How many calls match; what is not given matches all."""
        wanted = (operation, model, outcome)
        with self._lock:
            return sum(
                number
                for key, number in self._counts.items()
                if all(want is None or want == has for want, has in zip(wanted, key, strict=True))
            )

    def latest(self) -> list[Call]:
        with self._lock:
            return list(self._latest)

    def summary(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {"operation": operation, "model": model, "outcome": outcome, "calls": number}
                for (operation, model, outcome), number in sorted(self._counts.items(), key=str)
            ]

    def clear(self) -> None:
        with self._lock:
            self._latest.clear()
            self._counts.clear()
