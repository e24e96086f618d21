"""Which incidents an operator may see: those of a use case that one of their tenants has."""

from adapters import incidents_table, policy
from adapters.http import Refused
from adapters.incidents_table import Case
from domain.callers import Caller


def visible_case(incident_id: str, caller: Caller) -> Case:
    """The case, if the caller may see it; another's looks like one that does not exist."""
    caller.require("operators")
    case, tenants = incidents_table.find_case(incident_id), policy.current().tenants
    use_case = case and case.incident.use_case
    if not any(
        tenant in tenants and use_case in tenants[tenant].use_cases and caller.sees(tenant, use_case)
        for tenant in caller.tenants
    ):
        raise Refused(404, "NOT_FOUND", "There is no incident with this id.")
    return case
