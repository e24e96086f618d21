"""domain/reviews/reviews.py: who may have a review, what a verdict leads to, and what of it everyone is told."""

import dataclasses

import pytest
from people import lead, reviewer, saying

from domain.api.callers import Caller
from domain.policy import Policy
from domain.requests import Status
from domain.reviews.claims import actions_of, claim, hand_over, is_claimed, may_take, release
from domain.reviews.endings import lapse
from domain.reviews.notices import announcements_of, notice_due
from domain.reviews.plans import kind_of, plan_review
from domain.reviews.review import Kind, Next, ReviewConflict
from domain.reviews.tiers import MovedOn, open_tier
from domain.reviews.verdicts import give_verdict, next_of, shown_digest

T0, T1, T2 = "2027-01-15T08:00:00.000Z", "2027-01-15T08:01:00.000Z", "2027-01-15T08:02:00.000Z"
CLAIMED = {"claimed_by": "rev-1", "claimed_by_name": "ann", "claimed_at": T0, "claimed_until": T1}
CLAIMED |= {"person": "rev-1", "person_at": f"claim#{T0}"}


def review(**changes) -> dict:
    found = {
        "review_id": "r-1",
        "kind": "HELD",
        "tenant": "acme",
        "use_case": "general_question",
        "request_id": "ticket-1",
        "risk_class": "low",
        "reason": "LOW_CONFIDENCE",
        "blind": False,
        "status": "OPEN",
        "tier": "reviewer",
        "second_reviewer": False,
        "requested_by": ["user-17"],
        "task_token": "token",
        "opened_at": T0,
        "due_at": T2,
        "queue": "acme#general_question#reviewer",
        "queue_position": f"{T2}#r-1",
    } | changes
    return {name: value for name, value in found.items() if value is not None}


def said(*decisions: str, tier: str = "reviewer") -> list[dict]:
    """Verdicts of one tier, or of the tiers named before a colon."""
    found = []
    for number, each in enumerate(decisions):
        where, _, decision = each.rpartition(":")
        found.append({"decision": decision, "tier": where or tier, "person": f"p-{number}", "given_at": T0})
    return found


def code_of(call, *arguments) -> str:
    with pytest.raises(ReviewConflict) as conflict:
        call(*arguments)
    assert str(conflict.value)
    return conflict.value.code


# --- What is reviewed, and how


@pytest.mark.parametrize(
    ("status", "audited", "kind"),
    [
        (Status.HELD, False, Kind.HELD),
        (Status.HELD, True, Kind.HELD),
        (Status.COMPLETED, True, Kind.AUDIT),
        (Status.COMPLETED, False, None),
        (Status.REFUSED, True, None),
        (Status.FAILED, True, None),
    ],
)
def test_what_is_held_is_reviewed_and_of_what_is_released_what_is_picked(status, audited, kind):
    assert kind_of(status, audited) is kind


@pytest.fixture
def use_case(policy_document):
    policy_document["use_cases"]["general_question"]["review"] |= {"blind_share": 0.1, "second_reviewer_share": 0.2}
    return Policy.from_json(policy_document).use_cases["general_question"]


@pytest.mark.parametrize(
    ("kind", "chance", "blind"),
    [
        (Kind.HELD, 0.09, True),
        (Kind.HELD, 0.1, False),
        (Kind.AUDIT, 0.99, True),
        (Kind.PLANTED, 0.99, True),
    ],
)
def test_audits_are_blind_and_a_share_of_held_answers_hides_them(use_case, kind, chance, blind):
    assert plan_review(kind, use_case, chance, 1)["blind"] is blind


@pytest.mark.parametrize(
    ("kind", "always", "chance", "second"),
    [
        (Kind.HELD, False, 0.19, True),
        (Kind.HELD, False, 0.2, False),
        (Kind.HELD, True, 0.99, True),
        (Kind.AUDIT, False, 0.19, True),
        (Kind.AUDIT, True, 0.99, True),
        (Kind.PLANTED, False, 0.19, True),
        (Kind.PLANTED, True, 0.99, True),
    ],
)
def test_two_judge_what_is_risky_and_a_share_of_the_rest(use_case, kind, always, chance, second):
    risk_class = dataclasses.replace(use_case.risk_class, second_reviewer=always)
    use_case = dataclasses.replace(use_case, risk_class=risk_class)

    assert plan_review(kind, use_case, 1, chance)["second_reviewer"] is second


