"""inference/assess_answer.py: an answer is judged once, and what becomes of it is recorded with its reasons."""

import json
from decimal import Decimal

import pytest
from converse import converse_result, grounding
from words import EXPIRES_AT, carried_by, key_of, text_of

from domain.inference.prompts import guarded
from inference import assess_answer
from inference.assess import draw_review

REQUEST = {
    "tenant": "acme",
    "request_id": "r-1",
    "request_key": "acme#r-1",
    "use_case": "general_question",
    "in_flight_key": "in-flight#acme#0",
    "mode": "normal",
    "expires_at": int(EXPIRES_AT),
}
ATTEMPT = {"model": "nova-pro", "error": "TRUNCATED_ANSWER", "input_tokens": 1000, "output_tokens": 500}


@pytest.fixture
def assess(stores, rules, clock, context, requests, control, monkeypatch):
    """Judge an answer to an admitted request; gives what the state machine gets and what is stored.

    `chance` is what every draw gives: at 1 nothing is picked that is not always picked.
    """
    key = key_of()
    record = {"request_key": "acme#r-1", "tenant": "acme", "subject_ref": key.ref, "status": "ADMITTED"}
    requests.put_item(Item=record | {"sweep": "OPEN#0", "sweep_at": 1})
    control.put_item(Item={"control_key": "in-flight#acme#0", "count": 1})

    def run(answer: dict, use_case="general_question", attempts=(), scores=(), passages=(), chance=1.0, **request):
        monkeypatch.setattr(draw_review, "chance", lambda: chance)
        event = {
            "execution_name": "execution-1",
            "request": REQUEST
            | {"subject": carried_by(key)}
            | {"use_case": use_case, "confidence_threshold": rules.use_cases[use_case].confidence_threshold}
            | request,
            "model": "nova-lite",
            "answer": answer,
            "attempts": list(attempts),
            "retrieval_scores": list(scores),
            "passages": [guarded(text, []) for text in passages],
        }
        result = assess_answer.handler(event, context)
        return json.loads(json.dumps(result)), requests.get_item(Key={"request_key": "acme#r-1"})["Item"]

    return run


def test_a_trusted_answer_is_released(assess, control):
    result, record = assess(converse_result("Eleven hours."))

    assert result == {"status": "COMPLETED", "review": None}
    assert (text_of(record, "answer"), record["decided_by"]) == ("Eleven hours.", "policy")
    assert "sweep" not in record
    assert control.get_item(Key={"control_key": "in-flight#acme#0"})["Item"]["count"] == 0


def test_every_attempt_is_paid_for(assess):
    _, record = assess(converse_result("Eleven hours.", tokens=(1_000_000, 1_000_000)), attempts=[ATTEMPT])

    # 0.06 + 0.24 of nova-lite, 1,000 at 0.8 and 500 at 3.2 a million of nova-pro
    assert record["cost_usd"] == Decimal("0.3024")
    assert (record["input_tokens"], record["output_tokens"]) == (1_000_000, 1_000_000)


def test_an_answer_without_ground_is_held_with_all_a_review_needs(assess):
    result, record = assess(
        converse_result("Nine hours.\nConfidence: 0.2", guardrail=grounding(0.1, 0.4)), "product_support"
    )

    review = result["review"]
    assert (result["status"], review["reason"]) == ("HELD", "LOW_CONFIDENCE")
    assert review["review_id"] == record["review_id"]
    assert (text_of(record, "answer"), record["sweep"][:5]) == ("Nine hours.", "OPEN#")
    assert record["due_at"] == "2027-01-15T12:00:00.000Z"
    assert "decided_by" not in record
    assert not {"answer", "query", "passages", "payload"} & review.keys()


def test_a_review_holds_references_only(assess):
    result, _ = assess(converse_result("A secret answer.", guardrail=grounding(0.1)), "product_support")

    assert "secret" not in json.dumps(result)


@pytest.mark.parametrize(
    ("answer", "use_case", "status", "reason"),
    [
        (converse_result("Yes."), "policy_advice", "HELD", "RISK_CLASS"),
        (
            converse_result(
                "Mail a@b.c",
                guardrail={"SensitiveInformationPolicy": {"PiiEntities": [{"Type": "EMAIL", "Match": "a@b.c"}]}},
            ),
            "general_question",
            "HELD",
            "GUARDRAIL_FINDING",
        ),
        (
            converse_result("blocked", stop_reason="guardrail_intervened"),
            "general_question",
            "REFUSED",
            "GUARDRAIL_BLOCKED",
        ),
    ],
)
def test_what_is_not_released_says_why(assess, answer, use_case, status, reason):
    result, record = assess(answer, use_case)

    assert (result["status"], record["status"], record["reason"]) == (status, status, reason)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (converse_result("Confidence: 1"), "EMPTY_ANSWER"),
        (converse_result("\u200b\u2800"), "EMPTY_ANSWER"),
        (converse_result("half \udc80"), "BROKEN_ANSWER"),
        (converse_result("Eleven", stop_reason="malformed_model_output"), "BROKEN_ANSWER"),
        (converse_result("Eleven", stop_reason="max_tokens"), "TRUNCATED_ANSWER"),
        (converse_result("Eleven", stop_reason="model_context_window_exceeded"), "TRUNCATED_ANSWER"),
    ],
)
def test_of_what_is_no_answer_the_attempt_is_told_and_nothing_recorded(assess, answer, error):
    result, record = assess(answer)

    assert result == {
        "attempt": {
            "model": "nova-lite",
            "error": error,
            "input_tokens": answer["Usage"]["InputTokens"],
            "output_tokens": answer["Usage"]["OutputTokens"],
            "usage": answer["Usage"],
            "text_units": result["attempt"]["text_units"],
        }
    }
    assert record["status"] == "ADMITTED"


