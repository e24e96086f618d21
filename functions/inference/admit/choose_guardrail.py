"""ChooseGuardrail: the guardrail of the use case's risk class judges the request and its answer."""

from adapters.inference import guardrails
from inference.admit.admission import Admission


def choose_guardrail(admission: Admission) -> Admission:
    chosen = guardrails.of(admission.use_case.risk_class.guardrail)
    return admission._replace(recorded=admission.recorded | {"guardrail": chosen})
