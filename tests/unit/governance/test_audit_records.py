"""domain/governance/audit.py: what each change of a table says in the audit log, and what it never says."""

import json
from decimal import Decimal

import pytest
from audit_files import T0, change
from hypothesis import given
from hypothesis import strategies as st
from people import REVIEWER, claim, judge, reviewer

from adapters import modes_table
from adapters.governance import audit_notes
from adapters.reviews import review_claims, reviews_table
from api import read_review
from domain.governance.audit import CONTROL, READ, REQUESTS, REVIEWS, Change, readable, records_of
from domain.modes import Mode
from domain.reviews.decisions import Decision, ReviewDecision
from outbox.record_audit import _read

NOW = 1_800_000_000.0
CANARY = "canary-4711"


def told(source: str, new: dict | None, old: dict | None = None, **more) -> list[dict]:
    return records_of(_read(change(source, new, old, **more)))


def actions(records: list[dict]) -> list[tuple[str, str]]:
    return [(record["action"], record["actor"]) for record in records]


def request(status: str, **more) -> dict:
    return {
        "request_key": "acme#r-1",
        "tenant": "acme",
        "request_id": "r-1",
        "use_case": "general_question",
        "status": status,
        "policy_version": "7",
        "admitted_at": T0,
        "outcome_at": "2027-01-15T08:00:02.000Z",
        "subject_mac": "5a",
        "body_mac": "b0",
        **more,
    }


def assessed(status: str, **more) -> dict:
    attempt = {"model": "nova-lite", "error": "EMPTY_ANSWER", "input_tokens": 4, "output_tokens": 0}
    return request(
        status,
        **{
            "model": "nova-pro",
            "attempts": [attempt],
            "findings": ["PII:EMAIL"],
            "confidence": Decimal("0.41"),
            "cost_usd": Decimal("0.0002"),
            **more,
        },
    )


def test_an_admission_says_who_it_was_for_by_digest_alone():
    [record] = told(REQUESTS, request("ADMITTED", user_id=CANARY, subject_id=CANARY, payload=CANARY))

    assert record | {"record_id": ""} == {
        "record_id": "",
        "at": T0,
        "action": "REQUEST_ADMITTED",
        "actor": "bulwark",
        "tenant": "acme",
        "use_case": "general_question",
        "request_id": "r-1",
        "policy_version": "7",
        "subject": "5a",
        "body_mac": "b0",
    }


def test_an_answer_says_which_models_were_asked_what_the_guardrail_found_and_what_came_of_it():
    model, guardrail, outcome = told(
        REQUESTS, assessed("HELD", reason="GUARDRAIL_FINDING", review_id="r-9"), request("ADMITTED")
    )

    assert model["action"] == "MODEL_CALLED"
    assert model["facts"] == {
        "model": "nova-pro",
        "attempts": 2,
        "failed": ["nova-lite: EMPTY_ANSWER"],
        "cost_usd": 0.0002,
    }
    assert guardrail["action"] == "GUARDRAIL_JUDGED"
    assert guardrail["facts"] == {"findings": ["PII:EMAIL"], "judgement": "FOUND"}
    assert (outcome["action"], outcome["review_id"]) == ("REQUEST_HELD", "r-9")
    assert outcome["facts"] == {"reason": "GUARDRAIL_FINDING", "confidence": 0.41, "cost_usd": 0.0002}


def test_a_judgement_says_whose_it_was():
    chosen = assessed("COMPLETED", guardrail={"id": "gr1", "version": "3"})

    _, guardrail, _ = told(REQUESTS, chosen, request("ADMITTED"))

    assert guardrail["facts"]["guardrail"] == "gr1:3"


def test_a_held_answer_s_end_says_who_decided_and_not_again_what_the_model_did():
    decided = assessed("COMPLETED", decided_by="lead", answer_mac="a1")

    [record] = told(REQUESTS, decided, assessed("HELD"))

    assert (record["action"], record["answer_mac"]) == ("REQUEST_COMPLETED", "a1")
    assert record["facts"]["decided_by"] == "lead"


def test_a_refusal_before_admission_is_told_without_the_producer_s_use_case():
    [record] = told(REQUESTS, request("REFUSED", reason="UNKNOWN_USE_CASE", use_case=CANARY, decided_by="policy"))

    assert record["action"] == "REQUEST_REFUSED" and "use_case" not in record


@pytest.mark.parametrize("user", [{}, {"userIdentity": {"principalId": "dynamodb.amazonaws.com"}}])
def test_a_deletion_says_whether_time_was_up(user):
    [record] = told(REQUESTS, None, request("COMPLETED"), **user)

    assert actions([record]) == [("REQUEST_DELETED", "expiry" if user else "bulwark")]


