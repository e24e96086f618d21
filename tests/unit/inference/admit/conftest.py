"""An admission as it comes to a step."""

from collections.abc import Callable

import pytest
from words import NOW

from inference.admit.admission import Admission
from inference.admit.check_body import check_body
from inference.admit.check_use_case import check_use_case
from inference.admit.choose_guardrail import choose_guardrail
from inference.admit.claim_request import claim_request
from inference.admit.identify_tenant import identify_tenant
from inference.admit.read_body import read_body

EVENT = {
    "id": "event-1",
    "account": "123456789012",
    "source": "acme.app",
    "detail": {"request_id": "r-1", "use_case": "general_question", "query": "How long?", "user_id": "user-17"},
}
_STEPS = (read_body, identify_tenant, check_body, check_use_case, choose_guardrail, claim_request)


@pytest.fixture
def admission(stores, rules, clock) -> Callable[..., Admission]:
    """An admission that all steps before a named one have seen; `event` and `detail` change what came in."""

    def until(step: str, detail: dict | None = None, known: dict | None = None, **event: object) -> Admission:
        came = EVENT | {"detail": EVENT["detail"] | (detail or {})} | event
        found = Admission(came, "execution-1", "123456789012", NOW, rules)
        for earlier in _STEPS:
            if earlier.__name__ == step:
                break
            found = earlier(found)
        return found._replace(**(known or {}))

    return until
