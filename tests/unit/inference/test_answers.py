"""domain/inference/answers.py: what a model answered and what the guardrail found."""

import dataclasses
from decimal import Decimal

import pytest
from converse import converse_result, grounding
from hypothesis import given
from hypothesis import strategies as st
from linear import assert_linear

from domain.characters import cleaned
from domain.inference.answers import Answer, answer_key, cost_of
from domain.policy import Model, Policy


def read(*texts: str, **more) -> Answer:
    return Answer.from_converse(converse_result(*texts, **more))


@pytest.mark.parametrize(
    ("said", "text", "stated"),
    [
        ("Eleven hours.", "Eleven hours.", None),
        ("Eleven hours.\nConfidence: 0.8", "Eleven hours.", 0.8),
        ("Eleven hours.\n\n**Confidence:** 0.85", "Eleven hours.", 0.85),
        ("Eleven hours.\n**Confidence: .9**", "Eleven hours.", 0.9),
        ("Eleven hours.\nconfidence: 1\n", "Eleven hours.", 1.0),
        ("Eleven hours.\n  Confidence 0.7.  ", "Eleven hours.", 0.7),
        ("Eleven hours.\nConfidence: 1.7", "Eleven hours.", 1.0),
        ("Confidence: 0.9", "", 0.9),
        ("Eleven hours.\nConfidence: high", "Eleven hours.\nConfidence: high", None),
        ("Eleven hours.\nConfidence: 80", "Eleven hours.\nConfidence: 80", None),
        ("Confidence: 0.4\nEleven hours.", "Confidence: 0.4\nEleven hours.", None),
        ("The test has a level of confidence: 0.95", "The test has a level of confidence: 0.95", None),
    ],
)
def test_a_stated_confidence_is_read_off_the_last_line_alone(said, text, stated):
    answer = read(said)

    assert (answer.text, answer.stated_confidence) == (text, stated)


@given(st.text(), st.decimals(0, 1, places=3))
def test_what_is_stated_never_reaches_the_reader(said, stated):
    answer = read(f"{said}\nConfidence: {stated}")

    assert answer.text == cleaned(said).strip()
    assert answer.stated_confidence == float(stated)


@pytest.mark.parametrize("run", [" ", "\n", "*", ".", "confidence: 1 ", "\t \n"])
def test_a_model_that_repeats_itself_is_read_in_no_time(run):
    assert_linear(lambda size: read("a" + run * (size // len(run)) + "b"), 100_000)


def test_blocks_are_joined_and_what_is_no_text_is_left_out():
    raw = converse_result("Eleven ", "hours.")
    raw["Output"]["Message"]["Content"].insert(0, {"ReasoningContent": {"ReasoningText": {"Text": "hm"}}})

    assert Answer.from_converse(raw).text == "Eleven hours."


@pytest.mark.parametrize("content", [None, []])
def test_an_answer_without_content_is_empty(content):
    raw = converse_result()
    raw["Output"]["Message"]["Content"] = content

    assert Answer.from_converse(raw).text == ""


def test_the_lowest_grounding_counts():
    raw = converse_result("Eleven hours.", guardrail=grounding(0.9, 0.8))
    raw["Trace"]["Guardrail"]["OutputAssessments"]["guardrail"].append(grounding(0.4, 0.95))

    answer = Answer.from_converse(raw)

    assert (answer.grounding, answer.relevance) == (0.4, 0.8)


@pytest.mark.parametrize("trace", [{}, {"Trace": None}, {"Trace": {}}, {"Trace": {"Guardrail": {}}}])
def test_without_a_trace_nothing_is_known(trace):
    answer = Answer.from_converse(converse_result("Eleven hours.") | trace)

    assert (answer.grounding, answer.relevance, answer.findings) == (None, None, ())


def test_findings_are_names_and_never_what_was_matched():
    secret = "4111 1111 1111 1111"
    answer = read(
        "Yours is " + secret,
        guardrail={
            "ContentPolicy": {
                "Filters": [
                    {"Type": "HATE", "Confidence": "HIGH", "Detected": True},
                    {"Type": "INSULTS", "Confidence": "NONE", "Detected": False},
                ]
            },
            "TopicPolicy": {"Topics": [{"Name": "medicine", "Type": "DENY"}]},
            "WordPolicy": {
                "CustomWords": [{"Match": "codename"}],
                "ManagedWordLists": [{"Match": "damn", "Type": "PROFANITY"}],
            },
            "SensitiveInformationPolicy": {
                "PiiEntities": [{"Match": secret, "Type": "CREDIT_DEBIT_CARD_NUMBER"}],
                "Regexes": [{"Match": "A-17", "Name": "case number"}],
            },
            **grounding(0.1),
        },
    )

    assert answer.findings == (
        "ContentPolicy:HATE",
        "SensitiveInformationPolicy:CREDIT_DEBIT_CARD_NUMBER",
        "SensitiveInformationPolicy:case number",
        "TopicPolicy:medicine",
        "WordPolicy:CustomWord",
        "WordPolicy:PROFANITY",
    )


def test_only_an_intervention_is_a_block():
    assert read("blocked", stop_reason="guardrail_intervened").blocked
    assert not read("fine").blocked


def test_cost_is_exact():
    model = Model("m", "id", Decimal("0.06") / 1_000_000, Decimal("0.24") / 1_000_000)

    assert cost_of(model, 1_000_000, 3) == Decimal("0.06000072")


@pytest.fixture
def use_cases(policy_document):
    return Policy.from_json(policy_document).use_cases


QUESTION = {"request_id": "r-1", "use_case": "product_support", "query": "How long?", "user_id": "user-17"}


@pytest.mark.parametrize("same", [{"request_id": "r-2"}, {"user_id": "user-18"}, {"metadata": {"a": 1}}])
def test_the_same_question_has_the_same_key_whoever_asks(use_cases, same):
    use_case = use_cases["product_support"]

    assert answer_key(use_case, "acme", QUESTION | same) == answer_key(use_case, "acme", QUESTION)


@pytest.mark.parametrize(
    "other",
    [
        {"query": "How long? "},
        {"passages": [{"id": "p", "text": "Eleven hours."}]},
        {"history": [{"role": "user", "text": "Hi."}]},
        {"query": "How", "passages": "long?"},
    ],
)
def test_another_question_has_another_key(use_cases, other):
    use_case = use_cases["product_support"]

    assert answer_key(use_case, "acme", QUESTION | other) != answer_key(use_case, "acme", QUESTION)


def test_another_tenant_use_case_or_prompt_has_other_answers(use_cases):
    use_case, another = use_cases["product_support"], use_cases["policy_advice"]
    newer = dataclasses.replace(use_case, prompt_version="answer_from_passages@2")

    keys = [
        answer_key(*one, QUESTION)
        for one in ((use_case, "acme"), (use_case, "globex"), (another, "acme"), (newer, "acme"))
    ]

    assert len(set(keys)) == 4
    assert not any("How long" in key for key in keys)
