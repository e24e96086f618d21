"""How a worker's process comes to be: as a fork of its function's template (see zygote.py), or as a start of its own.

Only Linux forks: elsewhere what an interpreter has loaded does not bear it.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from bulwark.local.functions.specification import Function

_ZYGOTE = (Path(__file__).parent / "zygote.py").read_text(encoding="utf-8")
# A template imports before its first worker is born.
_BIRTH_SECONDS = 60


class Process(Protocol):
    """A worker's process: `output` is what it writes, and it ends when the cloud's process does."""

    pid: int
    output: int

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit status, negative for a signal; None when it is not known in time."""

    def close(self) -> None:
        """Give back the descriptors."""


class StartedProcess:
    """A process that imports everything itself."""

    def __init__(self, python: str, function: Function, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [python, "-c", _ZYGOTE, function.handler],
            cwd=function.code,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid, self.output = self._process.pid, self._process.stdout.fileno()

    def wait(self, seconds: float | None = None) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()


class ForkedProcess:
    """A fork of its function's template."""

    def __init__(self, template: socket.socket, environment: dict[str, str]) -> None:
        reading, self._lifeline = os.pipe()
        self.output, writing = os.pipe()
        self._told, telling = os.pipe()
        self._text = b""
        self._status: int | None = None
        self._reading = threading.Lock()
        try:
            order = json.dumps({"environment": environment}).encode()
            socket.send_fds(template, [order], [reading, writing, telling])
        except OSError:
            self.close()
            raise
        finally:
            for descriptor in (reading, writing, telling):
                os.close(descriptor)
        born = self._line(_BIRTH_SECONDS)
        if born is None:
            self.close()
            raise ChildProcessError("a template gave no worker")
        self.pid = born

    def wait(self, seconds: float | None = None) -> int | None:
        with self._reading:
            if self._status is None:
                self._status = self._line(seconds)
            return self._status

    def close(self) -> None:
        for descriptor in (self._lifeline, self.output, self._told):
            os.close(descriptor)

    def _line(self, seconds: float | None) -> int | None:
        until = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._text:
            left = None if until is None else max(0.0, until - time.monotonic()) * 1000
            poll = select.poll()
            poll.register(self._told, select.POLLIN)
            piece = os.read(self._told, 64) if poll.poll(left) else b""
            if not piece:
                return None
            self._text += piece
        line, _, self._text = self._text.partition(b"\n")
        return int(line)


class Zygotes:
    """A zygote for each path of imports, a template for each function, and workers of them."""

    def __init__(self, python: str) -> None:
        self._python = python
        self._lock = threading.Lock()
        self._zygotes: dict[str, tuple[subprocess.Popen, socket.socket]] = {}
        self._templates: dict[str, tuple[Function, socket.socket]] = {}
        self._stopped = False

    def start(self, function: Function, environment: dict[str, str]) -> Process:
        """A new process of a function."""
        if not sys.platform.startswith("linux"):
            return StartedProcess(self._python, function, environment)
        try:
            return ForkedProcess(self._template(function, environment), environment)
        except OSError:
            # What ended the template, or kept it from importing, is the function's: by itself it shows what.
            self._forget(function)
            return StartedProcess(self._python, function, environment)

    def stop(self) -> None:
        """End zygotes and templates; workers end by themselves, or are ended."""
        with self._lock:
            self._stopped = True
            zygotes, templates = list(self._zygotes.values()), list(self._templates.values())
            self._zygotes, self._templates = {}, {}
        for zygote in zygotes:
            _end(*zygote)
        for _, orders in templates:
            orders.close()

    def _forget(self, function: Function) -> None:
        with self._lock:
            known = self._templates.pop(function.name, None)
            if self._stopped:
                raise ChildProcessError("the embedded AWS has been stopped")
        if known:
            known[1].close()

    def _template(self, function: Function, environment: dict[str, str]) -> socket.socket:
        with self._lock:
            if self._stopped:
                raise ChildProcessError("the embedded AWS has been stopped")
            known = self._templates.get(function.name)
            if known and known[0] == function:
                return known[1]
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            told, telling = os.pipe()
            order = {"environment": environment, "directory": str(function.code), "handler": function.handler}
            try:
                zygote = self._zygote(function, environment)
                socket.send_fds(zygote, [json.dumps(order).encode()], [theirs.fileno(), telling])
            except OSError:
                ours.close()
                # The zygote has died; who comes next has another one.
                if dead := self._zygotes.pop(environment["PYTHONPATH"], None):
                    _end(*dead)
                raise
            finally:
                theirs.close()
                os.close(told)
                os.close(telling)
            self._templates[function.name] = function, ours
            if known:
                known[1].close()
            return ours

    def _zygote(self, function: Function, environment: dict[str, str]) -> socket.socket:
        path = environment["PYTHONPATH"]
        if path not in self._zygotes:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            process = subprocess.Popen(
                [self._python, "-c", _ZYGOTE, str(theirs.fileno())],
                cwd=function.code,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            theirs.close()
            self._zygotes[path] = process, ours
        return self._zygotes[path][1]


def _end(zygote: subprocess.Popen, orders: socket.socket) -> None:
    """End a zygote and its templates, which are of its group."""
    try:
        os.killpg(zygote.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    zygote.wait()
    orders.close()
