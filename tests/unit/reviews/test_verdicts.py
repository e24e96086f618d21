"""domain/reviews/verdicts.py: what a verdict is bound to, who may give it, and where it leads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import lead, reviewer, saying
from review_items import CLAIMED, T1, T2, code_of, review, said

from domain.api.callers import Caller
from domain.reviews.review import Next
from domain.reviews.verdicts import give_verdict, next_of, shown_digest


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


def test_a_digest_changes_with_what_a_lead_is_shown_and_with_nothing_a_second_reviewer_is_not():
    def digest(tier: str, *verdicts: str) -> str:
        return shown_digest(review(tier=tier, verdicts=said(*verdicts)), "body", "draft")

    assert digest("lead", "APPROVE") != digest("lead", "APPROVE", "second:REJECT")
    assert digest("second", "APPROVE") == digest("second", "REJECT") == digest("second")


@given(*[st.tuples(st.text(), st.text(), st.sampled_from(["reviewer", "lead"]))] * 2)
def test_a_digest_binds_a_verdict_to_one_body_one_draft_and_one_tier(shown, other):
    digests = [shown_digest({"tier": tier}, body, draft) for body, draft, tier in (shown, other)]

    assert (digests[0] == digests[1]) == (shown == other)
