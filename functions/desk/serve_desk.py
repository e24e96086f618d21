"""ServeDesk: GET /{file}; the reviewer's desk: static pages under a strict policy, and where the API is."""

import hashlib
import json
import os
import re
from pathlib import Path

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters.desk import desk_settings

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# The layer's folder holds schemas and libraries as well; of it only what is named like a page's file is served.
_FILE = re.compile(r"[a-z][a-z0-9_-]{0,63}\.(html|css|js|svg)")

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict, context: LambdaContext) -> dict:
    name = (event.get("pathParameters") or {}).get("file", "index.html")
    settings = desk_settings.current()
    headers = _headers(settings)
    if name == "config.json":
        return _answer(event, json.dumps(settings), "application/json", headers)
    match, path = _FILE.fullmatch(name), Path(os.environ["DESK_DIR"], name)
    if not match or not path.is_file():
        return {
            "statusCode": 404,
            "headers": headers | {"content-type": "text/plain"},
            "body": "There is no such page.",
        }
    return _answer(event, path.read_text(encoding="utf-8"), TYPES[match[1]], headers)


def _answer(event: dict, body: str, content_type: str, headers: dict) -> dict:
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    headers = headers | {"etag": etag, "cache-control": "no-cache"}
    if event.get("headers", {}).get("if-none-match") == etag:
        return {"statusCode": 304, "headers": headers}
    return {"statusCode": 200, "headers": headers | {"content-type": content_type}, "body": body}


def _headers(settings: dict) -> dict:
    """Prompts and answers are hostile input: whatever gets into a page, nothing of it may run or send."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {settings['api_url']} {settings['sign_in_url']}",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "referrer-policy": "no-referrer",
        "strict-transport-security": "max-age=63072000",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }
