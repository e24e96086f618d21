"""SubmitInference: POST /inferences; runs inference and answers at once where it can."""

import json
import uuid

from aws_lambda_powertools import Logger

from adapters import payloads, requests_table, schemas, workflows
from adapters.api.http import Refused, answers, body_of, respond
from adapters.api.inference_view import http_status_of, view_of
from domain.api.callers import Caller
from domain.inference.prompts import MAX_RENDERED_BYTES
from domain.requests import invalid, request_key

# Proven by the token, so a body that brings them is refused rather than ignored.
PROVEN_FIELDS = ("user_id", "subject_id")

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("callers")
    detail = _detail(event)
    execution_input = {"tenant": caller.tenant, "user_id": caller.user_id, **_body(detail)}
    try:
        outcome = workflows.infer(execution_input)
    except workflows.StillRunning:
        return _accepted(detail)
    except workflows.ExecutionFailed as failed:
        # Claimed or not: if it was, the sweeper ends it, and GET tells; if not, the same call may be sent again.
        if requests_table.find(request_key(caller.tenant, detail["request_id"])):
            return _accepted(detail)
        raise _not_admitted(execution_input, detail, failed) from failed
    return _answered(requests_table.find(outcome["request_key"]), caller)


def _detail(event: dict) -> dict:
    detail = body_of(event)
    if isinstance(detail, dict):
        detail.setdefault("request_id", str(uuid.uuid4()))
        for name in PROVEN_FIELDS:
            if name in detail:
                raise invalid(name, "comes from your token and may not be in the body")
    schemas.check_request(detail)
    return detail


def _body(detail: dict) -> dict:
    """A body as an execution takes it: by reference, where it is too large for an input."""
    encoded = json.dumps(detail, ensure_ascii=False).encode()
    return {"detail_ref": payloads.put_event(encoded)} if len(encoded) > MAX_RENDERED_BYTES else {"detail": detail}


def _accepted(detail: dict) -> dict:
    accepted = {"request_id": detail["request_id"], "status": "ADMITTED"}
    return respond(202, accepted, _where(accepted))


def _not_admitted(execution_input: dict, detail: dict, failed: workflows.ExecutionFailed) -> Refused:
    if ref := execution_input.get("detail_ref"):
        # Nothing refers to it, so nobody would find it; who sends the call again brings it again.
        payloads.delete([ref])
    logger.error("request not admitted", request_id=detail["request_id"], error=str(failed))
    return Refused(503, "UNAVAILABLE", "The request could not be admitted; send it again.", retry_after_seconds=5)


def _answered(record: dict | None, caller: Caller) -> dict:
    if record is None:
        raise Refused(410, "GONE", "The request is not kept any more: its subject was forgotten.")
    status, view = http_status_of(record), view_of(record, caller.user_id)
    logger.info("request answered", request_id=record["request_id"], status=record["status"])
    if status >= 400:
        more = {name: record[name] for name in ("field", "retry_after_seconds") if name in record}
        raise Refused(status, view["reason"], view["message"], request_id=view["request_id"], **more)
    return respond(status, view, _where(view))


def _where(view: dict) -> dict:
    return {"location": f"/inferences/{view['request_id']}"}