def test_a_review_keeps_the_policy_s_rules_for_its_life(policy_document):
    use_case = Policy.from_json(policy_document).use_cases["policy_advice"]

    assert plan_review(Kind.HELD, use_case, 1, 1) == {
        "kind": "HELD",
        "use_case": "policy_advice",
        "risk_class": "high",
        "blind": False,
        "second_reviewer": True,
        "head_start_seconds": 7200,
        "reviewer_sla_seconds": 28800,
        "lead_sla_seconds": 28800,
        "claim_seconds": 1800,
        "due_notice_seconds": 7200,
        "on_silence": "REJECT",
        "audit_share": 0.05,
        "review_days": 30,
        "retention_class": "sensitive",
    }


# --- Who


@pytest.mark.parametrize(
    ("caller", "changes", "takes"),
    [
        (reviewer(), {}, True),
        (lead(), {}, True),
        (reviewer(), {"tier": "second"}, True),
        (reviewer(), {"tier": "lead"}, False),
        (lead(), {"tier": "lead"}, True),
        (reviewer("user-17"), {}, False),
        (lead("user-17"), {"tier": "lead"}, False),
        (reviewer(), {"judged_by": ["rev-1"]}, False),
        (lead(), {"judged_by": ["lead-1"], "tier": "lead"}, False),
        (reviewer(), {"judged_by": ["rev-2"]}, True),
        *[(lead(), {"status": status}, False) for status in ("ANSWERED", "DECIDED", "LAPSED")],
    ],
)
def test_nobody_gets_a_review_twice_or_their_own_or_a_lead_s_without_being_one(caller, changes, takes):
    assert may_take(review(**changes), caller) is takes
    assert bool(actions_of(review(**changes), caller)) is takes


def test_a_lead_may_not_ask_a_lead():
    assert set(actions_of(review(), lead())) - set(actions_of(review(tier="lead"), lead())) == {"ESCALATE"}


@pytest.mark.parametrize(("until", "claimed"), [(T2, True), (T1, False), (T0, False), (None, False)])
def test_a_claim_ends_with_its_time(until, claimed):
    assert is_claimed(review(claimed_until=until), T1) is claimed


# --- Claims


@pytest.mark.parametrize(
    ("caller", "changes", "code"),
    [
        (reviewer("rev-2"), CLAIMED | {"claimed_until": T2}, "CLAIMED"),
        (reviewer(), {"tier": "lead"}, "DEADLINE_PASSED"),
        (reviewer(), {"judged_by": ["rev-1"]}, "ALREADY_DECIDED"),
        (reviewer(), {"status": "DECIDED"}, "ALREADY_DECIDED"),
        (reviewer(), {"status": "ANSWERED"}, "ALREADY_DECIDED"),
        (lead(), {"status": "LAPSED", "decided_at": T1, "decision": "REJECT"}, "DEADLINE_PASSED"),
    ],
)
def test_a_claim_that_cannot_be_is_told_why(caller, changes, code):
    assert code_of(claim, review(**changes), caller, T1, T2) == code


def test_who_has_it_is_told_by_name_and_for_how_long():
    with pytest.raises(ReviewConflict, match=f"ann has claimed it until {T2}"):
        claim(review(**CLAIMED | {"claimed_until": T2}), reviewer("rev-2"), T1, T2)


@pytest.mark.parametrize(
    ("held", "begun"),
    [
        ({}, T1),
        # One's own is made longer, and began when it began.
        (CLAIMED | {"claimed_until": T2}, T0),
        # One's own that ran out begins anew.
        (CLAIMED, T1),
        (CLAIMED | {"claimed_by": "rev-2", "claimed_by_name": "ben"}, T1),
    ],
)
def test_a_claim_is_one_person_s_from_then_on(held, begun):
    change = claim(review(**held), reviewer("rev-1"), T1, T2)

    assert change.applied_to(review(**held)) == review(
        claimed_by="rev-1",
        claimed_by_name="name-of-rev-1",
        claimed_at=begun,
        claimed_until=T2,
        person="rev-1",
        person_at=f"claim#{begun}",
    )


