"""The Lambda Runtime API (2018-06-01) towards one worker: one socket, spoken by whoever invokes the worker."""

import re
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from bulwark.local.gate import LOOPBACK, refusal

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect: *100-continue", re.IGNORECASE)
_REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class WorkerGone(Exception):
    """The worker's process closed its side."""


@dataclass(frozen=True)
class Request:
    """A call of the worker's."""

    method: bytes
    path: bytes
    body: bytes


class RuntimeApi:
    """Waits for the worker's calls and, meanwhile, hands its output to `on_output`."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._hosts = [f"{name}:{self._listener.getsockname()[1]}" for name in LOOPBACK]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._received: dict[socket.socket, bytes] = {}
        self._workers: set[socket.socket] = set()
        self._continued: set[socket.socket] = set()
        self._output: int | None = None
        self._on_output: Callable[[], bool] | None = None

    def watch_output(self, descriptor: int, on_output: Callable[[], bool]) -> None:
        """Call on_output whenever there is some; it returns False at the end of the output."""
        self._output, self._on_output = descriptor, on_output
        self._selector.register(descriptor, selectors.EVENT_READ)

    def next_request(self, deadline: float) -> tuple[Request, socket.socket] | None:
        """The worker's next call, or None at the deadline (of time.monotonic)."""
        while True:
            if complete := self._complete():
                return complete
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            for key, _ in self._selector.select(left):
                self._read(key.fileobj)

    def answer_next(self, connection: socket.socket, headers: dict[str, str], payload: bytes) -> None:
        """Give the worker an invocation."""
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(["HTTP/1.1 200 OK", *lines, f"Content-Length: {len(payload)}", "", ""])
        self._send(connection, head.encode() + payload)

    def accept(self, connection: socket.socket) -> None:
        """Tell the worker that its call was taken."""
        self._send(connection, _ACCEPTED)

    def is_gone(self) -> bool:
        """Whether a worker that was waiting has hung up."""
        for key, _ in self._selector.select(0):
            try:
                self._read(key.fileobj)
            except WorkerGone:
                return True
        return False

    def close(self) -> None:
        for each in (*self._received, self._listener):
            each.close()
        self._selector.close()

    def _read(self, source: object) -> None:
        if source is self._listener:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._received[connection] = b""
            self._selector.register(connection, selectors.EVENT_READ)
        elif isinstance(source, socket.socket):
            self._receive(source)
        elif self._on_output and not self._on_output():
            self._selector.unregister(self._output)
            raise WorkerGone

    def _receive(self, connection: socket.socket) -> None:
        try:
            piece = connection.recv(1 << 18)
        except ConnectionError:
            piece = b""
        if piece:
            self._received[connection] += piece
            return
        was_worker = connection in self._workers
        self._drop(connection)
        # awslambdaric reports a failed start on a connection of its own; the first one is the worker itself.
        if was_worker and not self._workers:
            raise WorkerGone

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._workers.discard(connection)
        del self._received[connection]
        connection.close()

    def _let_in(self, connection: socket.socket, head: bytes) -> bool:
        """Whether a call is a worker's, and no page's in a browser."""
        lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
        environ = {f"HTTP_{name.strip().upper().replace('-', '_')}": value.strip() for name, _, value in lines}
        if refusal(environ, self._hosts) is None:
            self._workers.add(connection)
            return True
        try:
            connection.sendall(_REFUSED)
        except OSError:
            pass
        self._drop(connection)
        return False

    def _complete(self) -> tuple[Request, socket.socket] | None:
        for connection, received in list(self._received.items()):
            head, separator, rest = received.partition(b"\r\n\r\n")
            if not separator or not self._let_in(connection, head):
                continue
            if _EXPECT.search(head) and connection not in self._continued:
                self._continued.add(connection)
                self._send(connection, b"HTTP/1.1 100 Continue\r\n\r\n")
            body = _body(head, rest)
            if body is None:
                continue
            self._continued.discard(connection)
            content, self._received[connection] = body
            method, path, _ = head.split(b" ", 2)
            return Request(method, path, content), connection
        return None

    def _send(self, connection: socket.socket, data: bytes) -> None:
        try:
            connection.sendall(data)
        except OSError as error:
            raise WorkerGone from error


def _body(head: bytes, rest: bytes) -> tuple[bytes, bytes] | None:
    """The body and what follows it, or None while it is incomplete."""
    if _CHUNKED.search(head):
        return _unchunked(rest)
    found = _LENGTH.search(head)
    length = int(found[1]) if found else 0
    return (rest[:length], rest[length:]) if len(rest) >= length else None


def _unchunked(rest: bytes) -> tuple[bytes, bytes] | None:
    body = []
    while True:
        size, separator, rest = rest.partition(b"\r\n")
        if not separator:
            return None
        length = int(size, 16)
        if len(rest) < length + 2:
            return None
        body.append(rest[:length])
        rest = rest[length + 2 :]
        if length == 0:
            return b"".join(body), rest
