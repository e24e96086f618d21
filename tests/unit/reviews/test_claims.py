"""domain/reviews/claims.py: who may have a review, and whose it is."""

import pytest
from people import lead, reviewer
from review_items import CLAIMED, T0, T1, T2, code_of, review

from domain.api.callers import Caller
from domain.reviews.claims import actions_of, claim, hand_over, is_claimed, may_take, release
from domain.reviews.review import ReviewConflict


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
