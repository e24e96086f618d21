"""Gap of moto 5.2: it keeps a user pool's domain and serves neither the sign-in pages nor the OAuth endpoints on it.

Bridged: a server of its own port for the authorization code flow with PKCE and for refreshing, revoking and signing
out, with the users, clients and signing key of moto's pool. Left out: the implicit and client-credentials flows,
sign-up, MFA, other identity providers, and the session cookie, so that the form is shown every time. moto has closed
the gap when a GET of /oauth2/authorize at a user pool's domain is redirected to /login.
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-userpools-server-contract-reference.html
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from moto.cognitoidp.models import CognitoIdpUser as User
from moto.cognitoidp.models import CognitoIdpUserPool as Pool
from moto.cognitoidp.models import CognitoIdpUserPoolClient as Client
from moto.cognitoidp.models import cognitoidp_backends

from bulwark.local import sign_in_pages
from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.moto_names import require
from bulwark.local.server import Server, StartResponse

CODE_SECONDS = 300
MAX_BODY_BYTES = 64 * 1024
THREADS = 8
CSRF_COOKIE = "XSRF-TOKEN"

Parameters = dict[str, str]

_NAMES_OF_MOTO = ("_get_user", "create_jwt", "create_refresh_token", "get_user_extra_data_by_client_id")
_ASKED = (
    "client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
)  # fmt: skip
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_DEFAULT_VALIDITY = {"Access": (1, "hours"), "Id": (1, "hours"), "Refresh": (30, "days")}
_PREFLIGHT = {"access-control-allow-methods": "POST", "access-control-allow-headers": "authorization,content-type"}


class Refused(Exception):
    """The request names no client, or an address that is not the client's: it gets a page and is sent nowhere."""


class SentBack(Exception):
    """The client gets an OAuth error at its own address."""

    def __init__(self, error: str, asked: Parameters) -> None:
        super().__init__(error)
        state = {"state": asked["state"]} if "state" in asked else {}
        self.location = _with_query(asked["redirect_uri"], {"error": error, **state})


