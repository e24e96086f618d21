"""CheckUseCase: the tenant may ask this use case, and has it as the policy gives it to that tenant."""

from domain.requests import check_allowed
from inference.admit.admission import Admission


def check_use_case(admission: Admission) -> Admission:
    rules, tenant, name = admission.rules, admission.tenant, admission.request.use_case
    check_allowed(rules, tenant, name)
    return admission._replace(use_case=rules.use_case_of(tenant.name, name))
