"""Gap of moto 5.2: it keeps an HTTP API's definition and serves none of its routes.

Bridged: a server of its own port that answers the routes of the OpenAPI body with their Lambda functions, by
payload format 2.0, behind the JWT authorisers and CORS settings that the body names. moto has closed the gap
when a request to an apigatewayv2 API's endpoint reaches its integration; then this file and
json_web_tokens.py can go.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
"""

import base64
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from bulwark.local.clients import ACCOUNT
from bulwark.local.json_web_tokens import Forbidden, JwtAuthorizer, Keys, Unauthorized, as_context
from bulwark.local.server import Server, StartResponse

MAX_BODY_BYTES = 10 * 1024 * 1024
DRAINED_BYTES = 10 * MAX_BODY_BYTES
PIECE_BYTES = 256 * 1024
MAX_EVENT_BYTES = 6 * 1024 * 1024  # Lambda's limit of a synchronous call
TIMEOUT_SECONDS = 30
THREADS = 16

logger = logging.getLogger(__name__)
Invoke = Callable[[str, bytes], tuple[bytes, str | None]]
Answer = tuple[int, dict[str, str], bytes]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "x-amazon-apigateway-any-method")
_FUNCTION = re.compile(r"/functions/(arn:[^/]+)/invocations$")
_TEXT = re.compile(r"^(?:text/.+|application/(?:.+\+)?(?:json|xml|javascript))$", re.IGNORECASE)
_REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 302: "Found", 304: "Not Modified",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
    413: "Request Entity Too Large", 429: "Too Many Requests", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip
_BODILESS = (204, 304)
_PREFLIGHT = {
    "allowMethods": "access-control-allow-methods",
    "allowHeaders": "access-control-allow-headers",
    "maxAge": "access-control-max-age",
}
_EXPOSED = {"exposeHeaders": "access-control-expose-headers"}


class HttpApi:
    """A served HTTP API; the one behind `url` until `close`."""

    def __init__(self, application: "_Application", port: int) -> None:
        self._application = application
        # A body is awaited only of whoever has shown a token.
        self._server = Server(
            application,
            port,
            THREADS,
            origins=lambda: application.origins,
            visited=application.is_open,
            awaits_bodies=False,
        )
        self.url: str = self._server.url

    def close(self) -> None:
        self._server.stop()
        self._application.close()