def test_what_changes_no_decision_is_not_recorded():
    assert told(REQUESTS, assessed("HELD", sweep_at=5), assessed("HELD")) == []
    assert told(REVIEWS, {"review_id": "verdict#r-1#reviewer#u", "decision": "APPROVE", "given_at": T0}) == []
    assert told(CONTROL, {"control_key": "audit-head", "number": 3}) == []


@pytest.fixture
def life(open_review, clock):
    """What the log says of a review, turn by turn, as its table's stream tells it."""
    seen: list[dict | None] = [None]

    def step(review_id: str) -> list[dict]:
        seen.append(reviews_table.find(review_id))
        return told(REVIEWS, seen[-1], seen[-2], number=len(seen))

    return step


def test_each_turn_of_a_review_is_told_with_who_did_it(life, open_review, clock):
    review_id = open_review(second_reviewer=True)["review_id"]
    first, second, third = (reviewer(name) for name in ("rev-1", "rev-2", "rev-3"))

    assert actions(life(review_id)) == [("REVIEW_OPENED", "bulwark")]
    claim(review_id, first, NOW)
    assert actions(life(review_id)) == [("REVIEW_CLAIMED", "rev-1")]
    claim(review_id, first, NOW + 1)
    assert life(review_id) == [], "the same claim, longer"
    review_claims.release(reviews_table.find(review_id), first)
    assert actions(life(review_id)) == [("REVIEW_RELEASED", "rev-1")]
    claim(review_id, first, NOW + 2)
    life(review_id)
    review_claims.hand_over(reviews_table.find(review_id), first, second, NOW + 3)
    [handed] = life(review_id)
    assert (handed["action"], handed["actor"], handed["facts"]["to"]) == ("REVIEW_HANDED_OVER", "rev-1", "rev-2")
    claim(review_id, third, NOW + 4_000)
    assert actions(life(review_id)) == [("REVIEW_CLAIMED", "rev-3")], "the claim before had run out"
    judge(review_id, third, "EDIT", NOW + 4_001, CANARY)
    [verdict] = life(review_id)
    assert (verdict["action"], verdict["actor"]) == ("REVIEW_VERDICT", "rev-3")
    assert verdict["facts"]["decision"] == "EDIT"
    plan = reviews_table.find(review_id) | {"review_days": 90, "head_start_seconds": 0}
    reviews_table.open_for(plan, "second", CANARY, 60, ["user-17"], NOW + 4_002)
    [opened] = life(review_id)
    assert (opened["action"], opened["facts"]["tier"]) == ("REVIEW_OPENED", "second")
    reviews_table.end_in_silence(plan, "REJECT", NOW + 5_000)
    assert actions(life(review_id)) == [("REVIEW_LAPSED", "bulwark")]
    reviews_table.keep_late(review_id, ReviewDecision(Decision.APPROVE, "x", None, None, CANARY), "rev-1", NOW + 5_001)
    assert actions(life(review_id)) == [("REVIEW_LATE_DECISION", "rev-1")]


def test_a_decision_is_a_verdict_and_the_review_s_end(life, open_review):
    review_id = open_review()["review_id"]
    life(review_id)
    claim(review_id, reviewer("rev-1"), NOW)
    life(review_id)
    judge(review_id, reviewer("rev-1"), "APPROVE", NOW + 1)

    assert actions(life(review_id)) == [("REVIEW_VERDICT", "rev-1"), ("REVIEW_DECIDED", "rev-1")]


def mode_item(control) -> dict | None:
    return control.get_item(Key={"control_key": "mode#-#general_question"}).get("Item")


def test_a_mode_is_told_when_it_is_set_and_lifted_and_not_when_it_is_renewed(control):
    def step(change_it) -> list[tuple]:
        old = mode_item(control)
        change_it()
        records = told(CONTROL, mode_item(control), old)
        return [(one["action"], one["actor"], one["facts"]["mode"]) for one in records]

    def hold(owner: str, mode: Mode, until: float):
        return lambda: modes_table.hold("-", "general_question", owner, mode, until, None)

    assert step(hold("incident_1", Mode.CHEAPER, NOW)) == [("MODE_SET", "incident_1", "cheaper")]
    assert step(hold("incident_1", Mode.CHEAPER, NOW + 60)) == []
    assert step(hold("operator", Mode.REFUSE, NOW)) == [("MODE_SET", "operator", "refuse")]
    assert step(hold("incident_1", Mode.CACHE_ONLY, NOW)) == [("MODE_SET", "incident_1", "cache_only")]
    lift = lambda: modes_table.lift("-", "general_question", "operator")  # noqa: E731 - one step of the table
    assert step(lift) == [], "it had ended by itself"
    step(hold("operator", Mode.REFUSE, NOW + 3600))
    assert step(lift) == [("MODE_LIFTED", "operator", "refuse")]
    gone = told(CONTROL, None, mode_item(control), userIdentity={"principalId": "dynamodb.amazonaws.com"})
    assert gone == [], "its time was over before the item was"


