"""Connections of the servers' cheroot: what a client has not sent yet costs no thread, and not sending it ends it.

cheroot has a thread read each request, and 40 clients that send half of one have every thread wait.
"""

import math
import os
import re
import socket
import time
from contextlib import suppress
from typing import Any

from cheroot import connections, makefile, server, wsgi

HEAD_SECONDS = 5
BODY_SECONDS = 10
MOST_HEAD_BYTES = 64 * 1024
# More than this a thread reads by itself, within BODY_SECONDS: it has come quickly until now.
MOST_AWAITED_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024
# How long a client that was answered in the middle of its body may go on, so that it comes to see the answer.
_LINGER_SECONDS, _IDLE_SECONDS = 1.0, 0.2
_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,18})\r", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding *:[^\r]*chunked", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect *: *100-continue *(?=\r)", re.IGNORECASE)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_SIZE = re.compile(rb" *([0-9a-f]{1,8}) *(?:;|$)", re.IGNORECASE)
# A chunk's size, with what may stand behind it.
_MOST_SIZE_BYTES = 1024
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Socket(socket.SocketIO):
    """Read until a moment, and written to as long as the client takes something."""

    until = math.inf

    def readinto(self, buffer: Any) -> int:
        usual = self._sock.gettimeout()
        self._sock.settimeout(max(0.001, min(usual, self.until - time.monotonic())))
        try:
            return self._sock.recv_into(buffer)
        finally:
            self._sock.settimeout(usual)


class _Reader(makefile.StreamReader):
    """What was received, and then the socket."""

    def __init__(self, sock: socket.socket, size: int) -> None:
        makefile.io.BufferedReader.__init__(self, _Socket(sock, "rb"), size)
        self.bytes_read = 0

    @property
    def size(self) -> int:
        return len(self._read_buf) - self._read_pos

    @property
    def waiting(self) -> bytes:
        return self._read_buf[self._read_pos :]

    def peek(self, size: int = 0) -> bytes:
        """A piece of what is there: for each line of a head, the body behind it would be copied."""
        if not self.size:
            return super().peek(size)
        return self._read_buf[self._read_pos : self._read_pos + self.buffer_size]

    def add(self, piece: bytes) -> None:
        self._read_buf, self._read_pos = self.waiting + piece, 0

    def cut(self, start: int, end: int) -> None:
        """Take a piece out of what is there."""
        waiting = self.waiting
        self._read_buf, self._read_pos = waiting[:start] + waiting[end:], 0

    def forget(self) -> None:
        self._read_buf, self._read_pos = b"", 0


def _make_file(sock: socket.socket, mode: str, size: int) -> Any:
    return _Reader(sock, size) if mode == "rb" else makefile.StreamWriter(sock, mode, size)


class _Request(server.HTTPRequest):
    def send_headers(self) -> None:
        """An answer does not wait for a body that nobody wanted to read."""
        left = getattr(self.rfile, "remaining", 0)
        if left > self.conn.rfile.size or (self.chunked_read and not self.rfile.closed):
            self.close_connection = self.conn.is_unread = True
        super().send_headers()


