"""domain/reviews/plans.py: what is reviewed, and by which rules for its life."""

import dataclasses

import pytest

from domain.policy import Policy
from domain.requests import Status
from domain.reviews.plans import kind_of, plan_review
from domain.reviews.review import Kind


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
