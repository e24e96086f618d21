"""Who may ask a server of the embedded AWS: this machine's own programs and pages, and no page of anybody else's.

Listening on the loopback alone keeps no browser out: any page may send a request there, and a name that its owner lets
point to 127.0.0.1 may read the answer as well. https://web.dev/articles/fetch-metadata
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

StartResponse = Callable[..., Any]
WsgiApplication = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_FOREIGN_SITES = ("cross-site", "same-site")


class BodyBroken(Exception):
    """A request's body cannot be read to its end; `status` says whose deadline or mistake it was."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


def refusal(
    environ: Mapping[str, Any], hosts: Collection[str], origins: Collection[str] = (), visited: bool = False
) -> str | None:
    """Why a request is refused, or None: `origins` are pages of others that may ask, `visited` lets links lead here."""
    if environ.get("HTTP_HOST", "").lower() not in hosts:
        return f"The Host header names another server: ask http://{next(iter(hosts), '')}."
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None:
        known = "*" in origins or origin in origins or origin in {f"http://{host}" for host in hosts}
        return None if known else "A page of another origin asks, and none may."
    if environ.get("HTTP_SEC_FETCH_SITE") in _FOREIGN_SITES and not (visited and _is_visit(environ)):
        return "A page of another site asks, and none may."
    return None


def respond(
    start_response: StartResponse, status: str, body: bytes, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    """Answer with a JSON body."""
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers])
    return [body]


class Gate:
    """WSGI: passes on what is not refused, and no CORS header but to the origins that may ask."""

    def __init__(self, application: WsgiApplication, origins: Callable[[], Collection[str]], visited: bool) -> None:
        self._application, self._origins, self._visited = application, origins, visited
        self.hosts: tuple[str, ...] = ()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        origins = self._origins() if "HTTP_ORIGIN" in environ else ()
        if why := refusal(environ, self.hosts, origins, self._visited):
            return respond(start_response, "403 Forbidden", json.dumps({"message": why}).encode())

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if not {"*", environ.get("HTTP_ORIGIN")} & set(origins):
                headers = [each for each in headers if not each[0].lower().startswith("access-control-")]
            return start_response(status, headers, *more)

        environ["wsgi.input"] = _Body(environ["wsgi.input"])
        try:
            return self._application(environ, start)
        except BodyBroken as error:
            message = {"__type": "SerializationException", "message": str(error)}
            return respond(start_response, error.status, json.dumps(message).encode())


class _Body:
    """A request's body, whose reader is told what is wrong with it and none of its words."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int | None = None) -> bytes:
        return self._told(self._file.read, size)

    def readline(self, size: int | None = None) -> bytes:
        return self._told(self._file.readline, size)

    def _told(self, read: Callable[[int | None], bytes], size: int | None) -> bytes:
        try:
            return read(size)
        except TimeoutError:
            raise BodyBroken("408 Request Timeout", "The body did not come in time.") from None
        except (ValueError, OSError):
            raise BodyBroken("400 Bad Request", "The body is not what its headers say.") from None


def _is_visit(environ: Mapping[str, Any]) -> bool:
    """Whether a person follows a link: a page that is shown changes nothing, and who linked to it cannot read it."""
    is_navigation = environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
    return environ["REQUEST_METHOD"] == "GET" and is_navigation and environ.get("HTTP_SEC_FETCH_DEST") == "document"
