"""ListIncidents: GET /incidents; what is or was wrong with the caller's use cases, the latest first."""

from aws_lambda_powertools import Logger

from adapters import incidents_table
from adapters.http import answers, respond
from adapters.incident_view import summary_of, use_cases_of
from domain.callers import Caller

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    watches = incidents_table.find_watches(sorted(use_cases_of(caller)))
    found = sorted((one for watch in watches for one in watch.incidents), key=lambda incident: -incident.seen_at)
    return respond(200, {"incidents": [summary_of(incident) for incident in found]})