def test_a_blocked_answer_is_not_kept(assess):
    _, record = assess(converse_result("blocked", stop_reason="guardrail_intervened"))

    assert not {"answer", "answer_ref"} & record.keys()
    assert record["message"]


def test_a_finding_s_match_is_not_stored(assess):
    found = {"SensitiveInformationPolicy": {"PiiEntities": [{"Type": "EMAIL", "Match": "a@b.c"}]}}

    _, record = assess(converse_result("Write to them.", guardrail=found))

    assert record["findings"] == ["SensitiveInformationPolicy:EMAIL"]
    assert "a@b.c" not in str(record)


def test_a_second_assessment_is_told_the_first(assess):
    held, _ = assess(converse_result("Nine hours.", guardrail=grounding(0.1)), "product_support")

    again, record = assess(converse_result("Eleven hours."))

    assert again["status"] == "HELD"
    assert again["review"] == held["review"]
    assert text_of(record, "answer") == "Nine hours."


def test_the_sweeper_s_outcome_stands(assess, requests):
    requests.put_item(Item={"request_key": "acme#r-1", "status": "FAILED"})

    assert assess(converse_result("Eleven hours."))[0] == {"status": "FAILED", "review": None}


def test_an_answer_is_delivered_where_the_use_case_says_so(assess):
    _, record = assess(
        converse_result("Eleven hours.\nConfidence: 1", guardrail=grounding(1.0, 1.0)), "product_support"
    )

    assert (record["status"], record["deliver"]) == ("COMPLETED", "event")


def test_a_large_answer_is_kept_beside_its_record(assess):
    _, record = assess(converse_result("word " * 20_000))

    assert "answer" not in record
    assert text_of(record, "answer") == ("word " * 20_000).strip()


SURE = {"guardrail": grounding(1.0, 1.0)}


@pytest.mark.parametrize(("threshold", "status"), [(0.5, "COMPLETED"), (0.999, "HELD")])
def test_the_threshold_is_the_one_its_request_was_admitted_with(assess, threshold, status):
    answer = converse_result("Eleven hours.\nConfidence: 1", guardrail=grounding(0.9, 0.9))

    _, record = assess(answer, "product_support", confidence_threshold=threshold, mode="ask_less")

    assert (record["status"], record["mode"]) == (status, "ask_less")


@pytest.mark.parametrize(
    ("share", "chance", "audited"), [(0, 0.0, False), (0.05, 0.049, True), (0.05, 0.05, False), (1, 0.999, True)]
)
def test_a_share_of_what_is_released_is_audited(assess, deploy_policy, policy_document, share, chance, audited):
    policy_document["confidence"]["open_question"] = {"intercept": 10, "weights": {}}
    policy_document["use_cases"]["general_question"]["review"]["audit_share"] = share
    deploy_policy(policy_document)

    result, record = assess(converse_result("Eleven hours."), chance=chance)

    assert (result["status"], record["status"], record["decided_by"]) == ("COMPLETED", "COMPLETED", "policy")
    assert bool(result["review"]) is ("sweep" in record) is audited
    assert "due_at" not in record and "review_id" not in record, "whoever asked waits for nobody"


def test_an_audit_is_blind_and_knows_what_share_it_stands_for(assess):
    result, record = assess(converse_result("Eleven hours."), chance=0.0)

    review = result["review"]
    assert (review["kind"], review["blind"], review["reason"], review["audit_share"]) == ("AUDIT", True, None, 0.05)
    assert review["review_id"].startswith("r-")
    assert record["review"]["kind"] == "AUDIT"


@pytest.mark.parametrize(("chance", "blind", "second"), [(0.04, True, True), (0.06, True, False), (0.2, False, False)])
def test_some_held_answers_are_blind_and_some_are_judged_by_two(assess, chance, blind, second):
    result, _ = assess(converse_result("No.", guardrail=grounding(0.1)), "product_support", chance=chance)

    assert (result["review"]["kind"], result["review"]["blind"]) == ("HELD", blind)
    assert result["review"]["second_reviewer"] is second


def test_what_is_risky_is_judged_by_two_whatever_the_chance(assess):
    result, _ = assess(converse_result("Yes."), "policy_advice")

    assert (result["review"]["second_reviewer"], result["review"]["risk_class"]) == (True, "high")


def test_a_second_assessment_of_an_audited_answer_is_told_of_its_review(assess):
    first, _ = assess(converse_result("Eleven hours."), chance=0.0)

    again, _ = assess(converse_result("Eleven hours."), chance=1.0)

    assert again == first


@pytest.mark.parametrize("length", [10, 40_000])
def test_what_the_model_read_is_kept_for_who_reviews_it(assess, length):
    found = ["word " * (length // 5), "Another passage."]

    _, record = assess(converse_result("No.", guardrail=grounding(0.1)), "product_support", passages=found)

    assert json.loads(text_of(record, "retrieved")) == found
    assert not {"retrieved", "passages"} & record["review"].keys()


def test_what_nobody_reviews_keeps_no_passages(assess):
    _, record = assess(converse_result("Eleven hours.\nConfidence: 1", **SURE), "product_support", passages=["Eleven."])

    assert (record["status"], "retrieved" in record, "review" in record) == ("COMPLETED", False, False)


@pytest.mark.parametrize("key", [None, "acme#question"])
def test_the_question_s_key_stands_with_the_answer(assess, key):
    _, record = assess(converse_result("Eleven hours."), **({"answer_key": key} if key else {}))

    assert record.get("answer_key") == key
