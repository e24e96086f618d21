"""Bridge: in moto every state, task and execution spawns threads, and nothing that waits can be woken.

Here an execution is a greenlet of one loop (see loop.py). What it waits for, a call, a token, a retry's delay, ends by
itself, by the task's timeout, by the machine's timeout or by StopExecution; waiting for capacity, which AWS has, is on
neither clock. Express executions queue for 64 places. A machine that moto waits in by its own means, for its
map's children say, has a thread for each execution.
moto has closed the gap when `Program.eval` and `ExecutionState._evaluate_with_timeout` start no thread.
"""

import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.api import ExecutionFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import EvalTimeoutError
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent

from bulwark.local.capacity import Clock, counted_on
from bulwark.local.moto_names import replace
from bulwark.local.stepfunctions.loop import Lane, Signal, loop

# What a small machine bears; whoever comes later waits for a place, or for a thread to call in.
EXPRESS_CONCURRENCY = 64
_CALLS = 64
_IDLE_SECONDS = 10
_FOREVER = float("inf")
_OWN_WAITS = {"Map", "Parallel"}

_components = "moto.stepfunctions.parser.asl.component"
_run: ContextVar["Run"] = ContextVar("run")
_task_deadline: ContextVar[float] = ContextVar("task_deadline")
logger = logging.getLogger(__name__)


class Interrupted(BaseException):
    """The execution is over in the middle of a state: stopped, out of time, or at the end of its history."""


class Run:
    """What ends one execution from outside its states."""

    def __init__(self, seconds: float | None):
        self._seconds = seconds or _FOREVER
        self._deadline = _FOREVER
        self._awaited: set[Signal] = set()
        self._lock = threading.Lock()
        self._settle: Callable[[Any], None] | None = None

    def begin(self) -> None:
        """Start the machine's own timeout."""
        self._deadline = time.monotonic() + self._seconds

    def stop(self, error: str | None, cause: str | None, stop_date: Any) -> None:
        """End the execution as ABORTED."""
        self._end(lambda env: env.set_stop(stop_date=stop_date, error=error, cause=cause))

    def fail(self, error: str, cause: str) -> None:
        """End the execution as FAILED."""
        details = ExecutionFailedEventDetails(error=error, cause=cause)
        self._end(lambda env: env.set_error(error=details))

    def settle(self, env: Any) -> None:
        """Give moto's environment the state that ended it."""
        self._settle(env)

    def check(self, waited_for_capacity: float = 0.0) -> None:
        """Raise Interrupted when the execution is over."""
        if self._settle is None and time.monotonic() >= self._deadline + waited_for_capacity:
            self._end(lambda env: env.set_timed_out())
        if self._settle is not None:
            raise Interrupted

    def wait(self, signal: Signal, seconds: float, clock: Clock | None = None) -> bool:
        """Wait for a signal; False when the time is up, to which waiting for capacity by a clock does not count."""
        clock = clock or Clock()
        deadline = min(time.monotonic() + seconds, self._deadline)
        with self._lock:
            self._awaited.add(signal)
        try:
            while (left := deadline + clock.waited - time.monotonic()) > 0 and not signal.given:
                self.check(clock.waited)
                signal.wait(left)
            self._deadline += clock.waited
            self.check()
            return signal.given
        finally:
            with self._lock:
                self._awaited.discard(signal)

    def _end(self, settle: Callable[[Any], None]) -> None:
        with self._lock:
            self._settle = self._settle or settle
            awaited = list(self._awaited)
        for signal in awaited:
            signal.give()


class Workers:
    """Daemon threads, started when needed up to a limit; they leave after ten idle seconds."""

    def __init__(self, limit: int):
        self._limit = limit
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = self._idle = self._waiting = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job soon; beyond the limit it waits its turn."""
        with self._lock:
            self._waiting += 1
            self._jobs.put(job)
            if self._waiting <= self._idle or self._threads >= self._limit:
                return
            self._threads += 1
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while job := self._next_job():
            try:
                job()
            except Exception:
                logger.exception("a worker's job failed")

    def _next_job(self) -> Callable[[], None] | None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                job = None
            with self._lock:
                self._idle -= 1
                if job:
                    self._waiting -= 1
                    return job
                if not self._waiting:
                    self._threads -= 1
                    return None


_lanes = {"EXPRESS": Lane(EXPRESS_CONCURRENCY), "STANDARD": Lane()}
_threads = {"EXPRESS": Workers(EXPRESS_CONCURRENCY), "STANDARD": Workers(10_000)}
_callers = Workers(_CALLS)
# Whoever waits in a thread may be waited for by who calls, and so does not wait for the same threads.
_callers_of_threads = Workers(10_000)


def start(definition: str, machine_type: str, work: Callable[[], None]) -> None:
    """Run an execution's work soon."""
    if _waits_by_itself(definition):
        _threads[machine_type].submit(work)
    else:
        loop.submit(_lanes[machine_type], work)


@lru_cache(maxsize=64)
def _waits_by_itself(definition: str) -> bool:
    """Whether moto waits for something of this machine by its own means, which would hold up the loop."""
    return any(
        state.get("Type") in _OWN_WAITS
        or {"HeartbeatSeconds", "HeartbeatSecondsPath"} & set(state)
        or ".sync" in state.get("Resource", "")
        or ":activity:" in state.get("Resource", "")
        for state in json.loads(definition)["States"].values()
    )


def run_of(env: Any) -> Run:
    """The run that an environment, or a frame of it, belongs to."""
    return env.event_manager.run


def current_run() -> Run:
    """The run of the execution that calls."""
    return _run.get()


def start_task(seconds: float) -> None:
    """Start the clock of the calling execution's task."""
    _task_deadline.set(time.monotonic() + seconds)


def task_seconds_left() -> float:
    """What is left of the calling execution's task timeout."""
    return _task_deadline.get() - time.monotonic()


def call(function: Callable[[], None]) -> None:
    """Call a service; past the task's timeout the call is left alone, and its answer with it."""
    done, clock = Signal(), Clock()
    errors: list[BaseException] = []

    def call_and_tell() -> None:
        clock.go_on()
        try:
            with counted_on(clock):
                function()
        except BaseException as error:
            errors.append(error)
        finally:
            done.give()

    clock.pause()
    (_callers if loop.parking() else _callers_of_threads).submit(call_and_tell)
    if not current_run().wait(done, task_seconds_left(), clock):
        raise EvalTimeoutError
    if errors:
        raise errors[0]


def _run_program(self: Any, env: Any) -> None:
    env.next_state_name = self.start_at.start_at_name
    _run.set(run_of(env))
    EvalComponent.eval(self, env)


def _sleep(seconds: float) -> None:
    current_run().wait(Signal(), seconds)


def _wait_interval(self: Any, env: Any, wait_seconds: float) -> None:
    _sleep(wait_seconds)


def install() -> None:
    """Take over moto's threads and waits."""
    replace(f"{_components}.program.program:Program.eval", _run_program)
    # Nobody waits for it any more, and an event is a kilobyte.
    environment = "moto.stepfunctions.parser.asl.eval.environment:threading"
    unawaited = SimpleNamespace(set=lambda: None, clear=lambda: None)
    replace(environment, SimpleNamespace(RLock=threading.RLock, Event=lambda: unawaited))
    replace(f"{_components}.common.retry.retrier_decl:time", SimpleNamespace(sleep=_sleep))
    replace(f"{_components}.state.wait.wait_function.wait_function:WaitFunction._wait_interval", _wait_interval)
