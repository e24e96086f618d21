"""ListIncidents: GET /incidents; what is or was wrong with the caller's use cases, and the modes they work in."""

from aws_lambda_powertools import Logger

from adapters import modes_table, policy
from adapters.api.http import answers, respond
from adapters.incidents import incidents_table
from adapters.incidents.incident_view import summary_of, use_cases_of
from domain.api.callers import Caller
from domain.api.places import places_of

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    mine = use_cases_of(caller)
    watches = incidents_table.find_watches(sorted(mine))
    found = sorted((one for watch in watches for one in watch.incidents), key=lambda incident: -incident.seen_at)
    modes = modes_table.in_force(places_of(policy.current(), caller))
    return respond(200, {"incidents": [summary_of(incident) for incident in found], "modes": modes})
