"""inference/assess/price_answer.py: every attempt is paid for at its own model's price."""

from decimal import Decimal

from converse import converse_result

from domain.inference.usage import line
from inference.assess.price_answer import price_answer

FAILED = {"model": "nova-pro", "error": "TRUNCATED_ANSWER", "input_tokens": 1000, "output_tokens": 500}
UNANSWERED = {"model": "nova-pro", "error": "States.Timeout", "input_tokens": 0, "output_tokens": 0}


def test_an_answer_costs_its_tokens(assessment):
    priced = price_answer(assessment(converse_result("Yes.", tokens=(1_000_000, 1_000_000))))

    assert priced.attributes["cost_usd"] == Decimal("0.30")
    assert (priced.attributes["input_tokens"], priced.attributes["output_tokens"]) == (1_000_000, 1_000_000)


def test_attempts_before_it_are_paid_for(assessment):
    priced = price_answer(assessment(converse_result("Yes.", tokens=(0, 0)), attempts=[FAILED, UNANSWERED]))

    assert priced.attributes["cost_usd"] == Decimal("0.0024")
    assert priced.attributes["attempts"] == [FAILED, UNANSWERED]


def test_each_attempt_that_answered_has_a_line_of_usage_and_the_last_is_the_answer_s(assessment):
    reported = {"usage": {"InputTokens": 1000, "OutputTokens": 500}, "text_units": [{"TopicPolicyUnits": 2}]}
    metrics = {"InvocationMetrics": {"Usage": {"TopicPolicyUnits": 1, "WordPolicyUnits": 1}}}
    raw = converse_result("Yes.", tokens=(30, 7), guardrail=metrics)
    raw["Trace"]["Guardrail"]["InputAssessment"] = {"guardrail": metrics}

    priced = price_answer(assessment(raw, attempts=[UNANSWERED, FAILED | reported]))

    assert priced.attributes["usage"] == [
        line("nova-pro", 1000, 500, {"topic_policy": 2}),
        line("nova-lite", 30, 7, {"topic_policy": 2, "word_policy": 2}),
    ]
    assert priced.attributes["attempts"] == [UNANSWERED, FAILED]
