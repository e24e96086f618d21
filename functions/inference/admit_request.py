"""AdmitRequest: reads an event or a call, claims its request id once, and plans the model call."""

import json

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import modes_table, payloads, policy, requests_table, schemas, subject_keys
from adapters.clock import iso, now
from adapters.inference import answers_table
from adapters.payloads import PayloadGone
from adapters.requests_table import Claim, LimitReached
from domain.errors import CallHeldBack, SubjectClosed, SubjectErased
from domain.inference.answers import answer_key
from domain.inference.confidence import query_signals
from domain.inference.limits import seconds_to_next_minute, shards_for
from domain.inference.prompts import MAX_RENDERED_BYTES, fits, render
from domain.modes import REVIEW_LOAD, EffectiveMode, Mode, degraded
from domain.policy import Policy, Tenant, UseCase
from domain.requests import (
    Reason,
    Request,
    RequestRefused,
    Status,
    check_allowed,
    check_conversation,
    check_text,
    read_request,
    request_key,
)

# Nobody's requests: the tenant of an event whose producer is unknown, and the use case of one that names none.
NOBODY = "-"
# When to come back to a use case that does not answer while its reviewers are behind.
LATER_SECONDS = 120
# Retrieved passages, cut to 2,000 characters each, join the prompt later and share the state's 256 KiB with it.
RETRIEVED_PASSAGE_BYTES = 8 * 1024

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    moment, execution_name = now(), event["execution_name"]
    rules = policy.current()
    tenant, detail = None, _detail(event)
    try:
        tenant = _tenant(event, rules, context)
        if detail is None:
            raise RequestRefused(Reason.INVALID_REQUEST, "detail must be a JSON object.", "detail")
        check_text(detail)
        schemas.check_request(detail)
        check_conversation(detail)
        check_allowed(rules, tenant, detail["use_case"])
        request = read_request(detail, tenant, event.get("user_id"), _channel(event))
        use_case = rules.use_case_of(tenant.name, request.use_case)
        mode = modes_table.current(tenant.name, use_case.name)
        if mode.mode is Mode.REFUSE:
            raise _refusal_in(mode)
        claim = _claim(request, use_case, tenant, rules, execution_name, moment, event.get("detail_ref"))
    except SubjectClosed as closed:
        if _channel(event) == "sync":
            raise CallHeldBack from closed
        raise
    except RequestRefused as refusal:
        claim = _refuse(refusal, event, tenant, detail, rules, execution_name, moment)
        # An attempt of ours that died may have claimed it before its use case was stopped: then it goes on.
        if not claim.ours or claim.record["status"] != Status.ADMITTED:
            return _answered(claim)

    if not claim.ours and _is_taken(claim, request.body_digest):
        claim = _refuse_conflict(request, rules, execution_name, moment)
        return _answered(claim)
    if not claim.ours or claim.record["status"] != Status.ADMITTED:
        return _answered(claim, duplicate=not claim.ours)
    use_case = degraded(use_case, mode.mode)
    key = answer_key(use_case, tenant.name, detail) if use_case.keeps_answers else None
    try:
        if mode.mode is Mode.CACHE_ONLY:
            return _answer_without_model(claim, use_case, key, rules, mode, moment)
        plan = _plan(request, detail, use_case, claim, mode, key)
    except SubjectErased:
        # An attempt of ours claimed it and died, and then its subject was erased: nothing is left to be answered.
        return _answered(claim, duplicate=True)
    # Not at INFO: AssessAnswer's line tells of the same request, and at a million of them a line has a price.
    logger.debug("request admitted", tenant=tenant.name, request_id=request.request_id, use_case=use_case.name)
    return {"admission": "ADMITTED", **plan}


def _tenant(event: dict, rules: Policy, context: LambdaContext) -> Tenant:
    """A call's tenant is proven by its token, an event's by its account and source; never by the body."""
    if "tenant" in event:
        tenant = rules.tenants.get(event["tenant"])
    else:
        own_account = context.invoked_function_arn.split(":")[4]
        tenant = rules.tenant_of(event.get("account", ""), event.get("source", ""), own_account)
    if tenant is None:
        raise RequestRefused(
            Reason.UNKNOWN_TENANT,
            "No tenant of the policy has this account and source as a producer.",
            "source",
        )
    return tenant


def _detail(event: dict) -> dict | None:
    detail = json.loads(payloads.get(event["detail_ref"])) if "detail_ref" in event else event.get("detail")
    return detail if isinstance(detail, dict) else None


def _channel(event: dict) -> str:
    return "sync" if "tenant" in event else "event"


