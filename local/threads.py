"""A bounded pool of daemon threads: it never keeps the process from ending, which the standard pool does."""

import queue
import sys
import threading
import traceback
from collections.abc import Callable
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

    def submit(self, work: Callable[..., Any], *arguments: Any) -> None:
        with self._lock:
            if self._stopped:
                return
            self._pending += 1
            if self._pending > len(self._threads) and len(self._threads) < self._most:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._work.put(lambda: work(*arguments))

    @property
    def pending(self) -> int:
        """How much work is queued or under way."""
        return self._pending

    def stop(self, seconds: float = 2) -> None:
        """Take no more work, drop what is queued, and wait a moment for what is under way."""
        with self._lock:
            self._stopped = True
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

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001 - a thread outlives its work
                if not self._stopped:
                    print(f"{threading.current_thread().name}: {traceback.format_exc()}", file=sys.stderr)
            finally:
                with self._lock:
                    self._pending -= 1
