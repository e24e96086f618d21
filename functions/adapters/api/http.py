"""The HTTP API's side of a function: claims and JSON in, status and JSON out."""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from domain.api.callers import Caller, Forbidden, NoAccessToken
from domain.errors import PayloadGone, SubjectClosed, SubjectErased
from domain.foreign_json import NotJson, read_json
from domain.requests import MAX_BODY_BYTES, RequestRefused, check_text, invalid

DEFAULT_LIMIT, MAX_LIMIT = 25, 100
LIMITS = {str(number) for number in range(1, MAX_LIMIT + 1)}
_GONE = "Its texts are past their retention, or their subject was erased."
_POSITION = re.compile(r"[0-9]{4}-[0-9T:.Z-]{6,24}(?:#[!-~]{1,300})?", re.ASCII)


class Refused(Exception):
    """Answers the call with this status, code and message."""

    def __init__(self, status: int, code: str, message: str, **more: Any):
        super().__init__(message)
        self.status, self.error = status, {"code": code, "message": message, **more}


def answers(function: Callable[[dict, Caller], dict]) -> Callable[[dict, LambdaContext], dict]:
    """Make a Lambda handler of a function that takes the event and its caller and gives a response."""

    @functools.wraps(function)
    def handler(event: dict, context: LambdaContext) -> dict:
        try:
            caller = Caller.from_claims(event["requestContext"]["authorizer"]["jwt"]["claims"])
            return unless_known(event, function(event, caller))
        except NoAccessToken as error:
            return respond(401, {"error": {"code": "UNAUTHORIZED", "message": str(error)}})
        except Forbidden as error:
            return respond(403, {"error": {"code": "FORBIDDEN", "message": str(error)}})
        except (PayloadGone, SubjectErased):
            return respond(410, {"error": {"code": "GONE", "message": _GONE}})
        except SubjectClosed:
            message = "The request's subject is being erased; send it again in a while."
            return respond(503, {"error": {"code": "UNAVAILABLE", "message": message}}, {"retry-after": "5"})
        except RequestRefused as refusal:
            return respond(400, {"error": {"code": refusal.reason, "message": refusal.message, "field": refusal.field}})
        except Refused as refused:
            headers = {}
            if "retry_after_seconds" in refused.error:
                headers["retry-after"] = str(refused.error["retry_after_seconds"])
            return respond(refused.status, {"error": refused.error}, headers)

    return handler


def respond(status: int, body: dict, headers: dict | None = None) -> dict:
    """A response that nobody caches: it may hold an answer."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store", **(headers or {})},
        "body": json.dumps(body, ensure_ascii=False, default=float),
    }


def unless_known(event: dict, response: dict) -> dict:
    """The response with an etag, or 304 to who has it: a page that asks for news every few seconds gets only news."""
    if event["requestContext"].get("http", {}).get("method") != "GET" or response["statusCode"] != 200:
        return response
    etag = f'"{hashlib.sha256(response["body"].encode()).hexdigest()[:32]}"'
    headers = {**response["headers"], "etag": etag}
    if (event.get("headers") or {}).get("if-none-match") == etag:
        return {"statusCode": 304, "headers": {name: headers[name] for name in ("etag", "cache-control")}}
    return {**response, "headers": headers}


def limit_of(query: dict) -> int:
    """How many items a page may have."""
    limit = query.get("limit", str(DEFAULT_LIMIT))
    if limit not in LIMITS:
        raise invalid("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(limit)


def position_of(query: dict) -> str:
    """Where the last page ended, as that page gave it: a moment and what stood there; empty for the first page."""
    position = query.get("next", "")
    if position and not _POSITION.fullmatch(position):
        raise invalid("next", "is not what the last page gave")
    return position


def body_of(event: dict) -> Any:
    """The JSON of a body; refuses what is too large, no JSON or no text, without quoting it."""
    raw = event.get("body") or ""
    data = base64.b64decode(raw) if event.get("isBase64Encoded") else raw.encode("utf-8", "surrogatepass")
    if len(data) > MAX_BODY_BYTES:
        raise Refused(413, "BODY_TOO_LARGE", f"The body has {len(data)} bytes; the most is {MAX_BODY_BYTES}.")
    try:
        body = read_json(data, finite=False)
    except NotJson as error:
        raise invalid("body", str(error)) from error
    check_text(body)
    return body