class OAuthError(Exception):
    """The error of the token or the revocation endpoint, or a request that no endpoint can read."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Code:
    """An authorization code that nobody has exchanged yet."""

    asked: Parameters
    username: str
    until: float


@dataclass(frozen=True)
class Grant:
    """What moto does not keep of a refresh token."""

    scope: str
    signed_in_at: int
    until: float


class HostedSignIn:
    """A served user pool domain; the one behind `url` until `close`."""

    def __init__(self, domain: str, port: int = 0) -> None:
        require(*(f"moto.cognitoidp.models:CognitoIdpUserPool.{name}" for name in _NAMES_OF_MOTO))
        application = _Application(domain)
        self._server = Server(application, port, THREADS, origins=application.origins, visited=True)
        self.url: str = self._server.url

    def close(self) -> None:
        self._server.stop()


class _Application:
    """WSGI application of one domain."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self._key = secrets.token_bytes(32)
        self._codes: dict[str, Code] = {}
        self._grants: dict[str, Grant] = {}
        self._routes: dict[tuple[str, str], Callable[[dict[str, Any]], Answer]] = {
            ("GET", "/oauth2/authorize"): self._authorize,
            ("GET", "/login"): self._show_form,
            ("POST", "/login"): self._sign_in,
            ("GET", "/logout"): self._sign_out,
            ("POST", "/oauth2/token"): self._token,
            ("POST", "/oauth2/revoke"): self._revoke,
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        route = self._routes.get((method, path))
        if path in ("/oauth2/token", "/oauth2/revoke"):
            answer = _for_scripts(route, method, environ)
        elif route is None:
            answer = _page(404, sign_in_pages.refusal("There is no such page at this address."))
        else:
            answer = _for_people(route, environ)
        headers = answer.headers | {"cache-control": "no-store", "content-length": str(len(answer.body))}
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
        return [answer.body]

    def origins(self) -> set[str]:
        """The pages that people of this pool sign in to; Cognito itself lets any page ask for tokens."""
        clients = self._pool.clients.values()
        return {_origin(address) for client in clients for address in _listed(client, "CallbackURLs")}

    @property
    def _pool(self) -> Pool:
        backend = cognitoidp_backends[ACCOUNT][REGION]
        return backend.user_pools[backend.user_pool_domains[self._domain].user_pool_id]

    # What a person's browser comes by.

    def _authorize(self, environ: dict[str, Any]) -> Answer:
        asked = self._checked(_query(environ))
        return _redirect(f"/login?{urlencode(asked)}")

    def _show_form(self, environ: dict[str, Any]) -> Answer:
        return self._form(environ, self._checked(_query(environ)))

    def _sign_in(self, environ: dict[str, Any]) -> Answer:
        asked, given = self._checked(_query(environ)), _form_body(environ)
        mark = self._mark(_cookie(environ), asked)
        username = given.get("username", "")
        if not hmac.compare_digest(given.get("_csrf", "").encode(), mark.encode()):
            return self._form(environ, asked, 403, username, "This form had grown old. Please sign in again.")
        user = self._pool._get_user(username)
        if user is None or not _password_matches(user, given.get("password", "")):
            return self._form(environ, asked, 401, username, "Incorrect username or password.")
        if user.status != "CONFIRMED":
            return self._form(environ, asked, 403, username, "This user has to be given a permanent password first.")
        return _redirect(_with_query(asked["redirect_uri"], self._new_code(asked, user)))

    def _sign_out(self, environ: dict[str, Any]) -> Answer:
        asked = _query(environ)
        client = self._pool.clients.get(asked.get("client_id", ""))
        if client is None:
            raise Refused("There is no such client.")
        if "logout_uri" not in asked:
            return self._authorize(environ)
        if asked["logout_uri"] not in _listed(client, "LogoutURLs"):
            raise Refused("The client does not know the address to go to after signing out (logout_uri).")
        return _redirect(asked["logout_uri"])

    def _checked(self, given: Parameters) -> Parameters:
        """The request for a code; whatever is wrong with it is told to the client only at an address of its own."""
        asked = {name: given[name] for name in _ASKED if name in given}
        client = self._pool.clients.get(asked.get("client_id", ""))
        if client is None:
            raise Refused("There is no such client.")
        if asked.get("redirect_uri") not in _listed(client, "CallbackURLs"):
            raise Refused("The client does not know the address to go to after signing in (redirect_uri).")
        if "COGNITO" not in _listed(client, "SupportedIdentityProviders"):
            raise Refused("The client does not let the users of this pool sign in (SupportedIdentityProviders).")
        if asked.get("response_type") != "code":
            raise SentBack("unsupported_response_type" if "response_type" in asked else "invalid_request", asked)
        if not _allows_codes(client):
            raise SentBack("unauthorized_client", asked)
        if not _is_pkce(asked):
            raise SentBack("invalid_request", asked)
        if not set(asked.get("scope", "").split()) <= _listed(client, "AllowedOAuthScopes"):
            raise SentBack("invalid_scope", asked)
        return asked

    def _form(
        self, environ: dict[str, Any], asked: Parameters, status: int = 200, username: str = "", problem: str = ""
    ) -> Answer:
        cookie = _cookie(environ) or secrets.token_urlsafe(32)
        action = f"/login?{urlencode(asked)}"
        html = sign_in_pages.form(action, self._mark(cookie, asked), username, problem)
        answer = _page(status, html, form_action=f"'self' {_origin(asked['redirect_uri'])}")
        # Of this path alone: a browser sends cookies to every port of a host.
        answer.headers["set-cookie"] = f"{CSRF_COOKIE}={cookie}; Path=/login; HttpOnly; SameSite=Lax"
        return answer

    def _mark(self, cookie: str, asked: Parameters) -> str:
        """What ties a form to the browser that it was shown in and to the request that it was shown for."""
        return hmac.new(self._key, f"{cookie}\n{urlencode(asked)}".encode(), hashlib.sha256).hexdigest()

    def _new_code(self, asked: Parameters, user: User) -> Parameters:
        now = time.time()
        for old in [code for code, each in list(self._codes.items()) if each.until < now]:
            self._codes.pop(old, None)
        code = secrets.token_urlsafe(24)
        self._codes[code] = Code(asked, user.username, now + CODE_SECONDS)
        return {"code": code} | ({"state": asked["state"]} if "state" in asked else {})

    # What the client's script calls.

    def _token(self, environ: dict[str, Any]) -> Answer:
        given = _form_body(environ)
        grants = {"authorization_code": self._exchanged, "refresh_token": self._refreshed}
        if "grant_type" not in given:
            raise OAuthError("invalid_request")
        if given["grant_type"] not in grants:
            raise OAuthError("unsupported_grant_type")
        client = self._client(environ, given)
        if not _allows_codes(client):
            raise OAuthError("unauthorized_client")
        return _json(200, grants[given["grant_type"]](client, given))

    def _exchanged(self, client: Client, given: Parameters) -> dict[str, Any]:
        if not {"code", "redirect_uri"} <= set(given):
            raise OAuthError("invalid_request")
        # Taken whatever comes of it: a code is tried once.
        code = self._codes.pop(given["code"], None)
        if code is None or code.until < time.time():
            raise OAuthError("invalid_grant")
        asked = code.asked
        if (asked["client_id"], asked["redirect_uri"]) != (client.id, given["redirect_uri"]):
            raise OAuthError("invalid_grant")
        if not _verifies(given.get("code_verifier"), asked.get("code_challenge")):
            raise OAuthError("invalid_grant")
        scope = asked.get("scope") or " ".join(sorted(_listed(client, "AllowedOAuthScopes")))
        refresh_token, _ = self._pool.create_refresh_token(client.id, code.username)
        now = time.time()
        self._grants[refresh_token] = Grant(scope, int(now), now + _validity(client, "Refresh"))
        return self._tokens(client, refresh_token, asked.get("nonce")) | {"refresh_token": refresh_token}

    def _refreshed(self, client: Client, given: Parameters) -> dict[str, Any]:
        if "refresh_token" not in given:
            raise OAuthError("invalid_request")
        return self._tokens(client, given["refresh_token"])

    def _tokens(self, client: Client, refresh_token: str, nonce: str | None = None) -> dict[str, Any]:
        """New tokens of a session that nobody has ended."""
        pool, grant = self._pool, self._grants.get(refresh_token)
        # moto empties the entry when the user is signed out everywhere.
        client_id, username, session = pool.refresh_tokens.get(refresh_token) or ("", "", "")
        user = pool.users.get(username)
        if grant is None or grant.until < time.time() or client_id != client.id or user is None or not user.enabled:
            raise OAuthError("invalid_grant")
        claims: dict[str, Any] = {"auth_time": grant.signed_in_at}
        if groups := sorted(group.group_name for group in user.groups):
            claims["cognito:groups"] = groups
        if client.extended_config["EnableTokenRevocation"]:
            claims["origin_jti"] = session
        access = claims | {"version": 2, "scope": grant.scope}
        token, seconds = pool.create_jwt(client.id, username, "access", _validity(client, "Access"), access)
        answer = {"access_token": token, "expires_in": seconds, "token_type": "Bearer"}
        if "openid" in grant.scope.split():
            identity = claims | pool.get_user_extra_data_by_client_id(client.id, username)
            identity |= {"nonce": nonce} if nonce else {}
            answer["id_token"], _ = pool.create_jwt(client.id, username, "id", _validity(client, "Id"), identity)
        return answer

    def _revoke(self, environ: dict[str, Any]) -> Answer:
        given = _form_body(environ)
        client = self._client(environ, given)
        if not given.get("token") or not client.extended_config["EnableTokenRevocation"]:
            raise OAuthError("invalid_request")
        if given["token"].count(".") == 2:
            raise OAuthError("unsupported_token_type")
        client_id, *_ = self._pool.refresh_tokens.get(given["token"]) or ("",)
        if client_id not in ("", client.id):
            raise OAuthError("invalid_grant")
        if client_id:
            self._pool.refresh_tokens[given["token"]] = None
            self._grants.pop(given["token"], None)
        return Answer(200, {})

    def _client(self, environ: dict[str, Any], given: Parameters) -> Client:
        """The client that asks; one that has a secret must show it."""
        identifier, secret = _basic_credentials(environ) or (given.get("client_id", ""), "")
        client = self._pool.clients.get(identifier)
        if client is None or given.get("client_id", identifier) != identifier:
            raise OAuthError("invalid_client")
        if client.generate_secret and not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise OAuthError("invalid_client")
        return client


def _for_people(route: Callable[[dict[str, Any]], Answer], environ: dict[str, Any]) -> Answer:
    try:
        return route(environ)
    except SentBack as error:
        return _redirect(error.location)
    except Refused as error:
        return _page(400, sign_in_pages.refusal(str(error)))
    except OAuthError:
        return _page(400, sign_in_pages.refusal("The request cannot be read."))


def _for_scripts(route: Callable[[dict[str, Any]], Answer] | None, method: str, environ: dict[str, Any]) -> Answer:
    # Whoever is none of the clients' pages has not come so far.
    cors = {"access-control-allow-origin": environ["HTTP_ORIGIN"], "vary": "origin"} if "HTTP_ORIGIN" in environ else {}
    if method == "OPTIONS":
        return Answer(200, cors | _PREFLIGHT)
    try:
        answer = route(environ) if route else _json(405, {"error": "invalid_request"})
    except OAuthError as error:
        answer = _json(400, {"error": str(error)})
    return Answer(answer.status, answer.headers | cors, answer.body)


def _query(environ: dict[str, Any]) -> Parameters:
    return _parameters(environ.get("QUERY_STRING", ""))


def _form_body(environ: dict[str, Any]) -> Parameters:
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    body = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), MAX_BODY_BYTES + 1))
    if kind != "application/x-www-form-urlencoded" or len(body) > MAX_BODY_BYTES:
        raise OAuthError("invalid_request")
    return _parameters(body.decode("utf-8", "replace"))


