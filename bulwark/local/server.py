"""The one endpoint: moto, the Lambda invocations and the control calls behind a single HTTP server."""

import io
import json
import re
import socket
import threading
import traceback
from collections.abc import Callable, Collection, Iterable
from typing import Any

from bulwark.local.connections import WsgiServer
from bulwark.local.gate import LOOPBACK, Gate, StartResponse, WsgiApplication, respond
from bulwark.local.service_faults import ServiceFaults
from bulwark.rules import MAX_LEVELS, is_deep, visible

Control = Callable[[bytes], Any]

_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/([^/]+)/([^/]+)/aws4_request")
# Paths of services that sign alike but live in different parts of moto cannot be told apart by their signature.
_SHARED_NAMES = {"bedrock", "bedrock-agentcore", "sagemaker", "s3", "ses", "execute-api"}


class Application:
    """WSGI: control calls and invocations are answered here, everything else by moto."""

    def __init__(self) -> None:
        from moto.server import create_backend_app

        self.control: dict[tuple[str, str], Control] = {}
        self.faults = ServiceFaults()
        self.invocations: Callable[[dict[str, Any], StartResponse], Iterable[bytes]] | None = None
        self._moto = _services(create_backend_app)
        self._apps: dict[tuple[str, str, str], Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if "chunked" in environ.pop("HTTP_TRANSFER_ENCODING", "").lower():
            body = environ["wsgi.input"].read()
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        elif length := int(environ.get("CONTENT_LENGTH") or 0):
            body = environ["wsgi.input"].read(length)
            if len(body) < length:
                # What is left of a call is nothing to run, and what is wrong with it the caller's to know.
                message = f"The body ended after {len(body)} of {length} bytes."
                refusal = {"__type": "SerializationException", "message": message}
                return respond(start_response, "400 Bad Request", json.dumps(refusal).encode())
            if _is_too_deep(environ, body):
                # moto would read it, run out of stack, and answer as if the fault were its own.
                message = f"The body is nested deeper than {MAX_LEVELS} levels."
                refusal = {"__type": "SerializationException", "message": message}
                return respond(start_response, "400 Bad Request", json.dumps(refusal).encode())
            environ["wsgi.input"] = io.BytesIO(body)
        if environ["PATH_INFO"].startswith("/_bulwark/"):
            return self._answer_control(environ, start_response)
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        return self.faults.meet(scope[2] if scope else "", environ, self._answer_service, start_response)

    def _answer_service(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/2015-03-31/functions/") and path.endswith("/invocations") and self.invocations:
            return self.invocations(environ, start_response)
        environ["RAW_URI"] = environ["REQUEST_URI"]
        return self._app_for(environ)(environ, start_response)

    def _app_for(self, environ: dict[str, Any]) -> Any:
        """moto's application for a request; moto itself searches hundreds of patterns under a lock each time."""
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if scope is None or scope[2] in _SHARED_NAMES or environ["PATH_INFO"].startswith("/latest/"):
            return self._moto.get_application(environ)
        target = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[0]
        key = (scope[1], scope[2], target)
        if key not in self._apps:
            self._apps[key] = self._moto.get_application(environ)
        return self._apps[key]

    def _answer_control(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        name = environ["PATH_INFO"].removeprefix("/_bulwark/")
        control = self.control.get((environ["REQUEST_METHOD"], name))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if control is None:
            status, answer = "404 Not Found", {"error": f"no control call {environ['REQUEST_METHOD']} {name}"}
        elif environ["REQUEST_METHOD"] == "POST" and environ.get("CONTENT_TYPE") != "application/json":
            # What a form can send, any page can have sent.
            status, answer = "415 Unsupported Media Type", {"error": "a POST needs Content-Type: application/json"}
        else:
            try:
                status, answer = "200 OK", control(body)
            except ValueError as error:
                status, answer = "400 Bad Request", {"error": str(error)}
            except (KeyError, TypeError) as error:
                status, answer = "400 Bad Request", {"error": f"{type(error).__name__}: {error}"}
        return respond(start_response, status, json.dumps(answer, default=str).encode())


def _services(create_app: Callable[[Any], Any]) -> Any:
    """moto's services, without the pages by which anybody could empty or reset them."""
    from moto.server import DomainDispatcherApplication

    class Services(DomainDispatcherApplication):
        def get_application(self, environ: dict[str, Any]) -> Any:
            return _closed if environ["PATH_INFO"].startswith("/moto-api") else super().get_application(environ)

        def get_backend_for_host(self, host: str | None) -> Any:
            found = super().get_backend_for_host(host)
            return "s3" if found == "moto_api" else found

    return Services(create_app)


def _closed(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    refusal = {"message": "moto's control pages are closed; the embedded AWS starts anew with 'bulwark up'."}
    return respond(start_response, "404 Not Found", json.dumps(refusal).encode())


def _is_too_deep(environ: dict[str, Any], body: bytes) -> bool:
    """Whether a service's call has a body of JSON that goes too deep; a control call reads its own."""
    is_json = "json" in environ.get("CONTENT_TYPE", "") or "HTTP_X_AMZ_TARGET" in environ
    is_json = is_json and not environ["PATH_INFO"].startswith("/_bulwark/")
    # Few calls are worth a look: as many brackets as no reader minds say nothing about their depth.
    return is_json and body.count(b"[") + body.count(b"{") > 5 * MAX_LEVELS and is_deep(body.decode("latin-1"))


class Server:
    """cheroot in daemon threads: kept-alive connections wait in a selector and hold no thread."""

    THREADS = 40

    def __init__(
        self,
        application: WsgiApplication,
        port: int = 0,
        threads: int = THREADS,
        host: str = "127.0.0.1",
        *,
        names: Collection[str] = LOOPBACK,
        origins: Callable[[], Collection[str]] = tuple,
        visited: bool = False,
        awaits_bodies: bool = True,
    ) -> None:
        self._gate = Gate(application, origins, visited)
        self._server = WsgiServer(
            (host, port), self._gate, numthreads=threads, request_queue_size=256, shutdown_timeout=2
        )
        self._server.timeout = 60
        self._server.awaits_bodies = awaits_bodies
        self._server.nodelay = True
        self._server.error_log = _report
        ready = threading.Event()
        failures: list[BaseException] = []

        def serve() -> None:
            # cheroot's workers inherit being a daemon from the thread that makes them.
            try:
                self._server.prepare()
                # Before it serves: the port is known by now.
                self.open_to(*names)
            except BaseException as error:  # raised again in the starting thread
                failures.append(error)
                ready.set()
                return
            ready.set()
            self._server.serve()

        self._thread = threading.Thread(target=serve, name="endpoint", daemon=True)
        self._thread.start()
        ready.wait()
        if failures:
            raise failures[0]
        self.port: int = self._server.bind_addr[1]
        self.url = f"http://{host}:{self.port}"

    def open_to(self, *names: str) -> None:
        """Answer to these names of this machine, too."""
        self._gate.hosts += tuple(f"{name}:{self._server.bind_addr[1]}" for name in names)

    def stop(self) -> None:
        self._server.stop()
        self._thread.join(5)


def _report(message: str = "", level: int = 20, traceback_: bool = False, **arguments: Any) -> None:
    """Connections that a killed worker leaves half open are no news; anything else is."""
    if not (traceback_ or arguments.get("traceback")):
        return
    text = traceback.format_exc()
    if not any(
        name in text for name in ("ConnectionResetError", "BrokenPipeError", "TimeoutError", socket.timeout.__name__)
    ):
        print(visible(f"endpoint: {message}\n{text}"))
