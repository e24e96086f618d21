"""Where a request leaves AdmitRequest without a plan: refused, told what became of it before, or ended."""

from adapters import requests_table, schemas, subject_keys
from adapters.clock import iso
from adapters.requests_table import PLANTED, Claim
from domain.errors import SubjectErased
from domain.requests import Reason, Request, RequestRefused, Status, request_key
from inference.admit.admission import Admission

# Nobody's requests: the tenant of an event whose producer is unknown, and the use case of one that names none.
NOBODY = "-"
_TOLD = ("request_key", "request_id", "status", "reason", "message", "field")


def record_refusal(admission: Admission, refusal: RequestRefused) -> Admission:
    """Record a refusal under the request's own id, or under the event's where that cannot be read or trusted."""
    record = requests_table.refusal_record(admission.request) if admission.request else _unread(admission)
    if "id" in admission.event:
        record["source_event_id"] = admission.event_id
    if "event_ref" in admission.recorded:
        record["event_ref"] = admission.recorded["event_ref"]
    claim = _refuse(admission, refusal, record)
    if admission.request and is_taken(claim, admission.request):
        # The id is an earlier request's, whose outcome is no answer to this one.
        return refuse_conflict(admission)
    if not claim.ours or claim.record["status"] != Status.ADMITTED:
        return _left(admission, claim, "REFUSED")
    # An attempt of ours that died may have claimed it before its use case was stopped: then it goes on.
    going_on = claimed(admission, claim)
    return going_on if going_on.told or going_on.use_case else end_claimed(going_on, refusal)


def refuse_conflict(admission: Admission) -> Admission:
    """A body that is not the one its id was claimed with is refused beside the first one's record."""
    request = admission.request
    record = requests_table.refusal_record(request)
    record["request_key"] = f"{request.key}#{request.body_digest[:16]}"
    refusal = RequestRefused(
        Reason.REQUEST_ID_CONFLICT,
        "This request_id was used with another body; send the new body under a new request_id.",
        "request_id",
    )
    return _left(admission, _refuse(admission, refusal, record), "REFUSED")


def is_taken(claim: Claim, request: Request) -> bool:
    """Whether an id is another request's, or that of a planted review, which was never a request."""
    record = claim.record
    return not claim.ours and (record["status"] == PLANTED or record["body_digest"] != request.body_digest)


def claimed(admission: Admission, claim: Claim) -> Admission:
    """Go on with a claim of ours that is not answered yet; of any other tell what became of it."""
    if not claim.ours or claim.record["status"] != Status.ADMITTED:
        return _left(admission, claim, "REFUSED" if claim.ours else "DUPLICATE")
    try:
        return admission._replace(claim=claim, subject=subject_keys.of(claim.record))
    except SubjectErased:
        # An attempt of ours claimed it and died, and then its subject was erased: nothing is left to be answered.
        return _left(admission, claim, "DUPLICATE")


def end_claimed(admission: Admission, refusal: RequestRefused) -> Admission:
    """Refuse a request that is claimed already."""
    outcome = {"reason": refusal.reason, "message": refusal.message, "decided_by": "policy"}
    if refusal.retry_after_seconds:
        outcome["retry_after_seconds"] = refusal.retry_after_seconds
    return end(admission, Status.REFUSED, outcome)


def end(admission: Admission, status: Status, outcome: dict) -> Admission:
    """Record the outcome of a request that needs no model; an outcome that was first stands."""
    record = admission.claim.record
    outcome |= {
        "outcome_at": iso(admission.moment),
        "policy_version": admission.rules.version,
        "mode": admission.mode.mode,
    }
    first = requests_table.record_outcome(record["request_key"], record["in_flight_key"], status, outcome)
    return _left(admission, Claim(True, first or record | outcome | {"status": status}), "REFUSED")


def _left(admission: Admission, claim: Claim, admitted: str) -> Admission:
    told = {name: claim.record[name] for name in _TOLD if name in claim.record}
    return admission._replace(claim=claim, told={"admission": admitted, "outcome": told})


def _refuse(admission: Admission, refusal: RequestRefused, record: dict) -> Claim:
    record["policy_version"] = admission.rules.version
    days = admission.rules.refusal_days(record["tenant"], record["use_case"])
    return requests_table.refuse(refusal, record, admission.execution_name, admission.moment, days)


def _unread(admission: Admission) -> dict:
    """What is kept of a refused body that is no request: what of it tells the producer which one this was."""
    tenant = admission.tenant.name if admission.tenant else NOBODY
    request_id = f"event:{admission.event_id}"
    return {
        "request_key": request_key(tenant, request_id),
        "tenant": tenant,
        "request_id": _if_readable(admission.detail, "request_id") or request_id,
        "use_case": _if_readable(admission.detail, "use_case") or NOBODY,
        "channel": admission.channel,
        "body_digest": NOBODY,
    }


def _if_readable(detail: dict | None, field: str) -> str | None:
    """A field of an invalid body, if that field itself is valid."""
    probe = {"request_id": "x", "use_case": "x", "query": "x"} | {field: (detail or {}).get(field)}
    try:
        schemas.check_request(probe)
    except RequestRefused:
        return None
    return probe[field]