def _parameters(text: str) -> Parameters:
    """https://datatracker.ietf.org/doc/html/rfc6749#section-3.1: none may stand there twice, and empty is absent."""
    pairs = parse_qsl(text)
    if len({name for name, _ in pairs}) < len(pairs):
        raise OAuthError("invalid_request")
    return dict(pairs)


def _cookie(environ: dict[str, Any]) -> str:
    found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(CSRF_COOKIE)
    return found.value if found and re.fullmatch(r"[\w-]{43}", found.value) else ""


def _basic_credentials(environ: dict[str, Any]) -> tuple[str, str] | None:
    kind, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        identifier, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        raise OAuthError("invalid_client") from None
    return identifier, secret


def _listed(client: Client, setting: str) -> set[str]:
    return set(client.extended_config.get(setting) or ())


def _allows_codes(client: Client) -> bool:
    enabled = client.extended_config.get("AllowedOAuthFlowsUserPoolClient")
    return bool(enabled) and "code" in _listed(client, "AllowedOAuthFlows")


def _validity(client: Client, kind: str) -> int:
    """How many seconds a kind of token is good for."""
    amount, unit = _DEFAULT_VALIDITY[kind]
    units = client.extended_config.get("TokenValidityUnits") or {}
    amount = client.extended_config.get(f"{kind}TokenValidity") or amount
    return int(amount) * _UNIT_SECONDS[units.get(f"{kind}Token", unit)]


