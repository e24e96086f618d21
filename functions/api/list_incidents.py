"""ListIncidents: GET /incidents; what is or was wrong with the caller's use cases, the latest first."""

from aws_lambda_powertools import Logger

from adapters import incidents_table, policy
from adapters.clock import iso
from adapters.http import answers, respond
from domain.callers import Caller
from domain.incidents import Incident

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("operators")
    rules = policy.current()
    speed = rules.incidents.get("drill_speed", 1)
    mine = {
        use_case
        for tenant in caller.tenants
        if tenant in rules.tenants
        for use_case in rules.tenants[tenant].use_cases
        if caller.sees(tenant, use_case)
    }
    found = [one for watch in incidents_table.find_watches(sorted(mine)) for one in watch.incidents]
    found.sort(key=lambda incident: -incident.seen_at)
    return respond(200, {"incidents": [_shown(incident, speed) for incident in found]})


def _shown(incident: Incident, speed: float) -> dict:
    return {
        "incident_id": incident.incident_id,
        "use_case": incident.use_case,
        "type": incident.type,
        "severity": incident.severity,
        "status": "OPEN" if incident.is_open else "CLOSED",
        "since": iso(incident.since / speed),
        "seen_at": iso(incident.seen_at / speed),
        "explanation": incident.explained(),
    }
