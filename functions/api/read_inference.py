"""ReadInference: GET /inferences/{request_id}; what became of a request, and to its owner the answer."""

from aws_lambda_powertools import Logger

from adapters import requests_table
from adapters.api.http import Refused, answers, respond
from adapters.api.inference_view import view_of
from domain.api.callers import Caller
from domain.requests import request_key

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("callers", "operators")
    request_id = event["pathParameters"]["request_id"]
    for tenant in caller.tenants:
        record = requests_table.find(request_key(tenant, request_id))
        if record and _may_see(record, caller):
            return respond(200, view_of(record, caller.user_id))
    raise Refused(404, "NOT_FOUND", "There is no request with this id.")


def _may_see(record: dict, caller: Caller) -> bool:
    """Whoever reviews sees only their own: what became of a request is what a blind review must not tell."""
    if record["status"] == requests_table.PLANTED or not caller.sees(record["tenant"], record["use_case"]):
        return False
    return record.get("user_id") == caller.user_id or not caller.groups & {"reviewers", "leads"}
