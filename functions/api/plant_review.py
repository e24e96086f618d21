"""PlantReview: POST /planted-reviews; puts a bad answer among the reviews, to see whether it is noticed."""

import json
import secrets
import uuid

from aws_lambda_powertools import Logger

from adapters import policy, requests_table, schemas, subject_keys, workflows
from adapters.api.http import Refused, answers, body_of, respond
from adapters.clock import now
from domain.api.callers import Caller
from domain.characters import is_blank
from domain.outcomes import review_id_of
from domain.policy import Policy, UseCase
from domain.requests import Request, invalid, read_request
from domain.reviews.plans import plan_review
from domain.reviews.review import Kind

FIELDS = {"tenant", "use_case", "query", "passages", "answer", "request_id"}

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("operators")
    body, rules, moment = body_of(event), policy.current(), now()
    tenant, answer, detail = _read(body, caller)
    request, use_case = _planned(detail, tenant, rules, caller)
    review = _review_of(request, use_case)
    if not requests_table.plant(request, review, answer, use_case.review_days, moment):
        raise Refused(409, "REQUEST_ID_CONFLICT", "This request_id is taken; plant it under another one.")
    # Should this process die here, the sweeper starts the review.
    workflows.start_review(json.loads(json.dumps(review)))
    logger.info("review planted", review_id=review["review_id"], planted_by=caller.user_id)
    return respond(201, {"review_id": review["review_id"], "request_id": request.request_id})


def _read(body: object, caller: Caller) -> tuple[str, str, dict]:
    """The tenant, the bad answer, and the request that it is an answer to."""
    if not isinstance(body, dict) or not body.keys() <= FIELDS:
        raise invalid("body", f"may hold {', '.join(sorted(FIELDS))}")
    for name in ("tenant", "use_case"):
        if not isinstance(body.get(name, ""), str):
            raise invalid(name, "must be a text")
    answer, tenant = body.get("answer"), body.get("tenant") or caller.tenant
    if not isinstance(answer, str) or is_blank(answer):
        raise invalid("answer", "is missing: give the bad answer that a reviewer should not let pass")
    detail = {name: value for name, value in body.items() if name not in ("answer", "tenant")}
    return tenant, answer, detail


def _planned(detail: dict, tenant: str, rules: Policy, caller: Caller) -> tuple[Request, UseCase]:
    """The request as any other of the use case, which has to be one that the caller operates."""
    if tenant not in rules.tenants or not caller.sees(tenant, detail.get("use_case")):
        raise Refused(403, "FORBIDDEN", "You do not operate this use case of this tenant.")
    detail = {"request_id": str(uuid.uuid4()), **detail}
    schemas.check_request(detail)
    if detail["use_case"] not in rules.tenants[tenant].use_cases:
        raise invalid("use_case", "is not open to this tenant")
    request = read_request(detail, rules.tenants[tenant], caller.user_id, "planted")
    return request, rules.use_case_of(tenant, detail["use_case"])


def _review_of(request: Request, use_case: UseCase) -> dict:
    """It looks like any other blind review, and a chance of its own lets it wait its turn like one."""
    return {
        "review_id": review_id_of(request.key),
        "tenant": request.tenant,
        "request_id": request.request_id,
        "request_key": request.key,
        "subject_ref": subject_keys.subject_ref(request.tenant, request.subject_id),
        "reason": None,
        "confidence": 0,
        **plan_review(Kind.PLANTED, use_case, secrets.SystemRandom().random(), 1),
    }
