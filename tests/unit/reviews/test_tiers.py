"""domain/reviews/tiers.py: a review goes on to where it is to go, and never back."""

import pytest
from review_items import CLAIMED, T0, T1, T2, review

from domain.reviews.tiers import MovedOn, open_tier

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