def test_a_policy_is_told_when_another_one_is_met(control):
    def step(version: str, digest: str) -> list[dict]:
        key = {"control_key": "policy#current"}
        old = control.get_item(Key=key).get("Item")
        audit_notes.policy_in_force(version, digest, NOW)
        new = control.get_item(Key=key)["Item"]
        return told(CONTROL, new, old) if new != old else []

    [first] = step("1", "aa")
    assert step("1", "aa") == []
    [second] = step("2", "bb")
    [back] = step("1", "aa")

    assert [one["policy_version"] for one in (first, second, back)] == ["1", "2", "1"]
    assert second["facts"] == {"digest": "bb", "was": "1"}


def test_who_looks_at_a_held_answer_leaves_a_note_before_it_is_shown(call, open_review, control):
    review = open_review(draft=CANARY)

    status, shown = call(read_review.handler, *REVIEWER, user_id="rev-1", path={"review_id": review["review_id"]})

    assert status == 200 and shown["draft"] == CANARY
    [note] = [item for item in control.scan()["Items"] if item["control_key"].startswith("audit#")]
    [record] = told(CONTROL, note)
    assert (record["action"], record["actor"], record["request_id"]) == ("REVIEW_READ", "rev-1", "r-1")
    assert CANARY not in json.dumps(record)


def test_who_may_not_look_leaves_none(call, open_review, control):
    review = open_review()

    status, _ = call(read_review.handler, "callers", user_id="rev-1", path={"review_id": review["review_id"]})

    assert status == 403
    assert not [item for item in control.scan()["Items"] if item["control_key"].startswith("audit#")]


def test_a_note_s_sentence_stays_out_of_the_log(control):
    facts = {
        "subject_ref": "5a",
        "reason": f"{CANARY} asked us to",
        "count": 3,
        "stores": ["a", f"b {CANARY}"],
        "why": "LAW",
    }
    audit_notes.leave("HOLD_SET", "operator-1", NOW, "note-1", **facts)
    [note] = control.scan()["Items"]

    [record] = told(CONTROL, note)

    assert (record["actor"], record["subject_ref"]) == ("operator-1", "5a")
    assert record["facts"] == {"count": 3, "why": "LAW", "left_out": ["reason", "stores"]}


WORDY = st.sampled_from(
    "payload payload_ref answer answer_ref retrieved message field user_id subject_id session_id subject_ref "
    "task_token comment draft signals review sweep body_digest requested_by claimed_by_name reports".split()
)


@given(attributes=st.dictionaries(WORDY, st.just(CANARY)), source=st.sampled_from([REQUESTS, REVIEWS, CONTROL]))
def test_what_is_not_named_is_never_in_the_log(attributes, source):
    """Neither in a record, nor in what is parked of a change that could not be read."""
    verdict = {"person": "u", "decision": "EDIT", "tier": "lead", "given_at": T0, "comment": CANARY, "answer": CANARY}
    whole = {
        REQUESTS: assessed("COMPLETED", **attributes),
        REVIEWS: {
            "review_id": "r-9",
            "status": "DECIDED",
            "tier": "lead",
            "decided_by": "u",
            "decided_at": T0,
            "decision": "EDIT",
            "verdicts": [verdict],
            **attributes,
        },
        CONTROL: {
            "control_key": "mode#-#general_question",
            "by_operator": {"mode": "refuse", "until": 5, "reason": CANARY},
            **attributes,
        },
    }[source]
    assert not set(attributes) & set(READ[source])

    found = Change("e", "1", source, T0, readable(source, whole), {"status": "ADMITTED"} if source == REQUESTS else {})

    assert records_of(found)
    assert CANARY not in json.dumps([records_of(found), found.to_json()])


@given(number=st.integers(0, 10**6))
def test_the_same_change_gives_the_same_records_and_another_one_others(number):
    one = told(REQUESTS, assessed("HELD"), request("ADMITTED"), number=number)
    again = told(REQUESTS, assessed("HELD"), request("ADMITTED"), number=number)
    other = told(REQUESTS, assessed("HELD"), request("ADMITTED"), number=number + 1)

    assert one == again
    assert len({record["record_id"] for record in one + other}) == 6
    # And so they come back from the dead-letter queue.
    parked = json.loads(json.dumps(_read(change(REQUESTS, assessed("HELD"), number=number)).to_json()))
    assert records_of(Change.from_json(parked)) == told(REQUESTS, assessed("HELD"), number=number)
