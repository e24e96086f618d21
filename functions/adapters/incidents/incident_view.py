"""How an incident looks to an operator over HTTP, and whose it is to see: that of a use case of their tenants."""

from adapters import policy
from adapters.api.http import Refused
from adapters.clock import iso
from adapters.incidents import incidents_table
from adapters.incidents.incidents_table import Case
from domain.api.callers import Caller
from domain.api.places import places_of
from domain.incidents.incidents import Incident
from domain.policy import SYSTEM


def use_cases_of(caller: Caller) -> set[str]:
    """The use cases whose incidents the caller may see; what all run on is every operator's."""
    caller.require("operators")
    return {use_case for _, use_case in places_of(policy.current(), caller)} | {SYSTEM}


def visible_case(incident_id: str, caller: Caller) -> Case:
    """The case, if the caller may see it; another's looks like one that does not exist."""
    mine, case = use_cases_of(caller), incidents_table.find_case(incident_id)
    if case is None or case.incident.use_case not in mine:
        raise Refused(404, "NOT_FOUND", "There is no incident with this id.")
    return case


def summary_of(incident: Incident) -> dict:
    """An incident as a list shows it."""
    faster = policy.current().drill_speed
    return {
        "incident_id": incident.incident_id,
        "use_case": incident.use_case,
        "type": incident.type,
        "severity": incident.severity,
        "status": "OPEN" if incident.is_open else "CLOSED",
        "since": iso(incident.since / faster),
        "opened_at": iso(incident.opened_at / faster),
        "seen_at": iso(incident.seen_at / faster),
        "explanation": incident.explained(),
    }