def test_a_claim_is_given_back_by_who_has_it():
    assert release(review(**CLAIMED), reviewer("rev-1")).applied_to(review(**CLAIMED)) == review()
    assert code_of(release, review(**CLAIMED), reviewer("rev-2")) == "NOT_CLAIMED"
    assert code_of(release, review(), reviewer("rev-1")) == "NOT_CLAIMED"


@pytest.mark.parametrize(
    ("to", "changes", "code"),
    [
        (reviewer("rev-2"), {"claimed_by": "rev-3"}, "NOT_CLAIMED"),
        (reviewer("rev-2", "use-case-product_support"), {}, "NOT_A_REVIEWER"),
        (reviewer("rev-2"), {"tenant": "globex"}, "NOT_A_REVIEWER"),
        (Caller.from_groups("op-1", "op-1", ["operators", "tenant-acme"]), {}, "NOT_A_REVIEWER"),
        (reviewer("user-17"), {}, "NOT_A_REVIEWER"),
        (reviewer("rev-2"), {"judged_by": ["rev-2"]}, "NOT_A_REVIEWER"),
        (reviewer("rev-2"), {"tier": "lead"}, "NOT_A_REVIEWER"),
        (reviewer("rev-2"), {"status": "DECIDED"}, "NOT_A_REVIEWER"),
    ],
)
def test_a_claim_is_handed_over_only_to_who_may_have_it(to, changes, code):
    held = review(**CLAIMED | changes)

    assert code_of(hand_over, held, reviewer("rev-1"), to, T1, T2) == code


@pytest.mark.parametrize("to", [reviewer("rev-2"), lead(), reviewer("rev-2", "use-case-general_question")])
def test_a_claim_that_is_handed_over_is_the_other_s_from_now_on(to):
    held = review(**CLAIMED)

    after = hand_over(held, reviewer("rev-1"), to, T1, T2).applied_to(held)

    assert (after["claimed_by"], after["claimed_at"], after["claimed_until"]) == (to.user_id, T1, T2)
    assert (after["person"], after["person_at"]) == (to.user_id, f"claim#{T1}")


# --- Where it goes


@pytest.mark.parametrize(
    ("decisions", "tier", "second_reviewer", "next"),
    [
        (["APPROVE"], "reviewer", False, Next.DONE),
        (["EDIT"], "reviewer", False, Next.DONE),
        (["REJECT"], "reviewer", False, Next.DONE),
        (["APPROVE"], "reviewer", True, Next.SECOND),
        (["REJECT"], "reviewer", True, Next.SECOND),
        (["ESCALATE"], "reviewer", False, Next.LEAD),
        (["ESCALATE"], "reviewer", True, Next.LEAD),
        (["CANNOT_JUDGE"], "reviewer", False, Next.REVIEWER),
        (["CANNOT_JUDGE", "CANNOT_JUDGE"], "reviewer", True, Next.LEAD),
        (["CANNOT_JUDGE", "APPROVE"], "reviewer", False, Next.DONE),
        (["CANNOT_JUDGE", "APPROVE"], "reviewer", True, Next.SECOND),
        (["APPROVE", "second:APPROVE"], "second", True, Next.DONE),
        (["REJECT", "second:REJECT"], "second", True, Next.DONE),
        (["EDIT", "second:EDIT"], "second", True, Next.LEAD),
        (["APPROVE", "second:REJECT"], "second", True, Next.LEAD),
        (["APPROVE", "second:EDIT"], "second", True, Next.LEAD),
        (["APPROVE", "second:ESCALATE"], "second", True, Next.LEAD),
        # Who could not judge before the first verdict does not count against the second's tier.
        (["CANNOT_JUDGE", "APPROVE", "second:CANNOT_JUDGE"], "second", True, Next.REVIEWER),
        (["APPROVE", "second:CANNOT_JUDGE", "second:CANNOT_JUDGE"], "second", True, Next.LEAD),
        (["APPROVE", "second:CANNOT_JUDGE", "second:APPROVE"], "second", True, Next.DONE),
        (["CANNOT_JUDGE", "APPROVE", "second:APPROVE"], "second", True, Next.DONE),
        (["lead:APPROVE"], "lead", True, Next.DONE),
        (["lead:EDIT"], "lead", False, Next.DONE),
        (["APPROVE", "second:REJECT", "lead:REJECT"], "lead", True, Next.DONE),
        # There is nobody above a lead: whoever cannot judge leaves it to another one, and at last to silence.
        (["lead:CANNOT_JUDGE", "lead:CANNOT_JUDGE", "lead:CANNOT_JUDGE"], "lead", False, Next.REVIEWER),
    ],
)
def test_where_a_verdict_leads(decisions, tier, second_reviewer, next):
    assert next_of(said(*decisions), tier, second_reviewer) is next


