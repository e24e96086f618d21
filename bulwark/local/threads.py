"""A bounded pool of daemon threads: it never keeps the process from ending, which the standard pool does."""

import heapq
import itertools
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any


class Threads:
    """Runs work in at most `most` threads, started as they are needed."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._work: queue.SimpleQueue[Callable[[], Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._pending = 0
        self._stopped = False
        self._numbers = itertools.count()
        self._later: list[tuple[float, int, Callable[[], Any]]] = []
        self._later_changed = threading.Condition(self._lock)
        self._clock: threading.Thread | None = None

    def submit(self, work: Callable[..., Any], *arguments: Any) -> None:
        with self._lock:
            if self._stopped:
                return
            self._queue(partial(work, *arguments))

    def submit_later(self, seconds: float, work: Callable[..., Any], *arguments: Any) -> None:
        """Submit work when some time has passed; no thread waits for it."""
        with self._later_changed:
            if self._stopped:
                return
            moment = time.monotonic() + seconds
            heapq.heappush(self._later, (moment, next(self._numbers), partial(work, *arguments)))
            if self._clock is None:
                self._clock = threading.Thread(target=self._watch_clock, name=f"{self._name}-clock", daemon=True)
                self._clock.start()
            self._later_changed.notify()

    @property
    def pending(self) -> int:
        """How much work is queued, under way or waiting for its time."""
        with self._lock:
            return self._pending + len(self._later)

    def stop(self, seconds: float = 2) -> None:
        """Take no more work, drop what is queued, and wait a moment for what is under way."""
        with self._later_changed:
            self._stopped = True
            self._later.clear()
            self._later_changed.notify()
            threads = list(self._threads)
        try:
            while True:
                self._work.get_nowait()
        except queue.Empty:
            pass
        for _ in threads:
            self._work.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(seconds)

    def _queue(self, work: Callable[[], Any]) -> None:
        self._pending += 1
        if self._pending > len(self._threads) and len(self._threads) < self._most:
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._work.put(work)

    def _watch_clock(self) -> None:
        with self._later_changed:
            while not self._stopped:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    self._queue(heapq.heappop(self._later)[2])
                self._later_changed.wait(self._later[0][0] - now if self._later else None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:  # a thread outlives its work
                if not self._stopped:
                    print(f"{threading.current_thread().name}: {traceback.format_exc()}", file=sys.stderr)
            finally:
                with self._lock:
                    self._pending -= 1