def _is_pkce(asked: Parameters) -> bool:
    """Whether there is no challenge, or one that can be verified."""
    if not {"code_challenge", "code_challenge_method"} & set(asked):
        return True
    known = asked.get("code_challenge_method") == "S256"
    return known and bool(_CHALLENGE.fullmatch(asked.get("code_challenge", "")))


def _verifies(verifier: str | None, challenge: str | None) -> bool:
    """A code that was asked for with a challenge needs its verifier, and one without takes none."""
    if verifier is None or challenge is None:
        return verifier == challenge
    made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    return bool(_VERIFIER.fullmatch(verifier)) and hmac.compare_digest(made, challenge.encode())


def _password_matches(user: User, password: str) -> bool:
    same = hmac.compare_digest((user.password or "").encode(), password.encode())
    return same and bool(password) and user.enabled


def _with_query(address: str, parameters: Parameters) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def _origin(address: str) -> str:
    """What a content security policy calls an address: browsers hold the redirect after a form to it as well."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def _redirect(location: str) -> Answer:
    return Answer(302, {"location": location, "referrer-policy": "no-referrer"})


def _page(status: int, html: str, form_action: str = "'none'") -> Answer:
    policy = (
        f"default-src 'none'; style-src {sign_in_pages.STYLE_SOURCE}; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        # With no-referrer, a browser would not say either that the form is this page's own.
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }
    return Answer(status, headers, html.encode())


def _json(status: int, content: dict[str, Any]) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(content).encode())