def verdict(found: dict, caller: Caller, decision: str, **more):
    shown = shown_digest(found, "body", "draft")
    return give_verdict(found, caller, saying(decision, shown), shown, more.get("answer", {}), 42, T1)


@pytest.mark.parametrize("until", [T2, T1])
def test_a_verdict_ends_the_review_and_says_who_gave_it(until):
    held = review(**CLAIMED | {"claimed_until": until})

    after = verdict(held, reviewer("rev-1"), "REJECT").applied_to(held)

    given = {"person": "rev-1", "name": "name-of-rev-1", "tier": "reviewer", "decision": "REJECT"}
    given |= {"given_at": T1, "seconds": 42, "reason_code": "WRONG"}
    assert after == review(
        status="DECIDED",
        next="done",
        decision="REJECT",
        reason_code="WRONG",
        decided_by="rev-1",
        decided_at=T1,
        verdicts=[given],
        judged_by=["rev-1"],
        queue=None,
        queue_position=None,
    )


@pytest.mark.parametrize("answer", [{"answer": "Nine hours."}, {"answer_ref": "requests/x/answer-y.json"}])
def test_an_edit_keeps_its_answer_with_the_verdict_and_at_the_end_with_the_review(answer):
    held = review(**CLAIMED)
    ended = verdict(held, reviewer("rev-1"), "EDIT", answer=answer).applied_to(held)
    assert answer.items() <= ended.items() and answer.items() <= ended["verdicts"][0].items()

    first = review(**CLAIMED, second_reviewer=True)
    answered = verdict(first, reviewer("rev-1"), "EDIT", answer=answer).applied_to(first)
    assert (answered["status"], answered["next"]) == ("ANSWERED", "second")
    assert not answer.keys() & answered.keys(), "another has yet to judge"


@pytest.mark.parametrize(
    ("caller", "changes", "code"),
    [
        (reviewer("rev-1"), {}, "NOT_CLAIMED"),
        (reviewer("rev-2"), CLAIMED | {"claimed_until": T2}, "CLAIMED"),
        (reviewer("rev-2"), CLAIMED, "NOT_CLAIMED"),
        (reviewer("rev-1"), CLAIMED | {"judged_by": ["rev-1"]}, "ALREADY_DECIDED"),
        (reviewer("rev-1"), CLAIMED | {"status": "DECIDED"}, "ALREADY_DECIDED"),
        (reviewer("rev-1"), CLAIMED | {"tier": "lead"}, "DEADLINE_PASSED"),
        (lead("rev-1"), {"status": "LAPSED", "decided_at": T1, "decision": "REJECT"}, "DEADLINE_PASSED"),
    ],
)
def test_a_verdict_without_a_right_to_it_is_told_why(caller, changes, code):
    assert code_of(verdict, review(**changes), caller, "APPROVE") == code


def test_a_verdict_on_something_else_than_what_is_shown_is_none():
    held = review(**CLAIMED)

    assert code_of(give_verdict, held, reviewer("rev-1"), saying("APPROVE", "old"), "new", {}, 1, T1) == "DRAFT_CHANGED"


def test_a_lead_cannot_pass_it_up():
    held = review(**CLAIMED, tier="lead")

    assert code_of(verdict, held, lead("rev-1"), "ESCALATE") == "NO_HIGHER_TIER"


# --- Tiers and silence


FIRST = {"tenant": "acme", "use_case": "general_question", "review_id": "r-1", "kind": "HELD"}


def opened(found: dict | None, tier: str) -> dict:
    return open_tier(found, tier, "token-2", T1, T2, f"{T2}#r-1", FIRST).applied_to(found or {})


