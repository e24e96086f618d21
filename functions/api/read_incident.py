"""ReadIncident: GET /incidents/{incident_id}; what was seen, what was done about it, and when."""

from aws_lambda_powertools import Logger

from adapters import policy
from adapters.clock import iso
from adapters.http import answers, respond
from adapters.incident_access import visible_case
from domain.callers import Caller

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    case = visible_case(event["pathParameters"]["incident_id"], caller)
    speed = policy.current().incidents.get("drill_speed", 1)
    incident, mitigation = case.incident, case.mitigation
    timeline = [{**entry, "at": iso(entry["at"] / speed)} for entry in case.timeline]
    shown = {
        "incident_id": incident.incident_id,
        "use_case": incident.use_case,
        "type": incident.type,
        "severity": incident.severity,
        "status": "OPEN" if incident.is_open else "CLOSED",
        "since": iso(incident.since / speed),
        "opened_at": iso(incident.opened_at / speed),
        "explanation": incident.explained(),
        "symptoms": [finding.to_json() | {"told": finding.explained()} for finding in incident.symptoms],
        "timeline": timeline,
    }
    if mitigation:
        shown |= {"phase": mitigation.phase, "ask": mitigation.ask, "outcome": mitigation.outcome}
    return respond(200, shown)