class Connection(server.HTTPConnection):
    """A client's connection; a thread has it once its request is there."""

    RequestHandlerClass = _Request

    def __init__(self, owner: "WsgiServer", sock: socket.socket, _: Any = None) -> None:
        super().__init__(owner, sock, _make_file)
        sock.settimeout(BODY_SECONDS)
        self.is_unread = False
        self.await_request()

    def await_request(self) -> None:
        """Begin with what is there of the next request."""
        self.until, self._needed, self._chunk = math.inf, 0, 0
        if not self.rfile.waiting.lstrip(b"\r\n"):
            self.rfile.forget()

    def receive(self) -> bool:
        """Take what has come; False where nothing more will come."""
        try:
            piece = os.read(self.socket.fileno(), _PIECE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.rfile.add(piece)
        # The rest of what the client shut down is the thread's to answer.
        self._needed = self._needed if piece else 1
        return self.rfile.size > 0

    def has_request(self) -> bool:
        """Whether a thread can work without waiting for the client."""
        if not self.rfile.size:
            return False
        if not self._needed:
            if self.until == math.inf:
                self.until = time.monotonic() + HEAD_SECONDS
            self._needed = self._bytes_needed(self.rfile.waiting)
        if not 0 < self._needed <= self.rfile.size:
            return False
        self.until, self.rfile.raw.until = math.inf, time.monotonic() + BODY_SECONDS
        return True

    def _bytes_needed(self, waiting: bytes) -> int:
        """How many bytes are to be awaited; 0 while what is there does not say it."""
        if self._chunk:
            return self._needed_of_chunks(waiting)
        end = waiting.find(_END)
        if end < 0:
            return 1 if len(waiting) > MOST_HEAD_BYTES else 0
        head, end = waiting[: end + 2], end + len(_END)
        if not self.server.awaits_bodies:
            return end
        if expects := _EXPECT.search(head):
            # Asked for here: cheroot would ask in a thread, and wait there.
            with suppress(OSError):
                self.socket.send(_CONTINUE)
            self.rfile.cut(*expects.span())
            return self._bytes_needed(self.rfile.waiting)
        self.until += BODY_SECONDS - HEAD_SECONDS
        if _CHUNKED.search(head):
            self._chunk = end
            return self._needed_of_chunks(waiting)
        length = _LENGTH.search(head)
        return end + min(int(length[1]), MOST_AWAITED_BYTES) if length else end

    def _needed_of_chunks(self, waiting: bytes) -> int:
        """All is there with the last chunk, or with what is none: the thread that reads it says so."""
        while True:
            end = waiting.find(b"\r\n", self._chunk)
            if end < 0:
                return 1 if len(waiting) - self._chunk > _MOST_SIZE_BYTES else 0
            size = _SIZE.match(waiting, self._chunk, end)
            if not size or int(size[1], 16) == 0:
                return 1
            after = end + 2 + int(size[1], 16) + 2
            if after > MOST_AWAITED_BYTES:
                return MOST_AWAITED_BYTES
            if after > len(waiting):
                return 0
            if waiting[after - 2 : after] != b"\r\n":
                return 1
            self._chunk = after

    def refuse_late(self) -> None:
        with suppress(OSError):
            self.socket.setblocking(False)
            self.socket.send(_TOO_LATE)
        self.close()

    def close(self) -> None:
        if self.is_unread:
            self._drain()
        super().close()

    def _drain(self) -> None:
        """A socket that is closed with something unread takes back the answer that is on its way."""
        until = time.monotonic() + _LINGER_SECONDS
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(_IDLE_SECONDS)
            while time.monotonic() < until and self.socket.recv(_PIECE_BYTES):
                pass


class _Connections(connections.ConnectionManager):
    def _from_server_socket(self, server_socket: socket.socket) -> None:
        made = super()._from_server_socket(server_socket)
        if made is not None:
            self.put(made)

    def put(self, connection: Connection) -> None:
        connection.await_request()
        self.wait(connection)

    def wait(self, connection: Connection) -> None:
        """Until there is a request, or its time is over."""
        if connection.has_request():
            self.server.requests.put(connection)
            return
        connection.last_used = time.time()
        self._selector.register(connection.socket.fileno(), connections.selectors.EVENT_READ, data=connection)

    def _expire(self, threshold: float) -> None:
        super()._expire(threshold)
        now, found = time.monotonic(), list(self._selector.connections)
        for descriptor, connection in found:
            if connection is not self.server and connection.until < now:
                self._selector.unregister(descriptor)
                connection.refuse_late()

    @property
    def _num_connections(self) -> int:
        """Those that wait for a next request: half a first one keeps nobody else's connection from staying."""
        return sum(each is not self.server and each.until == math.inf for _, each in self._selector.connections)


class WsgiServer(wsgi.Server):
    """cheroot's, which begins with a request when it is there; `awaits_bodies` says whether its body is of it."""

    ConnectionClass = Connection
    max_request_header_size = MOST_HEAD_BYTES
    awaits_bodies = True

    def prepare(self) -> None:
        super().prepare()
        self._connections.close()
        self._connections = _Connections(self)

    def process_conn(self, connection: Connection) -> None:
        if connection.receive():
            self._connections.wait(connection)
        else:
            connection.close()
