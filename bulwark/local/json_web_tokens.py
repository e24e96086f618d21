"""Gap of moto 5.2: an HTTP API's JWT authoriser is kept and never asked.

Bridged: the checks that API Gateway makes of a bearer token, against the issuer's published keys. moto has
closed the gap when it serves the routes of an apigatewayv2 API; then this file and http_api.py can go.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bulwark.local.loopback import open_url

Keys = Callable[[str], dict[str, Any]]
ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]


class Unauthorized(Exception):
    """The token is missing, not signed by its issuer, not for this API, or not valid now."""


class Forbidden(Exception):
    """The token is good and lacks a scope that the route asks for."""


def user_pool_keys(endpoint: str) -> Keys:
    """The published keys of a Cognito user pool of the embedded AWS, by the pool's issuer."""

    def fetch(issuer: str) -> dict[str, Any]:
        pool = issuer.rpartition("/")[2]
        with open_url(f"{endpoint}/{pool}/.well-known/jwks.json", timeout=10) as answer:
            return json.load(answer)

    return fetch


class JwtAuthorizer:
    """Checks tokens of one issuer and audience; its keys are fetched once, and again when a token fails."""

    def __init__(self, issuer: str, audience: list[str], keys: Keys) -> None:
        self._issuer, self._audience, self._fetch = issuer, set(audience), keys
        self._keys: KeySet | None = None
        self._lock = threading.Lock()

    def claims(self, authorization: str | None, scopes: list[str]) -> dict[str, Any]:
        """The claims of the token in an Authorization header, with or without Bearer before it."""
        token = (authorization or "").strip()
        if token[:7].lower() == "bearer ":
            token = token[7:].strip()
        if not token:
            raise Unauthorized("no token")
        claims = self._verified(token)
        audience = claims.get("aud", claims.get("client_id"))
        if claims.get("iss") != self._issuer:
            raise Unauthorized("another issuer")
        if not self._audience & set(audience if isinstance(audience, list) else [audience]):
            raise Unauthorized("another audience")
        now = time.time()
        if not _number(claims, "exp") > now or _number(claims, "nbf", 0) > now or _number(claims, "iat", 0) > now:
            raise Unauthorized("not valid now")
        if scopes and not set(scopes) & set(_granted(claims)):
            raise Forbidden
        return claims

    def _verified(self, token: str) -> dict[str, Any]:
        for fresh in (False, True):
            try:
                return jwt.decode(token, self._key_set(fresh), algorithms=ALGORITHMS).claims
            except (JoseError, ValueError, KeyError, TypeError, OSError) as error:
                refused = error
        raise Unauthorized(type(refused).__name__) from refused

    def _key_set(self, fresh: bool) -> KeySet:
        with self._lock:
            if self._keys is None or fresh:
                self._keys = KeySet.import_key_set(self._fetch(self._issuer))
            return self._keys


def as_context(claims: dict[str, Any]) -> dict[str, str]:
    """Claims as API Gateway hands them on: every one a string, a list in brackets with spaces between.

    A group with a space, which moto makes and Cognito refuses, would be two by then: it raises Unauthorized.
    """
    return {name: _as_string(value) for name, value in claims.items()}


def _as_string(value: Any) -> str:
    if isinstance(value, list):
        if any(isinstance(each, str) and len(each.split()) != 1 for each in value):
            raise Unauthorized("a list has a member with a space")
        return f"[{' '.join(map(_as_string, value))}]"
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _granted(claims: dict[str, Any]) -> list[str]:
    granted = claims.get("scope", claims.get("scp", ""))
    return granted if isinstance(granted, list) else str(granted).split()


def _number(claims: dict[str, Any], name: str, default: float = float("-inf")) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthorized(f"{name} is no number")
    return value
