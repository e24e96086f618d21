"""inference/assess/take_answer.py: what can be judged passes; of anything else the attempt has failed."""

import dataclasses

import pytest
from converse import converse_result

from domain.requests import Reason
from inference.assess.assessment import NoAnswer
from inference.assess.take_answer import take_answer

REFUSAL = converse_result("I'm sorry, but I can't help with that request.")
FILTERED = converse_result("", stop_reason="content_filtered")


def taken(assessment, raw, on_refusal="next_model", **event):
    made = assessment(raw)
    use_case = dataclasses.replace(made.use_case, on_refusal=on_refusal, languages=frozenset({"en"}))
    return take_answer(made._replace(use_case=use_case, event=made.event | event))


def test_an_answer_passes(assessment):
    assert not taken(assessment, converse_result("Eleven hours."), is_last_model=False).is_refusal


@pytest.mark.parametrize("raw", [REFUSAL, FILTERED])
def test_a_refusal_is_a_failed_attempt_where_the_next_model_is_to_be_asked(assessment, raw):
    with pytest.raises(NoAnswer) as no:
        taken(assessment, raw, is_last_model=False)

    assert no.value.args[0]["error"] == Reason.MODEL_REFUSED


@pytest.mark.parametrize("raw", [REFUSAL, FILTERED])
@pytest.mark.parametrize(
    ("on_refusal", "is_last"), [("next_model", True), ("pass_on", False), ("hold", False), ("hold", True)]
)
def test_a_refusal_passes_as_one_where_nobody_else_is_asked(assessment, raw, on_refusal, is_last):
    assert taken(assessment, raw, on_refusal, is_last_model=is_last).is_refusal


def test_a_machine_of_before_asks_nobody_else(assessment):
    assert taken(assessment, REFUSAL).is_refusal


def test_what_the_guardrail_said_is_no_refusal_of_the_model(assessment):
    blocked = converse_result("I'm sorry, but I can't help with that.", stop_reason="guardrail_intervened")

    assert not taken(assessment, blocked, is_last_model=False).is_refusal


def test_a_refusal_that_says_nothing_is_empty(assessment):
    with pytest.raises(NoAnswer) as no:
        taken(assessment, converse_result("\u200b"), is_last_model=True)

    assert no.value.args[0]["error"] == Reason.EMPTY_ANSWER
