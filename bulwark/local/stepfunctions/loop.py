"""One thread for every execution: each is a greenlet, parked while it waits, so that ten thousand cost no thread.

Only a map's children, which moto runs in threads of its own, and synchronous executions, whose caller waits in a
thread anyway, wait in theirs.
"""

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from greenlet import GreenletExit, getcurrent, greenlet

_IDLE_SECONDS = 10
logger = logging.getLogger(__name__)


class Signal:
    """Something that one waiter waits for; once given it stays given."""

    __slots__ = ("_wake", "given")

    def __init__(self) -> None:
        self.given = False
        self._wake: Callable[[], None] | None = None

    def give(self) -> None:
        self.given = True
        if wake := self._wake:
            wake()

    def wait(self, seconds: float) -> bool:
        """Park the greenlet, or the thread, that calls; False when the time is up."""
        parking = loop.parking() or _Blocking()
        # Whoever gives sets `given` before it looks for whom to wake, and whoever waits looks for it after.
        self._wake = parking.wake
        if not self.given:
            parking.wait(seconds)
        self._wake = None
        return self.given

    # As moto's callbacks call it.
    set = give


class _Blocking:
    """How a thread waits."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.wake = self._event.set

    def wait(self, seconds: float) -> None:
        self._event.wait(min(seconds, threading.TIMEOUT_MAX))


class _Parking:
    """How a greenlet waits: one stay of it, which one call ends."""

    __slots__ = ("_loop", "greenlet")

    def __init__(self, its_loop: "Loop", its_greenlet: greenlet) -> None:
        self._loop, self.greenlet = its_loop, its_greenlet

    def wake(self) -> None:
        self._loop.resume(self)

    def wait(self, seconds: float) -> None:
        self._loop.alarm(self, seconds)
        self.greenlet.parent.switch()
        # A call or an alarm that comes later finds nobody.
        self.greenlet = None


class Lane:
    """Jobs of one kind, so many of them at once."""

    def __init__(self, limit: float = float("inf")) -> None:
        self.free = limit
        self.waiting: deque[Callable[[], None]] = deque()


class Loop:
    """Starts jobs as greenlets, and goes on with those that are woken."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._ready: deque[_Parking] = deque()
        self._new: deque[tuple[Lane, Callable[[], None]]] = deque()
        self._alarms: list[tuple[float, int, _Parking]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._alive = 0

    def submit(self, lane: Lane, job: Callable[[], None]) -> None:
        """Run a job soon; beyond its lane's limit it waits its turn."""
        with self._changed:
            if lane.free <= 0:
                lane.waiting.append(job)
                return
            lane.free -= 1
            self._new.append((lane, job))
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="executions", daemon=True)
                self._thread.start()

    def parking(self) -> _Parking | None:
        """Where the caller can wait, if it is a greenlet of this loop."""
        if threading.current_thread() is not self._thread:
            return None
        return _Parking(self, getcurrent())

    def resume(self, parking: _Parking) -> None:
        """Go on with a greenlet, from any thread."""
        with self._changed:
            self._ready.append(parking)
            self._changed.notify()

    def alarm(self, parking: _Parking, seconds: float) -> None:
        """Resume a greenlet of this loop by itself after a time."""
        if seconds < threading.TIMEOUT_MAX:
            heapq.heappush(self._alarms, (time.monotonic() + seconds, next(self._numbers), parking))

    def _work(self) -> None:
        while self._await_work():
            while self._alarms and self._alarms[0][0] <= time.monotonic():
                self._ready.append(heapq.heappop(self._alarms)[2])
            # What these bring about waits for the next turn.
            for _ in range(len(self._ready)):
                if parked := self._ready.popleft().greenlet:
                    parked.switch()
            for _ in range(len(self._new)):
                lane, job = self._new.popleft()
                greenlet(self._run).switch(lane, job)

    def _await_work(self) -> bool:
        with self._changed:
            while not self._ready and not self._new:
                while self._alarms and self._alarms[0][2].greenlet is None:
                    heapq.heappop(self._alarms)
                left = self._alarms[0][0] - time.monotonic() if self._alarms else None
                if left is not None and left <= 0:
                    return True
                rests = not self._alive and left is None
                woken = self._changed.wait(_IDLE_SECONDS if rests else left)
                if rests and not woken and not self._ready and not self._new:
                    self._thread = None
                    return False
            return True

    def _run(self, lane: Lane, job: Callable[[], None]) -> None:
        self._alive += 1
        try:
            job()
        except GreenletExit:
            pass
        except BaseException:
            # Whatever ends one of them, the loop is the others'.
            logger.exception("an execution's job failed")
        finally:
            self._alive -= 1
            with self._changed:
                lane.free += 1
                following = lane.waiting.popleft() if lane.waiting else None
            if following:
                self.submit(lane, following)


loop = Loop()
