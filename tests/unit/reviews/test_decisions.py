"""domain/reviews/decisions.py: what a person may decide, and what has to go with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reviews.decisions import MAX_COMMENT, REASON_CODES, Decision, DecisionInvalid, read_decision

APPROVE = {"decision": "APPROVE", "shown_digest": "d"}
EDIT = {"decision": "EDIT", "shown_digest": "d", "answer": "Nine hours."}
REJECT = {"decision": "REJECT", "shown_digest": "d", "reason_code": "WRONG"}


@pytest.mark.parametrize("body", [APPROVE, EDIT, REJECT, REJECT | {"comment": "c" * MAX_COMMENT}])
def test_a_decision_is_read(body):
    decision = read_decision(body)

    assert decision.decision == Decision(body["decision"])
    assert (decision.answer, decision.reason_code) == (body.get("answer"), body.get("reason_code"))


@pytest.mark.parametrize("code", REASON_CODES)
def test_every_reason_code_is_taken(code):
    assert read_decision(REJECT | {"reason_code": code}).reason_code == code


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "body"),
        ([], "body"),
        ("APPROVE", "body"),
        ({}, "decision"),
        (APPROVE | {"decision": "approve"}, "decision"),
        (APPROVE | {"decision": None}, "decision"),
        (APPROVE | {"decision": ["APPROVE"]}, "decision"),
        (APPROVE | {"decided_by": "me"}, "decided_by"),
        ({"decision": "APPROVE"}, "shown_digest"),
        (APPROVE | {"shown_digest": ""}, "shown_digest"),
        (APPROVE | {"shown_digest": 7}, "shown_digest"),
        (EDIT | {"answer": " \n"}, "answer"),
        ({key: EDIT[key] for key in ("decision", "shown_digest")}, "answer"),
        (APPROVE | {"answer": "Nine hours."}, "answer"),
        (APPROVE | {"answer": " "}, "answer"),
        (APPROVE | {"answer": ""}, "answer"),
        (REJECT | {"answer": " "}, "answer"),
        ({key: REJECT[key] for key in ("decision", "shown_digest")}, "reason_code"),
        (APPROVE | {"reason_code": "WRONG"}, "reason_code"),
        (REJECT | {"reason_code": "BAD_MOOD"}, "reason_code"),
        (APPROVE | {"comment": "c" * (MAX_COMMENT + 1)}, "comment"),
    ],
)
def test_a_decision_that_is_none_is_told_by_its_field(body, field):
    with pytest.raises(DecisionInvalid) as invalid:
        read_decision(body)

    assert invalid.value.args[0] == field


VALUES = st.none() | st.text() | st.integers() | st.lists(st.text()) | st.sampled_from([*Decision, *REASON_CODES])
FIELDS = st.sampled_from(["decision", "shown_digest", "answer", "reason_code", "comment", "else"])


@given(st.dictionaries(FIELDS, VALUES))
def test_any_body_is_a_decision_or_told_what_is_wrong(body):
    try:
        decision = read_decision(body)
    except DecisionInvalid as invalid:
        assert len(invalid.args) == 2
    else:
        assert (decision.decision is Decision.EDIT) == (decision.answer is not None)
        assert (decision.decision is Decision.REJECT) == (decision.reason_code is not None)
