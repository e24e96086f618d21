"""inference/assess/judge_answer.py: what is trusted is released, and what it was judged by is recorded."""

import pytest
from converse import converse_result

from domain.requests import Reason, Status
from inference.assess.judge_answer import judge_answer


@pytest.mark.parametrize(
    ("raw", "request_", "status", "reason"),
    [
        (converse_result("Eleven hours."), {}, Status.COMPLETED, None),
        (converse_result("Eleven hours."), {"confidence_threshold": 1.0}, Status.HELD, Reason.LOW_CONFIDENCE),
        (converse_result("Eleven hours."), {"use_case": "policy_advice"}, Status.HELD, Reason.RISK_CLASS),
        (converse_result("No.", stop_reason="guardrail_intervened"), {}, Status.REFUSED, Reason.GUARDRAIL_BLOCKED),
    ],
)
def test_a_verdict_says_why(assessment, raw, request_, status, reason):
    judged = judge_answer(assessment(raw, request_))

    assert (judged.verdict.status, judged.verdict.reason) == (status, reason)
    assert judged.attributes.get("reason") == reason
    assert 0 <= judged.confidence <= 1
    assert float(judged.attributes["confidence"]) == judged.confidence
