"""ListQueues: GET /queues; how long the caller's queues are, and whether they will be in time."""

from aws_lambda_powertools import Logger

from adapters import policy
from adapters.api.http import answers, respond
from adapters.reviews import loads_table
from domain.api.callers import Caller
from domain.api.places import places_of

_SHOWN = "tenant use_case waiting oldest_at next_due_at drain_seconds sla_seconds gives".split()

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("reviewers", "leads", "operators")
    loads = loads_table.read(places_of(policy.current(), caller))
    queues = [
        {name: load[name] for name in _SHOWN if load[name] is not None}
        | {"state": "BREACHING" if load["breaching"] else "OK"}
        for load in loads
    ]
    return respond(200, {"queues": queues})
