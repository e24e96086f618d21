"""One execution environment of a function: a real awslambdaric process, driven by the thread that invokes it."""

import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bulwark.local.functions.processes import Process
from bulwark.local.functions.runtime_api import RuntimeApi, WorkerGone
from bulwark.local.functions.specification import Function, environment

# Ten seconds on Lambda; a laptop that starts a dozen workers at once is not held to it.
INIT_SECONDS = 60
RESPONSE_LIMIT = 6_291_556


@dataclass(frozen=True)
class Outcome:
    """What an invocation gave: a payload, and the kind of error if the function failed."""

    payload: bytes
    function_error: str | None = None
    request_id: str = ""


class Worker:
    """A process that waits for invocations; after one that it did not survive it is not `alive`."""

    def __init__(
        self,
        function: Function,
        start: Callable[[Function, dict[str, str]], Process],
        endpoint: str,
        opt: Path | None,
        log: Callable[[str, str], None],
    ) -> None:
        self.function, self._log = function, log
        self.log_stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{uuid.uuid4().hex}"
        self.alive = True
        self._partial = b""
        self._waiting: socket.socket | None = None
        self._init_error: bytes | None = None
        self._api = RuntimeApi()
        self._process = start(function, environment(function, endpoint, self._api.address, self.log_stream, opt))
        self._output = self._process.output
        os.set_blocking(self._output, False)
        self._api.watch_output(self._output, self._read_output)

    def start(self, deadline: float | None = None) -> bool:
        """Wait until the worker asks for its first or next invocation; False when it never will."""
        deadline = deadline or time.monotonic() + INIT_SECONDS
        try:
            while self._waiting is None:
                found = self._api.next_request(deadline)
                if found is None:
                    return False
                request, connection = found
                if request.method == b"GET":
                    self._waiting = connection
                else:
                    self._init_error = request.body
                    self._api.accept(connection)
                    return False
            return not self._api.is_gone()
        except WorkerGone:
            return False

    def failed_start(self, request_id: str) -> Outcome:
        """What Lambda answers when a function does not start."""
        if self._init_error is None:
            status = self._exit_status()
            self._init_error = _error("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited {status}")
        self.kill()
        return Outcome(self._init_error, "Unhandled", request_id)

    def invoke(self, payload: bytes, request_id: str, client_context: str | None = None) -> Outcome:
        """Run one invocation of a worker that has started."""
        seconds = self.function.timeout
        deadline = time.monotonic() + seconds
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.function.arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{request_id.replace('-', '')[:24]};Sampled=0",
        }
        if client_context:
            headers["Lambda-Runtime-Client-Context"] = client_context
        connection, self._waiting = self._waiting, None
        try:
            self._api.answer_next(connection, headers, payload)
            found = self._api.next_request(deadline)
            if found is None:
                return self._timed_out(request_id)
            request, connection = found
            self._read_output()
            self._flush_partial()
            self._api.accept(connection)
        except WorkerGone:
            return self._exited(request_id)
        if request.path.endswith(b"/error"):
            return Outcome(request.body, "Unhandled", request_id)
        if len(request.body) > RESPONSE_LIMIT:
            message = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."
            return Outcome(_error("Function.ResponseSizeTooLarge", message), "Unhandled", request_id)
        return Outcome(request.body, None, request_id)

    def shoot(self) -> None:
        """End the process from another thread; whoever drives the worker finds out."""
        if self._process.wait(0) is not None:
            # Its id may be another's by now.
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def kill(self) -> None:
        """End the process and give back everything it held."""
        if not self.alive:
            return
        self.alive = False
        self.shoot()
        self._process.wait()
        try:
            self._read_output()
        except OSError:
            pass
        self._flush_partial()
        self._api.close()
        self._process.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _timed_out(self, request_id: str) -> Outcome:
        message = f"Task timed out after {self.function.timeout:.2f} seconds"
        self.kill()
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._log(self.log_stream, f"{now} {request_id} {message}")
        return Outcome(_error("Sandbox.Timedout", f"RequestId: {request_id} Error: {message}"), "Unhandled", request_id)

    def _exited(self, request_id: str) -> Outcome:
        message = f"RequestId: {request_id} Error: Runtime exited {self._exit_status()}"
        self.kill()
        self._log(self.log_stream, message)
        return Outcome(_error("Runtime.ExitError", message), "Unhandled", request_id)

    def _exit_status(self) -> str:
        status = self._process.wait(2)
        if status is None:
            return "without answering"
        if status < 0:
            return f"with error: signal: {signal.Signals(-status).name.removeprefix('SIG').lower()}"
        return f"with error: exit status {status}" if status else "without providing a reason"

    def _read_output(self) -> bool:
        """Log what the function has written by now, line by line; False at its end."""
        while True:
            try:
                piece = os.read(self._output, 1 << 16)
            except BlockingIOError:
                return True
            if not piece:
                return False
            *lines, self._partial = (self._partial + piece).split(b"\n")
            for line in lines:
                self._write(line)

    def _flush_partial(self) -> None:
        line, self._partial = self._partial, b""
        self._write(line)

    def _write(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").rstrip("\r"):
            self._log(self.log_stream, text)


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def default_python() -> str:
    """The interpreter of the cloud itself, which has the functions' dependencies."""
    return sys.executable