def _claim(
    request: Request,
    use_case: UseCase,
    tenant: Tenant,
    rules: Policy,
    execution_name: str,
    moment: float,
    event_ref: str | None,
) -> Claim:
    # A full shard sends on to the next: a tenant may use its whole limit, and pays a call more only near it.
    for shard in shards_for(tenant, request.body_digest, int(moment)):
        try:
            return requests_table.claim(request, use_case, shard, rules, execution_name, moment, event_ref)
        except LimitReached as error:
            reached = error
    if reached.which == "rate":
        wait, limit = seconds_to_next_minute(int(moment)), f"{tenant.requests_per_minute} requests a minute"
        reason = Reason.RATE_LIMITED
    else:
        wait, limit = 5, f"{tenant.requests_in_flight} requests at once"
        reason = Reason.TOO_MANY_IN_FLIGHT
    message = f"The tenant's limit of {limit} is reached; send the request under a new request_id in {wait} s."
    raise RequestRefused(reason, message, retry_after_seconds=wait)


def _is_taken(claim: Claim, body_digest: str) -> bool:
    """Whether an id is another request's, or that of a planted review, which was never a request."""
    return claim.record["status"] == requests_table.PLANTED or claim.record["body_digest"] != body_digest


def _later(reason: Reason, why: str) -> RequestRefused:
    message = f"{why} Send the request under a new request_id in {LATER_SECONDS} s."
    return RequestRefused(reason, message, retry_after_seconds=LATER_SECONDS)


def _answer_without_model(
    claim: Claim, use_case: UseCase, key: str | None, rules: Policy, mode: EffectiveMode, moment: float
) -> dict:
    """Give the answer that the same question had before, where the mode allows it, or say when to come back."""
    record, subject = claim.record, subject_keys.of(claim.record)
    outcome = {"outcome_at": iso(moment), "policy_version": rules.version, "mode": mode.mode}
    if earlier := _earlier_answer(key):
        status, kept = Status.COMPLETED, ("model", "confidence", "prompt_version")
        outcome |= {"decided_by": "store", "cost_usd": 0, **{name: earlier[name] for name in kept if name in earlier}}
        outcome |= payloads.answer(record["request_key"], earlier["text"], subject, requests_table.ends_at(record))
        if use_case.deliver_answer:
            outcome["deliver"] = "event"
    else:
        status, refusal = Status.REFUSED, _refusal_in(mode)
        outcome |= {
            "decided_by": "policy",
            "reason": refusal.reason,
            "message": refusal.message,
            "retry_after_seconds": refusal.retry_after_seconds,
        }
    first = requests_table.record_outcome(record["request_key"], record["in_flight_key"], status, outcome)
    return _answered(Claim(True, first or record | outcome | {"status": status}))


def _earlier_answer(key: str | None) -> dict | None:
    """The request that answered this question, with its text; none if the store is out of order, too."""
    try:
        earlier = answers_table.find(key, now()) if key else None
        text = payloads.text_of(earlier, "answer", subject_keys.of(earlier)) if earlier else None
    except (PayloadGone, SubjectErased):
        return None
    except Exception:
        logger.exception("store of answers not read")
        return None
    return {**earlier, "text": text} if text else None


def _refusal_in(mode: EffectiveMode) -> RequestRefused:
    if mode.mode is Mode.CACHE_ONLY:
        return _later(Reason.CACHE_ONLY, "Only questions that were answered before are answered for now.")
    if mode.owner == REVIEW_LOAD:
        return _later(Reason.REVIEWERS_BEHIND, "The people who check these answers are behind.")
    return _later(Reason.STOPPED, "This use case is stopped while something is wrong with it.")


def _refuse(
    refusal: RequestRefused,
    event: dict,
    tenant: Tenant | None,
    detail: dict | None,
    rules: Policy,
    execution_name: str,
    moment: float,
) -> Claim:
    """Record a refusal under the request's own id, or under the event's where that cannot be read or trusted."""
    event_id = event.get("id") or execution_name
    tenant_name = tenant.name if tenant else NOBODY
    readable = tenant and refusal.reason is not Reason.INVALID_REQUEST
    if readable:
        request = read_request(detail, tenant, event.get("user_id"), _channel(event))
        record = requests_table.refusal_record(request)
    else:
        request_id = f"event:{event_id}"
        record = {
            "request_key": request_key(tenant_name, request_id),
            "tenant": tenant_name,
            "request_id": _if_readable(detail, "request_id") or request_id,
            "use_case": _if_readable(detail, "use_case") or NOBODY,
            "channel": _channel(event),
            "body_digest": NOBODY,
        }
    if "id" in event:
        record["source_event_id"] = event_id
    if "detail_ref" in event:
        record["event_ref"] = event["detail_ref"]
    record["policy_version"] = rules.version
    claim = requests_table.refuse(refusal, record, execution_name, moment, _refusal_days(record, rules))
    if readable and not claim.ours and _is_taken(claim, record["body_digest"]):
        # The id is an earlier request's, whose outcome is no answer to this one.
        return _refuse_conflict(request, rules, execution_name, moment)
    return claim


