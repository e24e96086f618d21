"""What callers wait for here and would not on AWS: a free worker, its start, a thread. It counts on nobody's clock."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_thread = threading.local()


class Clock:
    """How long one call has waited for capacity."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._since: float | None = None

    @property
    def waited(self) -> float:
        since = self._since
        return self._waited + (0.0 if since is None else time.monotonic() - since)

    def pause(self) -> None:
        self._since = time.monotonic()

    def go_on(self) -> None:
        self._waited, self._since = self.waited, None


@contextmanager
def counted_on(clock: Clock) -> Iterator[None]:
    """Count what this thread waits for capacity on a clock."""
    _thread.clock = clock
    try:
        yield
    finally:
        _thread.clock = None


@contextmanager
def awaited() -> Iterator[None]:
    """What is done here is waiting for capacity."""
    clock = getattr(_thread, "clock", None)
    if clock is None:
        yield
        return
    clock.pause()
    try:
        yield
    finally:
        clock.go_on()
