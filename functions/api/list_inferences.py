"""ListInferences: GET /inferences; what became of a tenant's requests, the latest first, for its operators."""

from aws_lambda_powertools import Logger

from adapters import policy, requests_table
from adapters.api.http import answers, limit_of, position_of, respond
from domain.api.callers import Caller, Forbidden
from domain.requests import Status, invalid

_SHOWN = "request_id tenant use_case status reason decided_by model confidence cost_usd outcome_at".split()

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("operators")
    if caller.groups & {"reviewers", "leads"}:
        raise Forbidden("Who reviews may not look at what became of requests: it would tell of blind reviews.")
    query = event.get("queryStringParameters") or {}
    limit, before = limit_of(query), position_of(query)
    if query.get("status", Status.COMPLETED) not in set(Status) - {Status.ADMITTED}:
        raise invalid("status", "must be one of COMPLETED, HELD, REFUSED, FAILED")
    known = policy.current().tenants
    tenants = [name for name in caller.tenants if name in known and query.get("tenant", name) == name]
    found, last = requests_table.outcomes_before(tenants, before, limit, query, caller.sees)
    page: dict = {"inferences": [{name: one[name] for name in _SHOWN if name in one} for one in found]}
    if last:
        page["next"] = last
    return respond(200, page)