def test_a_new_review_begins_with_its_plan():
    assert opened(None, "reviewer") == FIRST | {
        "status": "OPEN",
        "tier": "reviewer",
        "task_token": "token-2",
        "opened_at": T1,
        "due_at": T2,
        "queue": "acme#general_question#reviewer",
        "queue_position": f"{T2}#r-1",
    }


@pytest.mark.parametrize("tier", ["second", "lead"])
def test_an_answered_review_goes_on_to_where_its_verdict_leads(tier):
    answered = review(status="ANSWERED", next=tier, queue=None, queue_position=None, due_noticed_at=T0)

    after = opened(answered, tier)

    assert (after["status"], after["tier"], after["queue"]) == ("OPEN", tier, f"acme#general_question#{tier}")
    assert not {"next", "due_noticed_at", "overdue_at"} & after.keys()


def test_a_tier_that_silence_passed_loses_its_claim_and_is_overdue():
    after = opened(review(**CLAIMED, due_noticed_at=T0), "lead")

    assert (after["tier"], after["overdue_at"]) == ("lead", T1)
    assert not {"claimed_by", "claimed_until", "person", "due_noticed_at"} & after.keys()


def test_the_same_tier_opened_again_keeps_who_works_on_it():
    after = opened(review(**CLAIMED), "reviewer")

    assert (after["task_token"], after["claimed_by"]) == ("token-2", "rev-1")
    assert "overdue_at" not in after


@pytest.mark.parametrize(
    ("changes", "tier", "next"),
    [
        ({"status": "DECIDED"}, "lead", "done"),
        ({"status": "LAPSED"}, "reviewer", "done"),
        ({"status": "ANSWERED", "next": "second"}, "lead", "second"),
        ({"status": "ANSWERED", "next": "lead"}, "reviewer", "lead"),
        ({"tier": "lead"}, "reviewer", "lead"),
        ({"tier": "lead"}, "second", "lead"),
        ({"tier": "second"}, "reviewer", "second"),
    ],
)
def test_who_comes_too_late_to_open_a_tier_is_told_where_it_went(changes, tier, next):
    with pytest.raises(MovedOn) as moved:
        opened(review(**changes), tier)

    assert moved.value.next == next


@pytest.mark.parametrize("status", ["OPEN", "ANSWERED"])
def test_silence_ends_what_nobody_ended(status):
    after = lapse(review(**CLAIMED, status=status), "APPROVE", T1).applied_to(review(**CLAIMED, status=status))

    assert (after["status"], after["decision"], after["decided_at"], after["next"]) == ("LAPSED", "APPROVE", T1, "done")
    assert not {"queue", "queue_position", "claimed_by", "decided_by"} & after.keys()


@pytest.mark.parametrize(
    ("verdicts", "on_silence", "decision"),
    [
        ([], "APPROVE", "APPROVE"),
        ([], "REJECT", "REJECT"),
        (["APPROVE"], "APPROVE", "APPROVE"),
        (["APPROVE"], "REJECT", "REJECT"),
        (["CANNOT_JUDGE"], "APPROVE", "APPROVE"),
        (["APPROVE", "second:CANNOT_JUDGE"], "APPROVE", "APPROVE"),
        (["REJECT"], "APPROVE", "REJECT"),
        (["EDIT"], "APPROVE", "REJECT"),
        (["ESCALATE"], "APPROVE", "REJECT"),
        (["APPROVE", "second:REJECT"], "APPROVE", "REJECT"),
    ],
)
def test_silence_lets_nothing_out_that_a_person_looked_at_and_did_not_approve(verdicts, on_silence, decision):
    assert lapse(review(verdicts=said(*verdicts)), on_silence, T1).set["decision"] == decision


@pytest.mark.parametrize("status", ["DECIDED", "LAPSED"])
def test_silence_changes_nothing_of_an_end(status):
    assert lapse(review(status=status), "REJECT", T1) is None


@pytest.mark.parametrize(
    ("found", "marked"),
    [
        (review(), True),
        (review(due_noticed_at=T0), False),
        (review(status="DECIDED"), False),
        (review(status="ANSWERED"), False),
        (None, False),
    ],
)
def test_a_notice_is_given_of_what_is_open_and_once(found, marked):
    change = notice_due(found, T1)

    assert (change.set if change else None) == ({"due_noticed_at": T1} if marked else None)


# --- What is shown and told