def serve(
    body: dict[str, Any],
    keys: Keys,
    invoke: Invoke,
    port: int = 0,
    api_id: str = "local",
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> HttpApi:
    """Serve an OpenAPI body whose intrinsics are resolved.

    `keys(issuer)` gives an authoriser's JWKS; `invoke(function_arn, event)` gives the payload and, when the
    function failed, its error.
    """
    return HttpApi(_Application(body, keys, invoke, api_id, timeout_seconds), port)


@dataclass(frozen=True)
class Route:
    method: str  # ANY for every method
    path: str
    function_arn: str
    authorizer: str | None
    scopes: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.path if self.path == "$default" else f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        return re.findall(r"\{([^}+]+)\+?\}", self.path)

    @property
    def pattern(self) -> re.Pattern[str]:
        pieces = re.split(r"(\{[^}]+\})", self.path)
        return re.compile("".join(_pattern_of(piece) for piece in pieces))

    @property
    def rank(self) -> tuple[bool, bool, int, bool]:
        """The most specific route goes first: literal before parameter before greedy, a method before ANY."""
        return self.path == "$default", "+}" in self.path, self.path.count("{"), self.method == "ANY"


class _Application:
    """WSGI application of one API."""

    def __init__(self, body: dict[str, Any], keys: Keys, invoke: Invoke, api_id: str, timeout_seconds: float) -> None:
        self._invoke, self._api_id, self._timeout = invoke, api_id, timeout_seconds
        self._cors = body.get("x-amazon-apigateway-cors") or {}
        self._authorizers = dict(_authorizers(body, keys))
        self.origins: list[str] = self._cors.get("allowOrigins", [])
        self.is_open = not self._authorizers
        self._routes = [(route, route.pattern) for route in sorted(_routes(body), key=lambda each: each.rank)]
        unknown = {route.authorizer for route, _ in self._routes} - {None, *self._authorizers}
        if unknown:
            raise ValueError(f"routes name authorisers that the API does not have: {sorted(unknown)}")
        self._pool = ThreadPoolExecutor(Server.THREADS, thread_name_prefix="http-api")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request_id = secrets.token_urlsafe(12)
        status, headers, body = self._answer(environ, request_id)
        bodiless = status in _BODILESS
        length = {} if bodiless else {"content-length": str(len(body))}
        headers = {**length, "apigw-requestid": request_id, **self._without_own_cors(headers)}
        headers |= self._cors_headers(environ)
        cookies = [("set-cookie", cookie) for cookie in headers.pop("set-cookie", "").split("\n") if cookie]
        start_response(f"{status} {_REASONS.get(status, 'Status')}", [*headers.items(), *cookies])
        return [b"" if bodiless or environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, environ: dict[str, Any], request_id: str) -> Answer:
        raw_path = environ["REQUEST_URI"].partition("?")[0]
        if self._is_preflight(environ):
            return 204, {}, b""
        found = self._route(environ["REQUEST_METHOD"], raw_path)
        if found is None:
            return _message(404, "Not Found")
        route, parameters = found
        try:
            claims = self._claims(route, environ.get("HTTP_AUTHORIZATION"))
        except Unauthorized:
            return _message(401, "Unauthorized", {"www-authenticate": "Bearer"})
        except Forbidden:
            return _message(403, "Forbidden", {"www-authenticate": 'Bearer error="insufficient_scope"'})
        body = _read(environ)
        if body is None:
            return _message(413, "Request Entity Too Large")
        event = json.dumps(self._event(environ, request_id, route, raw_path, parameters, body, claims)).encode()
        if len(event) > MAX_EVENT_BYTES:
            return _message(413, "Request Entity Too Large")
        return self._invoked(route.function_arn, event)

    def _invoked(self, function_arn: str, event: bytes) -> Answer:
        call = self._pool.submit(self._invoke, function_arn, event)
        try:
            payload, error = call.result(self._timeout)
            return _message(500, "Internal Server Error") if error else _as_response(payload)
        except NotInTime:
            return _message(503, "Service Unavailable")
        except Exception:
            logger.exception("the call of %s failed", function_arn)
            return _message(500, "Internal Server Error")

    def _route(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        for route, pattern in self._routes:
            if route.method in (method, "ANY") and (found := pattern.fullmatch(raw_path)):
                return route, dict(zip(route.names, map(unquote, found.groups()), strict=True))
        return None

    def _claims(self, route: Route, authorization: str | None) -> dict[str, str] | None:
        if route.authorizer is None:
            return None
        return as_context(self._authorizers[route.authorizer].claims(authorization, route.scopes))

    def _event(
        self,
        environ: dict[str, Any],
        request_id: str,
        route: Route,
        raw_path: str,
        parameters: dict[str, str],
        body: bytes,
        claims: dict[str, str] | None,
    ) -> dict[str, Any]:
        """The event of payload format 2.0; what is empty is left out, as API Gateway does."""
        headers = _headers(environ)
        cookies = [cookie for cookie in headers.pop("cookie", "").split("; ") if cookie]
        query: dict[str, str] = {}
        for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value
        now = time.time()
        path = unquote(raw_path)
        context: dict[str, Any] = {
            "accountId": ACCOUNT,
            "apiId": self._api_id,
            "domainName": headers.get("host", ""),
            "domainPrefix": self._api_id,
            "http": {
                "method": environ["REQUEST_METHOD"],
                "path": path,
                "protocol": environ["SERVER_PROTOCOL"],
                "sourceIp": environ.get("REMOTE_ADDR", "127.0.0.1"),
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": request_id,
            "routeKey": route.key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        }
        if claims is not None:
            context["authorizer"] = {"jwt": {"claims": claims, "scopes": route.scopes or None}}
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route.key,
            "rawPath": path,
            "rawQueryString": environ.get("QUERY_STRING", ""),
            "headers": headers,
            "requestContext": context,
        }
        for name, value in (
            ("cookies", cookies),
            ("queryStringParameters", query),
            ("pathParameters", parameters),
        ):
            if value:
                event[name] = value
        encoded = not _is_text(headers.get("content-type", ""), body)
        if body:
            event["body"] = base64.b64encode(body).decode() if encoded else body.decode()
        return {**event, "isBase64Encoded": bool(body) and encoded}

    def _is_preflight(self, environ: dict[str, Any]) -> bool:
        asks = {"HTTP_ORIGIN", "HTTP_ACCESS_CONTROL_REQUEST_METHOD"} <= set(environ)
        return bool(self._cors) and environ["REQUEST_METHOD"] == "OPTIONS" and asks

    def _without_own_cors(self, headers: dict[str, str]) -> dict[str, str]:
        """Where the API has CORS settings, a function's own CORS headers are dropped."""
        if not self._cors:
            return headers
        return {name: value for name, value in headers.items() if not name.startswith("access-control-")}

    def _cors_headers(self, environ: dict[str, Any]) -> dict[str, str]:
        origin = environ.get("HTTP_ORIGIN")
        if not origin or not {origin, "*"} & set(self.origins):
            return {}
        headers = {"access-control-allow-origin": "*" if "*" in self.origins else origin}
        if self._cors.get("allowCredentials"):
            headers["access-control-allow-credentials"] = "true"
        for setting, name in (_PREFLIGHT if self._is_preflight(environ) else _EXPOSED).items():
            if value := self._cors.get(setting):
                headers[name] = ",".join(value) if isinstance(value, list) else str(value)
        return headers


def _authorizers(body: dict[str, Any], keys: Keys) -> Iterable[tuple[str, JwtAuthorizer]]:
    for name, scheme in (body.get("components") or {}).get("securitySchemes", {}).items():
        authorizer = scheme.get("x-amazon-apigateway-authorizer") or {}
        if authorizer.get("type") != "jwt":
            raise ValueError(f"authoriser {name}: the local HTTP API knows type jwt, not {authorizer.get('type')}")
        if authorizer.get("identitySource", "").lower() != "$request.header.authorization":
            raise ValueError(f"authoriser {name}: the local HTTP API reads the Authorization header only")
        settings = authorizer["jwtConfiguration"]
        yield name, JwtAuthorizer(settings["issuer"], settings["audience"], keys)


def _routes(body: dict[str, Any]) -> Iterable[Route]:
    for path, item in (body.get("paths") or {}).items():
        for method in (name for name in item if name.lower() in _METHODS):
            operation = item[method]
            integration = operation["x-amazon-apigateway-integration"]
            function = _FUNCTION.search(integration["uri"])
            if integration["type"].lower() != "aws_proxy" or integration.get("payloadFormatVersion") != "2.0":
                raise ValueError(f"{method} {path}: the local HTTP API knows aws_proxy of payload format 2.0 only")
            if function is None:
                raise ValueError(f"{method} {path}: {integration['uri']} names no Lambda function")
            ((name, scopes),) = next(iter(operation.get("security") or [{"NONE": []}])).items()
            yield Route(
                "ANY" if method.lower() == _METHODS[-1] else method.upper(),
                path,
                function[1],
                None if name == "NONE" else name,
                scopes,
            )


def _pattern_of(piece: str) -> str:
    if piece == "$default":
        return ".*"
    if piece.startswith("{"):
        return "(.+)" if piece.endswith("+}") else "([^/]+)"
    return re.escape(piece)


def _read(environ: dict[str, Any]) -> bytes | None:
    """The body, or nothing when it is larger than API Gateway takes."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        length = DRAINED_BYTES
    kept, size = [], 0
    # A client that is still sending would never see a refusal, so what is too much is read and dropped.
    while size < min(length, DRAINED_BYTES):
        piece = environ["wsgi.input"].read(min(PIECE_BYTES, length - size))
        if not piece:
            break
        size += len(piece)
        if size <= MAX_BODY_BYTES:
            kept.append(piece)
    return b"".join(kept) if size <= MAX_BODY_BYTES else None


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name[:5] == "HTTP_"}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    address = environ.get("REMOTE_ADDR", "127.0.0.1")
    headers |= {
        "x-forwarded-for": address,
        "x-forwarded-port": environ["SERVER_PORT"],
        "x-forwarded-proto": "http",
    }
    headers["x-amzn-trace-id"] = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return headers


def _is_text(content_type: str, body: bytes) -> bool:
    kind = content_type.partition(";")[0].strip()
    if kind and not _TEXT.match(kind):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_response(payload: bytes) -> Answer:
    """A function's answer: a whole response when it names a status, or else the body of a 200."""
    answer = json.loads(payload or b"null")
    if not isinstance(answer, dict) or "statusCode" not in answer:
        content = answer.encode("utf-8", "surrogatepass") if isinstance(answer, str) else payload
        return 200, {"content-type": "application/json"}, content
    status, body = int(answer["statusCode"]), answer.get("body") or ""
    if not 100 <= status <= 599 or not isinstance(body, str):
        return _message(500, "Internal Server Error")
    headers = {} if status in _BODILESS else {"content-type": "text/plain; charset=utf-8"}
    headers |= {
        name.lower(): value if isinstance(value, str) else json.dumps(value)
        for name, value in (answer.get("headers") or {}).items()
    }
    headers.pop("content-length", None)
    if answer.get("cookies"):
        headers["set-cookie"] = "\n".join(answer["cookies"])
    if answer.get("isBase64Encoded"):
        return status, headers, base64.b64decode(body)
    return status, headers, body.encode("utf-8", "surrogatepass")


def _message(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    return (
        status,
        {"content-type": "application/json", **(headers or {})},
        json.dumps({"message": message}).encode(),
    )
