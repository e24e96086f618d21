"""domain/reviews/calibration.py: a threshold is proven by verdicts on a uniform sample, or not at all."""

import random

import pytest

from domain.reviews.calibration import Judged, judged_of, prove

PROMISE, RISK = 0.05, 0.05


def sample(number: int, wrong_below: float, seed: int = 1) -> list[Judged]:
    """Answers that are right above a confidence, and below it one in three times wrong."""
    chance = random.Random(seed)
    scores = [chance.random() for _ in range(number)]
    return [Judged(score, score >= wrong_below or chance.random() > 1 / 3) for score in scores]


def review(number: int, confidence: float = 0.9, **changes) -> dict:
    return {
        "review_id": f"r-{number}",
        "status": "DECIDED",
        "kind": "AUDIT",
        "decision": "APPROVE",
        "confidence": confidence,
        "audit_share": 0.1,
        "reason": None,
    } | changes


def test_too_few_verdicts_prove_nothing():
    assert prove([Judged(0.9, True)] * 58, PROMISE, RISK) == []
    assert prove([Judged(0.9, True)] * 59, PROMISE, RISK)[-1].proven


def test_a_clean_record_proves_the_lowest_threshold():
    steps = prove(sample(500, wrong_below=0), PROMISE, RISK)

    assert all(step.proven for step in steps)
    assert steps[-1].released == 500


def test_the_first_step_that_is_not_proven_is_the_last():
    steps = prove(sample(2000, wrong_below=0.5), PROMISE, RISK)

    assert [step.proven for step in steps] == [True] * (len(steps) - 1) + [False]
    assert 0.35 < steps[-2].threshold < 0.55


def test_a_promise_that_does_not_hold_is_seldom_proven():
    """The chance that a proven threshold breaks its promise is at most the risk: here each threshold breaks it."""
    broken = 0
    for seed in range(400):
        chance = random.Random(seed)
        judged = [Judged(chance.random(), chance.random() > PROMISE) for _ in range(300)]
        broken += any(step.proven for step in prove(judged, PROMISE, RISK))

    assert broken / 400 <= 0.08


def test_held_answers_are_thinned_to_the_share_of_audits():
    held = [review(n, 0.4, kind="HELD", reason="LOW_CONFIDENCE", decision="REJECT") for n in range(2000)]
    audits = [review(10_000 + n) for n in range(50)]

    judged = judged_of([*held, *audits])

    assert sum(each.confidence == 0.9 for each in judged) == 50
    assert 150 < sum(each.confidence == 0.4 for each in judged) < 250
    assert judged == judged_of([*held, *audits]), "the same sample each time"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "LAPSED"},
        {"status": "OPEN"},
        {"kind": "PLANTED"},
        {"kind": "HELD", "reason": "GUARDRAIL_FINDING"},
        {"status": None},
    ],
)
def test_what_no_person_judged_by_its_confidence_does_not_count(changes):
    assert judged_of([review(1, **changes)]) == []


def test_an_edit_says_that_the_draft_was_not_acceptable():
    assert judged_of([review(1, decision="EDIT")]) == [Judged(0.9, False)]