def test_a_digest_changes_with_what_a_lead_is_shown_and_with_nothing_a_second_reviewer_is_not():
    def digest(tier: str, *verdicts: str) -> str:
        return shown_digest(review(tier=tier, verdicts=said(*verdicts)), "body", "draft")

    assert digest("lead", "APPROVE") != digest("lead", "APPROVE", "second:REJECT")
    assert digest("second", "APPROVE") == digest("second", "REJECT") == digest("second")


TOLD = {"review_id", "tenant", "use_case", "request_id", "risk_class", "tier", "due_at", "at"}
DECIDED = {
    "status": "DECIDED",
    "decision": "REJECT",
    "decided_at": T1,
    "decided_by": "rev-1",
    "verdicts": said("REJECT"),
}
LAPSED = {"status": "LAPSED", "decision": "APPROVE", "decided_at": T1, "overdue_at": T1}


@pytest.mark.parametrize(
    ("new", "old", "told"),
    [
        (review(), {}, [("ReviewRequested", {"at": T0, "reason": "LOW_CONFIDENCE"})]),
        (review(blind=True), {}, [("ReviewRequested", {"at": T0})]),
        (review(**CLAIMED), review(), []),
        (review(), review(**CLAIMED), []),
        (review(verdicts=said("CANNOT_JUDGE"), judged_by=["p-0"]), review(**CLAIMED), []),
        (review(due_noticed_at=T1), review(), [("ReviewDue", {"at": T1})]),
        (review(due_noticed_at=T1, **CLAIMED), review(due_noticed_at=T1), []),
        (review(status="ANSWERED", next="second"), review(**CLAIMED), []),
        (
            review(tier="second", opened_at=T1),
            review(status="ANSWERED", next="second"),
            [("ReviewRequested", {"tier": "second", "at": T1, "reason": "LOW_CONFIDENCE"})],
        ),
        (
            review(tier="lead", opened_at=T1, overdue_at=T1),
            review(due_noticed_at=T0),
            [
                ("ReviewOverdue", {"tier": "reviewer", "at": T1, "then": "lead"}),
                ("ReviewRequested", {"tier": "lead", "at": T1, "reason": "LOW_CONFIDENCE"}),
            ],
        ),
        (review(**LAPSED), review(), [("ReviewOverdue", {"tier": "reviewer", "at": T1, "then": "APPROVE"})]),
        (
            review(**LAPSED, tier="lead"),
            review(tier="lead", overdue_at=T0),
            [("ReviewOverdue", {"tier": "lead", "at": T1, "then": "APPROVE"})],
        ),
        (review(**DECIDED), review(**CLAIMED), []),
        (review(**DECIDED, kind="AUDIT"), review(**CLAIMED, kind="AUDIT"), [("AuditDecided", {"decision": "REJECT"})]),
        (review(**DECIDED, kind="AUDIT", task_token=None), review(**DECIDED, kind="AUDIT"), []),
        (review(**DECIDED, kind="PLANTED"), review(**CLAIMED, kind="PLANTED"), []),
        (review(**LAPSED, late_decisions=[{}]), review(**LAPSED), []),
        # A verdict in its giver's history is in the same table.
        ({"review_id": "verdict#r-1#reviewer#rev-1", "person": "rev-1"}, {}, []),
        # Removed by its time to live.
        ({}, review(**DECIDED), []),
    ],
)
def test_each_change_is_told_by_its_name_and_most_are_nobody_s_news(new, old, told):
    found = announcements_of(new, old)

    assert [name for name, _ in found] == [name for name, _ in told]
    for (_, detail), (_, expected) in zip(found, told, strict=True):
        assert expected.items() <= detail.items()
        assert detail.keys() - {"reason", "then", "decision"} == TOLD


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("overdue", [False, True])
def test_no_notice_of_a_blind_review_tells_what_kind_it_is_before_it_ended(kind, overdue):
    new = review(blind=True, kind=kind, due_noticed_at=T1, **({"overdue_at": T1, "tier": "lead"} if overdue else {}))

    notices = announcements_of(new, review(blind=True, kind=kind, opened_at="earlier"))

    assert notices == announcements_of(new | {"kind": "HELD"}, review(blind=True, opened_at="earlier"))
    assert not any({"reason", "kind", "confidence"} & detail.keys() for _, detail in notices)
