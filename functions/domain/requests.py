"""A request: who may ask what, how a body is read, and what makes two deliveries the same."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum

from domain.characters import holds_control, is_blank, is_broken
from domain.policy import Policy, Tenant

# An EventBridge event may have 1 MiB, but so may the message that keeps it when it cannot be delivered, with its
# envelope and the reason: this much is never lost.
MAX_BODY_BYTES = 1_000_000
MAX_DEPTH = 8


class Status(StrEnum):
    ADMITTED = "ADMITTED"
    COMPLETED = "COMPLETED"
    HELD = "HELD"
    REFUSED = "REFUSED"
    FAILED = "FAILED"


class Reason(StrEnum):
    """Why a request was refused or failed, or its answer held."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNKNOWN_TENANT = "UNKNOWN_TENANT"
    UNKNOWN_USE_CASE = "UNKNOWN_USE_CASE"
    USE_CASE_NOT_ALLOWED = "USE_CASE_NOT_ALLOWED"
    REQUEST_ID_CONFLICT = "REQUEST_ID_CONFLICT"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_MANY_IN_FLIGHT = "TOO_MANY_IN_FLIGHT"
    REVIEWERS_BEHIND = "REVIEWERS_BEHIND"
    CACHE_ONLY = "CACHE_ONLY"
    STOPPED = "STOPPED"
    GUARDRAIL_BLOCKED = "GUARDRAIL_BLOCKED"
    REJECTED = "REJECTED"
    REVIEW_LAPSED = "REVIEW_LAPSED"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    EMPTY_ANSWER = "EMPTY_ANSWER"
    TRUNCATED_ANSWER = "TRUNCATED_ANSWER"
    BROKEN_ANSWER = "BROKEN_ANSWER"
    MODEL_REFUSED = "MODEL_REFUSED"
    ASSESSMENT_FAILED = "ASSESSMENT_FAILED"
    DEADLINE = "DEADLINE"
    SUBJECT_ERASED = "SUBJECT_ERASED"
    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    GUARDRAIL_FINDING = "GUARDRAIL_FINDING"
    GUARDRAIL_UNAVAILABLE = "GUARDRAIL_UNAVAILABLE"
    RISK_CLASS = "RISK_CLASS"


class RequestRefused(Exception):
    """The request will not be answered; the message holds no word of it."""

    def __init__(self, reason: Reason, message: str, field: str | None = None, retry_after_seconds: int | None = None):
        super().__init__(message)
        self.reason, self.message, self.field = reason, message, field
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Request:
    tenant: str
    request_id: str
    use_case: str
    channel: str
    user_id: str | None
    session_id: str | None
    subject_id: str | None
    body: str
    body_digest: str

    @property
    def key(self) -> str:
        return request_key(self.tenant, self.request_id)


def request_key(tenant: str, request_id: str) -> str:
    """The key of a request's record: tenants cannot hold '#', so no two requests share one."""
    return f"{tenant}#{request_id}"


def read_request(detail: dict, tenant: Tenant, user_id: str | None, channel: str) -> Request:
    """Take a valid body as the request of a tenant; user_id, where given, is proven and beats the body's."""
    user_id = user_id or detail.get("user_id")
    body = canonical(detail)
    return Request(
        tenant=tenant.name,
        request_id=detail["request_id"],
        use_case=detail["use_case"],
        channel=channel,
        user_id=user_id,
        session_id=detail.get("session_id"),
        subject_id=detail.get("subject_id") or user_id,
        body=body,
        body_digest=hashlib.sha256(body.encode()).hexdigest(),
    )


def check_allowed(policy: Policy, tenant: Tenant, use_case: str) -> None:
    if use_case not in policy.use_cases:
        known = ", ".join(sorted(tenant.use_cases))
        raise RequestRefused(Reason.UNKNOWN_USE_CASE, f"There is no such use case; yours are {known}.", "use_case")
    if use_case not in tenant.use_cases:
        raise RequestRefused(
            Reason.USE_CASE_NOT_ALLOWED, f"Use case {use_case} is not open to this tenant.", "use_case"
        )


def check_conversation(detail: dict) -> None:
    """Refuse a conversation no model takes: blank text, or turns that do not end with the assistant's."""
    listed = {
        "query": detail["query"],
        **{f"passages[{index}].text": item["text"] for index, item in enumerate(detail.get("passages", ()))},
        **{f"history[{index}].text": item["text"] for index, item in enumerate(detail.get("history", ()))},
    }
    for field, text in listed.items():
        if is_blank(text):
            raise invalid(field, "is blank")
    turns = detail.get("history", ())
    for index, turn in enumerate(turns):
        if turn["role"] != ("user", "assistant")[index % 2]:
            raise invalid(f"history[{index}].role", "is out of turn: user and assistant alternate, user first")
    if len(turns) % 2:
        raise invalid(f"history[{len(turns) - 1}].role", "must be assistant: the query is the user's next turn")


def canonical(value: dict) -> str:
    """The one JSON text of a value, whatever order its producer wrote it in."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def check_text(value: object, path: str = "", depth: int = 0) -> None:
    """Refuse what a schema cannot see: control characters, lone surrogates, numbers that are none, deep nesting."""
    if isinstance(value, str):
        if holds_control(value):
            raise invalid(path, "holds a control character; only tab, line feed and carriage return are text")
        if is_broken(value):
            raise invalid(path, "holds half of a surrogate pair; send whole characters")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise invalid(path, "is not a number of JSON")
    elif depth >= MAX_DEPTH and isinstance(value, dict | list):
        raise invalid(path, f"is nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key, path or "body", depth)
            check_text(item, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_text(item, f"{path}[{index}]", depth + 1)


def invalid(field: str, what: str) -> RequestRefused:
    """The refusal of a body whose field is wrong; a long or odd field name is cut."""
    field = "".join(c if c.isprintable() else "?" for c in field[:80]) or "body"
    return RequestRefused(Reason.INVALID_REQUEST, f"{field} {what}.", field)
