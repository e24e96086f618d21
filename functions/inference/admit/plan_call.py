"""PlanCall: what the machine needs to ask the model, and AssessAnswer to judge what it says."""

from adapters import payloads, requests_table
from adapters.inference.model_ids import in_this_region
from domain.inference.confidence import query_signals
from domain.inference.prompts import fits, render, room_beside
from inference.admit.admission import Admission


def plan_call(admission: Admission) -> Admission:
    request, use_case, detail = admission.request, admission.use_case, admission.detail
    rendered = render(detail, use_case.max_output_tokens)
    retrieve = 0 if rendered["passages"] else use_case.passages_to_retrieve
    plan = {
        "admission": "ADMITTED",
        "request": _carried(admission),
        "system": use_case.system,
        "models": [{"model": model.name, "model_id": in_this_region(model.model_id)} for model in use_case.models],
        "max_output_tokens": use_case.max_output_tokens,
        "temperature": use_case.temperature,
        # What else Converse is told; a part that is not there is not told.
        "call": {"GuardrailConfig": _guardrail_config(admission)},
        "retrieve": retrieve,
        "retrieval_query": detail["query"][:1000],
    }
    if fits(rendered, request.body, room_beside(retrieve)):
        plan |= rendered | {"payload_ref": ""}
    else:
        # Too large for a state: InvokeLargeModel reads the body where it is kept.
        plan |= rendered | {"messages": [], "passages": [], "query": {}, "payload_ref": _payload_ref(admission)}
    return admission._replace(told=plan)


def _carried(admission: Admission) -> dict:
    """What of the request the states after this one need to know."""
    request, record, subject = admission.request, admission.claim.record, admission.subject
    carried = {
        "tenant": request.tenant,
        "request_id": request.request_id,
        "request_key": request.key,
        "use_case": request.use_case,
        "in_flight_key": record["in_flight_key"],
        "expires_at": requests_table.ends_at(record),
        # So that who keeps the answer needs no call for the key.
        "subject": {"ref": subject.ref, "wrapped_key": subject.wrapped},
        "query_signals": query_signals(admission.detail["query"]),
        "mode": admission.mode.mode,
        "confidence_threshold": admission.mode.threshold_of(admission.use_case),
    }
    if admission.answer_key:
        carried["answer_key"] = admission.answer_key
    if "subject_ref" in record:
        carried["subject_ref"] = record["subject_ref"]
    return carried


def _guardrail_config(admission: Admission) -> dict:
    chosen = admission.recorded["guardrail"]
    return {"GuardrailIdentifier": chosen["id"], "GuardrailVersion": chosen["version"], "Trace": "enabled"}


def _payload_ref(admission: Admission) -> str:
    """Where the body is kept by itself; the bucket has it already if it is too large for its record, too."""
    record, request = admission.claim.record, admission.request
    ends_at = requests_table.ends_at(record)
    return record.get("payload_ref") or payloads.keep_apart(
        "payload", request.key, request.body, admission.subject, ends_at
    )
