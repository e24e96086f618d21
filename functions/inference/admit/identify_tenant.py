"""IdentifyTenant: a call's tenant is proven by its token, an event's by its account and source; never by the body."""

from domain.requests import Reason, RequestRefused
from inference.admit.admission import Admission


def identify_tenant(admission: Admission) -> Admission:
    event, rules = admission.event, admission.rules
    if "tenant" in event:
        tenant = rules.tenants.get(event["tenant"])
    else:
        tenant = rules.tenant_of(event.get("account", ""), event.get("source", ""), admission.own_account)
    if tenant is None:
        raise RequestRefused(
            Reason.UNKNOWN_TENANT,
            "No tenant of the policy has this account and source as a producer.",
            "source",
        )
    return admission._replace(tenant=tenant)