def _if_readable(detail: dict | None, field: str) -> str | None:
    """A field of an invalid body, if that field itself is valid: it tells the producer which request this is."""
    try:
        probe = {"request_id": "x", "use_case": "x", "query": "x"} | {field: (detail or {}).get(field)}
        schemas.check_request(probe)
    except RequestRefused:
        return None
    return probe[field]


def _refuse_conflict(request: Request, rules: Policy, execution_name: str, moment: float) -> Claim:
    """A body that is not the one its id was claimed with is refused beside the first one's record."""
    record = requests_table.refusal_record(request) | {
        "request_key": f"{request.key}#{request.body_digest[:16]}",
        "policy_version": rules.version,
    }
    refusal = RequestRefused(
        Reason.REQUEST_ID_CONFLICT,
        "This request_id was used with another body; send the new body under a new request_id.",
        "request_id",
    )
    return requests_table.refuse(refusal, record, execution_name, moment, _refusal_days(record, rules))


def _refusal_days(record: dict, rules: Policy) -> int:
    """A refusal says who asked and when, which is kept no longer than the request would have been."""
    days = rules.retention.refusal_days
    if record["use_case"] not in rules.use_cases:
        return days
    return min(days, rules.use_case_of(record["tenant"], record["use_case"]).request_days)


def _answered(claim: Claim, duplicate: bool = False) -> dict:
    record = claim.record
    status = record["status"]
    logger.info(
        "request repeated" if duplicate else "request refused",
        tenant=record["tenant"],
        status=status,
        reason=record.get("reason"),
    )
    return {
        "admission": "DUPLICATE" if duplicate else "REFUSED",
        "outcome": {
            name: record[name]
            for name in ("request_key", "request_id", "status", "reason", "message", "field")
            if name in record
        },
    }


def _threshold(use_case: UseCase, mode: EffectiveMode) -> float:
    """From where on an answer is released; while reviewers are behind that may be a little less."""
    floor = mode.confidence_floor
    return use_case.confidence_threshold if floor is None else min(use_case.confidence_threshold, floor)


def _plan(
    request: Request, detail: dict, use_case: UseCase, claim: Claim, mode: EffectiveMode, key: str | None
) -> dict:
    rendered = render(detail)
    record, subject = claim.record, subject_keys.of(claim.record)
    retrieve = 0 if rendered["passages"] else use_case.passages_to_retrieve
    room = MAX_RENDERED_BYTES - retrieve * RETRIEVED_PASSAGE_BYTES
    plan = {
        "request": {
            "tenant": request.tenant,
            "request_id": request.request_id,
            "request_key": request.key,
            "use_case": use_case.name,
            "in_flight_key": record["in_flight_key"],
            "expires_at": requests_table.ends_at(record),
            # So that who keeps the answer needs no call for the key.
            "subject": {"ref": subject.ref, "wrapped_key": subject.wrapped},
            "query_signals": query_signals(detail["query"]),
            "mode": mode.mode,
            "confidence_threshold": _threshold(use_case, mode),
            **({"answer_key": key} if key else {}),
            **{name: claim.record[name] for name in ("subject_ref",) if name in claim.record},
        },
        "system": use_case.system,
        "models": [{"model": model.name, "model_id": model.model_id} for model in use_case.models],
        "max_output_tokens": use_case.max_output_tokens,
        "temperature": use_case.temperature,
        "retrieve": retrieve,
        "retrieval_query": detail["query"][:1000],
    }
    if fits(rendered, request.body, room):
        return plan | rendered | {"payload_ref": ""}
    # Too large for a state: the bucket has the body already, and InvokeLargeModel reads it there.
    ref = record.get("payload_ref") or payloads.keep_apart(
        "payload", request.key, request.body, subject, requests_table.ends_at(record)
    )
    return plan | {
        "messages": [],
        "passages": [],
        "query": {},
        "passage_qualifiers": rendered["passage_qualifiers"],
        "payload_ref": ref,
    }
