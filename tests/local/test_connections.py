"""Slow and broken clients of the servers: they wait for themselves, and nobody waits for them."""

import http.client
import json
import socket
import time

import pytest

from bulwark.local import connections
from bulwark.local.gate import respond
from bulwark.local.server import Application, Server

SECRET = b"the customer's words"


def application(environ, start_response):
    body = b"" if environ["PATH_INFO"] == "/unread" else environ["wsgi.input"].read(read_size(environ))
    return respond(start_response, "200 OK", json.dumps({"bytes": len(body)}).encode())


def read_size(environ):
    return None if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "") else int(environ.get("CONTENT_LENGTH") or 0)


@pytest.fixture
def server():
    server = Server(application, threads=4)
    yield server
    server.stop()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    monkeypatch.setattr(connections, "BODY_SECONDS", 1.0)


def opened(server, *pieces):
    client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    for piece in pieces:
        client.sendall(piece)
    return client


def head(server, method="POST", path="/", *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *lines, "", ""]).encode()


def everything(client):
    answer = b"".join(iter(lambda: client.recv(65536), b""))
    client.close()
    return answer


def answer_within(server, seconds):
    """What an ordinary client gets, in so many seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=seconds)
    connection.request("POST", "/", b"abc")
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_three_hundred_halves_of_a_head_delay_nobody(server):
    slow = [opened(server, b"POST / HTTP/1.1\r\nHost: 127.0") for _ in range(300)]

    assert [answer_within(server, 2) for _ in range(20)] == [(200, {"bytes": 3})] * 20
    for client in slow:
        client.close()


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (["Content-Length: 900"], SECRET),
        (["Transfer-Encoding: chunked"], b"ff\r\n" + SECRET),
        (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n"),
        (["Transfer-Encoding: chunked"], b""),
        (["Content-Length: 900", "Expect: 100-continue"], b""),
        (["Transfer-Encoding: chunked", "Expect: 100-continue"], b"3;x=y"),
    ],
)
def test_bodies_that_stop_coming_delay_nobody(server, lines, body):
    slow = [opened(server, head(server, "POST", "/", *lines), body) for _ in range(40)]

    assert answer_within(server, 2) == (200, {"bytes": 3})
    for client in slow:
        client.close()


@pytest.mark.parametrize("sent", [b"P", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_half_of_a_head_has_a_short_time(quick, server, sent):
    begun = time.monotonic()

    assert everything(opened(server, sent)).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begun < 4


def test_a_head_that_drips_has_no_longer_time(quick, server):
    client, begun = opened(server, b"GET / HTTP/1.1\r\nX: "), time.monotonic()
    with pytest.raises(OSError):
        while time.monotonic() - begun < 10:
            client.sendall(b"a")
            time.sleep(0.05)

    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("kind", ["Content-Length: 900", "Transfer-Encoding: chunked", "Content-Length: 9000000"])
def test_a_body_that_stops_coming_has_a_short_time(quick, server, kind, capfd):
    begun = time.monotonic()
    pieces = [b"ff\r\n" + SECRET] if "chunked" in kind else [SECRET]
    if "9000000" in kind:
        pieces.append(b"x" * 2_000_000)

    assert everything(opened(server, head(server, "POST", "/", kind), *pieces)).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begun < 4
    assert SECRET.decode() not in "".join(capfd.readouterr())


def test_nothing_at_all_is_waited_for_longer(quick, server):
    client = opened(server)
    time.sleep(1.5)
    client.sendall(head(server, "GET", "/", "Connection: close"))

    assert everything(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("body", [SECRET + b"\r\nabc\r\n0\r\n\r\n", b"3\r\nabcdef" + SECRET, b"\r\n\r\n" + SECRET])
@pytest.mark.parametrize("made", [lambda: application, Application])
def test_a_malformed_chunk_is_the_clients_error_and_its_words_are_nobodys(body, made, capfd):
    server = Server(made(), threads=1)
    chunked = head(server, "POST", "/", "Transfer-Encoding: chunked", "X-Amz-Target: DynamoDB_20120810.GetItem")
    answer = everything(opened(server, chunked, body))
    after = everything(opened(server, head(server, "GET", "/", "Connection: close")))
    server.stop()

    said = "".join(capfd.readouterr())
    assert (answer[:13], after[:13]) == (b"HTTP/1.1 400 ", b"HTTP/1.1 200 ")
    assert SECRET not in answer and SECRET.decode() not in said and "Traceback" not in said


def test_an_answer_that_needs_no_body_does_not_wait_for_it(server):
    server._server.awaits_bodies = False
    begun = time.monotonic()

    answer = everything(opened(server, head(server, "POST", "/unread", "Content-Length: 5000000"), b"ab"))

    assert answer.startswith(b"HTTP/1.1 200 ") and b"connection: close" in answer.lower()
    assert time.monotonic() - begun < 2


def test_who_still_sends_a_body_that_nobody_wanted_sees_the_answer(server):
    server._server.awaits_bodies = False
    client = opened(server, head(server, "POST", "/unread", "Content-Length: 8000000"), b"x" * 8_000_000)

    assert everything(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("awaits", [True, False])
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_kept_connections_take_bodies_of_any_size_and_kind(server, awaits, size):
    server._server.awaits_bodies = awaits
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.connect()
    used = connection.sock
    for body in (b"x" * size, iter([b"x" * size] if size else []), b"x" * size):
        connection.request("POST", "/", body)
        assert json.loads(connection.getresponse().read()) == {"bytes": size}
    assert connection.sock is used


def test_requests_that_come_together_are_answered_in_their_order(server):
    one = head(server, "POST", "/", "Content-Length: 1") + b"a"
    two = head(server, "POST", "/", "Content-Length: 2") + b"bb"
    last = head(server, "GET", "/", "Connection: close")
    client = opened(server, one + two + last[:20])
    time.sleep(0.3)
    client.sendall(last[20:])

    answer = everything(client)
    assert [int(piece[:1]) for piece in answer.split(b'{"bytes": ')[1:]] == [1, 2, 0]


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(server):
    client = opened(server, head(server, "POST", "/", "Content-Length: 3", "Expect: 100-continue", "Connection: close"))
    assert client.recv(100).startswith(b"HTTP/1.1 100 Continue")
    client.sendall(b"abc")

    assert everything(client).endswith(b'{"bytes": 3}')


@pytest.mark.parametrize("awaits", [True, False])
def test_chunks_that_come_in_any_pieces_are_read(server, awaits):
    server._server.awaits_bodies = awaits
    body = b"3\r\nabc\r\n1;x=y\r\n\r\r\n" + b"A\r\n0\r\n\r\n0\r\n\r\n\r\n" + b"0\r\n\r\n"
    sent = head(server, "POST", "/", "Transfer-Encoding: chunked", "Expect: 100-continue") + body
    client = opened(server)
    for piece in [sent[at : at + 7] for at in range(0, len(sent), 7)]:
        client.sendall(piece)
        time.sleep(0.005)
    client.sendall(head(server, "GET", "/", "Connection: close"))

    answer = everything(client)
    assert answer.count(b"100 Continue") == 1
    assert [int(piece[:2].rstrip(b"}")) for piece in answer.split(b'{"bytes": ')[1:]] == [14, 0]


def test_a_head_that_does_not_end_is_too_large(server):
    answer = everything(opened(server, b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000))

    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 414 "))
