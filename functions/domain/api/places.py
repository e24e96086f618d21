"""Where a caller works: the tenants and use cases of the policy that they see."""

from domain.api.callers import Caller
from domain.policy import Policy


def places_of(rules: Policy, caller: Caller) -> list[tuple[str, str]]:
    """The tenants and use cases that the caller works for."""
    return [
        (tenant, use_case)
        for tenant in caller.tenants
        if tenant in rules.tenants
        for use_case in sorted(rules.tenants[tenant].use_cases)
        if caller.sees(tenant, use_case)
    ]
