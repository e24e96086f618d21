"""inference/assess/price_answer.py: every attempt is paid for at its own model's price."""

from decimal import Decimal

from converse import converse_result

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
