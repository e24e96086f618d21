"""ReadIncident: GET /incidents/{incident_id}; what was seen, what was done about it, and when."""

from aws_lambda_powertools import Logger

from adapters import policy
from adapters.api.http import answers, respond
from adapters.clock import iso
from adapters.incidents.incident_view import summary_of, visible_case
from domain.api.callers import Caller

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    case = visible_case(event["pathParameters"]["incident_id"], caller)
    incident, mitigation, faster = case.incident, case.mitigation, policy.current().drill_speed
    shown = summary_of(incident) | {
        "symptoms": [finding.to_json() | {"told": finding.explained()} for finding in incident.symptoms],
        "timeline": [{**entry, "at": iso(entry["at"] / faster)} for entry in case.timeline],
    }
    if mitigation:
        shown |= {"phase": mitigation.phase, "ask": mitigation.ask, "outcome": mitigation.outcome}
    return respond(200, shown)
