"""ChooseGuardrail: the guardrail of the use case's risk class judges the request and its answer."""

from dataclasses import replace

from adapters.inference import guardrails
from inference.admit.admission import Admission


def choose_guardrail(admission: Admission) -> Admission:
    chosen = guardrails.of(admission.use_case.risk_class.guardrail)
    return replace(admission, recorded=admission.recorded | {"guardrail": chosen})
