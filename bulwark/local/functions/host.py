"""The function host: a pool of workers per function, as many as its cap, and a queue for who comes later."""

import json
import queue
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from bulwark.local import capacity
from bulwark.local.functions.opt import Opt
from bulwark.local.functions.processes import Zygotes
from bulwark.local.functions.specification import Function
from bulwark.local.functions.worker import Outcome, Worker, default_python

REQUEST_LIMIT = 6_291_556
# Workers of a function at most: what a small machine bears, and enough to meet races.
CONCURRENCY = 4
Log = Callable[[Function, str, str], None]


class FunctionNotFound(LookupError):
    """There is no function of that name."""


class RequestTooLarge(ValueError):
    """The payload is beyond what Lambda takes."""


class TooManyRequests(RuntimeError):
    """The function's reserved concurrency is in use."""


class HostStopped(RuntimeError):
    """The cloud has been stopped."""


class FunctionHost:
    """Runs the stack's functions in awslambdaric processes; `logs` writes what they print."""

    def __init__(self, endpoint: str, logs: Log, python: str | None = None, concurrency: int = CONCURRENCY) -> None:
        self.logs = logs
        self.concurrency = concurrency
        self._endpoint = endpoint
        self._zygotes = Zygotes(python or default_python())
        self._pools: dict[str, _Pool] = {}
        self._names: dict[str, str] = {}
        self._opt = Opt()

    def add(self, function: Function) -> None:
        """Make a function known; its workers start when it is first invoked."""
        self._pools[function.name] = _Pool(function, self._start_worker, self.concurrency)
        # The first stack's, where stacks have it alike.
        self._names.setdefault(function.logical_id, function.name)

    def function(self, name: str) -> Function:
        """A function by name, logical id or ARN, with or without a qualifier."""
        return self._pool(name).function

    def functions(self) -> list[Function]:
        return [pool.function for pool in self._pools.values()]

    def invoke(self, name: str, payload: Any) -> tuple[Any, str | None]:
        """Invoke synchronously with JSON values; returns the payload and the function error, if any."""
        outcome = self.invoke_raw(name, json.dumps(payload).encode())
        return json.loads(outcome.payload or b"null"), outcome.function_error

    def invoke_raw(self, name: str, payload: bytes, client_context: str | None = None) -> Outcome:
        """Invoke synchronously, waiting for a worker if all are busy."""
        if len(payload) > REQUEST_LIMIT:
            raise RequestTooLarge(f"{len(payload)} byte payload is too large for the RequestResponse invocation type")
        return self._pool(name).invoke(payload, str(uuid.uuid4()), client_context)

    def warm(self, *names: str) -> None:
        """Start one worker of each function named, or of all, side by side."""
        pools = [self._pool(name) for name in names] or list(self._pools.values())
        threads = [threading.Thread(target=pool.warm, daemon=True) for pool in pools]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def prepare(self, name: str) -> None:
        """Begin to start a worker of a function that is about to be invoked."""
        pool = self._pool(name)

        def warm() -> None:
            # What keeps it from starting is told to who invokes it.
            with suppress(HostStopped, OSError):
                pool.warm()

        threading.Thread(target=warm, daemon=True).start()

    def kill_workers(self, name: str | None = None, how_many: int = 1) -> int:
        """Kill workers at random, busy or idle, as a failing host would; returns how many there were to kill."""
        pools = [self._pool(name)] if name else list(self._pools.values())
        workers = [worker for pool in pools for worker in pool.workers()]
        chosen = random.sample(workers, min(how_many, len(workers)))
        for worker in chosen:
            worker.shoot()
        return len(chosen)

    def workers(self, name: str | None = None) -> list[int]:
        """The process ids of live workers."""
        pools = [self._pool(name)] if name else list(self._pools.values())
        return [worker.pid for pool in pools for worker in pool.workers()]

    def stop(self) -> None:
        """End every worker; invocations under way fail."""
        for pool in self._pools.values():
            pool.stop()
        self._zygotes.stop()
        until = time.monotonic() + 5
        while self.workers() and time.monotonic() < until:
            time.sleep(0.005)
        self._opt.remove()

    def _start_worker(self, function: Function) -> Worker:
        opt = self._opt.directory(function.layers)
        log = partial(self.logs, function)
        return Worker(function, self._zygotes.start, self._endpoint, opt, log)

    def _pool(self, name: str) -> "_Pool":
        plain = name
        if name.startswith("arn:") or name.count(":") >= 2:
            parts = name.split(":")
            plain = parts[parts.index("function") + 1] if "function" in parts else name
        else:
            plain = name.split(":")[0]
        pool = self._pools.get(plain) or self._pools.get(self._names.get(plain, ""))
        if pool is None:
            raise FunctionNotFound(f"Function not found: {name}")
        return pool


class _Pool:
    def __init__(self, function: Function, start: Callable[[Function], Worker], concurrency: int) -> None:
        self.function = function
        self._start = start
        reserved = function.reserved_concurrency
        self._size = concurrency if reserved is None else min(concurrency, reserved)
        # The last worker used is the first used again; a place that is None has no process yet.
        self._places: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(self._size):
            self._places.put(None)
        self._lock = threading.Lock()
        self._workers: set[Worker] = set()
        self._in_flight = 0
        self._stopped = False

    def invoke(self, payload: bytes, request_id: str, client_context: str | None) -> Outcome:
        self._count_in()
        try:
            with capacity.awaited():
                worker = self._places.get()
            try:
                with capacity.awaited():
                    worker, started = self._ready(worker)
                if not started:
                    return worker.failed_start(request_id)
                return worker.invoke(payload, request_id, client_context)
            finally:
                self._give_back(worker)
        finally:
            with self._lock:
                self._in_flight -= 1

    def warm(self) -> None:
        if self._size == 0:
            return
        worker = self._places.get()
        try:
            worker, started = self._ready(worker)
            if not started:
                worker.kill()
        finally:
            self._give_back(worker)

    def workers(self) -> list[Worker]:
        with self._lock:
            return [worker for worker in self._workers if worker.alive]

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            workers = list(self._workers)
        for worker in workers:
            worker.shoot()
        # Whoever drives a worker buries it; those in their places are ours to bury.
        while True:
            try:
                worker = self._places.get_nowait()
            except queue.Empty:
                break
            if worker is not None:
                worker.kill()
        for _ in range(self._in_flight + 1):
            self._places.put(None)

    def _count_in(self) -> None:
        with self._lock:
            reserved = self.function.reserved_concurrency
            if reserved is not None and self._in_flight >= reserved:
                raise TooManyRequests("Rate Exceeded.")
            self._in_flight += 1

    def _ready(self, worker: Worker | None) -> tuple[Worker, bool]:
        """A worker that has started; one that died while idle is replaced, as Lambda does unseen."""
        if worker is not None:
            if worker.alive and worker.start():
                return worker, True
            self._bury(worker)
        with self._lock:
            if self._stopped:
                raise HostStopped("the embedded AWS has been stopped")
        worker = self._start(self.function)
        with self._lock:
            self._workers.add(worker)
            if self._stopped:
                worker.shoot()
        return worker, worker.start()

    def _give_back(self, worker: Worker | None) -> None:
        if worker is not None and (not worker.alive or self._stopped):
            self._bury(worker)
            worker = None
        self._places.put(worker)

    def _bury(self, worker: Worker) -> None:
        worker.kill()
        with self._lock:
            self._workers.discard(worker)
