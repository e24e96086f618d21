"""How a request's record looks to a caller over HTTP."""

from adapters import payloads, subject_keys
from domain.requests import Reason, Status

STATUS_OF_REASON = {
    Reason.INVALID_REQUEST: 400,
    Reason.UNKNOWN_USE_CASE: 400,
    Reason.UNKNOWN_TENANT: 403,
    Reason.USE_CASE_NOT_ALLOWED: 403,
    Reason.REQUEST_ID_CONFLICT: 409,
    Reason.RATE_LIMITED: 429,
    Reason.TOO_MANY_IN_FLIGHT: 429,
    Reason.REVIEWERS_BEHIND: 503,
    Reason.CACHE_ONLY: 503,
    Reason.STOPPED: 503,
}
_SHOWN = (
    "request_id tenant use_case status reason message model confidence cost_usd admitted_at outcome_at decided_by "
    "review_id due_at mode"
).split()


def view_of(record: dict, user_id: str) -> dict:
    """A request's state; to its owner the answer too, once it is released."""
    shown = {name: record[name] for name in _SHOWN if name in record}
    if record["status"] == Status.COMPLETED and user_id == record.get("user_id"):
        shown["answer"] = payloads.text_of(record, "answer", subject_keys.of(record))
    return shown


def http_status_of(record: dict) -> int:
    """200 answered; 202 not yet; 4xx what the caller can mend; 502 no model answered."""
    if record["status"] == Status.COMPLETED:
        return 200
    if record["status"] in (Status.ADMITTED, Status.HELD):
        return 202
    if record["status"] == Status.FAILED:
        return 502
    return STATUS_OF_REASON.get(record.get("reason"), 422)
