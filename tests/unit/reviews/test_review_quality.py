"""domain/reviews/review_quality.py: what a finished review counts for, and what counts say with how much certainty."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reviews.review_quality import (
    binomial_at_most,
    clopper_pearson,
    cohens_kappa,
    month_of,
    people_of,
    person_key,
    report_on,
    reviewers_of,
    tally_of,
)

# An interval is rounded to four digits.
ROUNDING = 0.00005
COUNTS = st.integers(1, 120).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


def chance_of(successes: int, of: int, p: float) -> float:
    return math.comb(of, successes) * p**successes * (1 - p) ** (of - successes)


# --- Shares


@pytest.mark.parametrize(
    ("wrong", "of", "interval"),
    [
        (0, 1, (0.0, 0.975)),
        (1, 1, (0.025, 1.0)),
        (0, 10, (0.0, 0.3085)),
        (10, 10, (0.6915, 1.0)),
        (1, 20, (0.0013, 0.2487)),
        (5, 50, (0.0333, 0.2181)),
        (50, 100, (0.3983, 0.6017)),
        (0, 300, (0.0, 0.0122)),
        (60, 1000, (0.0461, 0.0766)),
    ],
)
def test_the_interval_of_a_share_is_the_exact_one(wrong, of, interval):
    assert clopper_pearson(wrong, of) == interval


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_were_the_truth_at_an_end_what_was_seen_would_be_as_rare_as_promised(level):
    low, high = clopper_pearson(5, 50, level)
    tail = (1 - level) / 2

    assert math.fsum(chance_of(k, 50, low) for k in range(5, 51)) == pytest.approx(tail, rel=0.02)
    assert math.fsum(chance_of(k, 50, high) for k in range(6)) == pytest.approx(tail, rel=0.02)


@given(COUNTS)
def test_an_interval_holds_its_share_and_is_one_of_shares(counts):
    wrong, of = counts
    low, high = clopper_pearson(wrong, of)

    assert 0 <= low <= high <= 1
    assert low - ROUNDING <= wrong / of <= high + ROUNDING
    assert (low == 0) or wrong > 0
    assert (high == 1) or wrong < of


@given(COUNTS)
def test_one_more_that_is_wrong_moves_the_interval_up_and_one_more_that_is_right_down(counts):
    wrong, of = counts
    low, high = clopper_pearson(wrong, of)
    worse, better = clopper_pearson(wrong + 1, of + 1), clopper_pearson(wrong, of + 1)

    assert worse[0] >= low and worse[1] >= high
    assert better[0] <= low and better[1] <= high


@given(COUNTS)
def test_what_is_wrong_here_is_right_there(counts):
    wrong, of = counts
    low, high = clopper_pearson(wrong, of)

    assert clopper_pearson(of - wrong, of) == pytest.approx((1 - high, 1 - low), abs=2 * ROUNDING)


@pytest.mark.parametrize("p", [0.01, 0.05, 0.123, 0.3, 0.5, 0.77, 0.95])
@pytest.mark.parametrize("of", [1, 5, 20, 100])
def test_whatever_the_truth_the_interval_holds_it_19_times_in_20(p, of):
    intervals = [clopper_pearson(wrong, of) for wrong in range(of + 1)]

    held = sum(chance_of(wrong, of, p) for wrong, (low, high) in enumerate(intervals) if low <= p <= high)

    assert held >= 0.95 - 1e-9


@given(COUNTS, st.sampled_from([0.0, 1e-9, 0.01, 0.3, 0.5, 0.99, 1.0]))
def test_a_binomial_is_summed_as_its_definition_says(counts, p):
    successes, of = counts

    expected = math.fsum(chance_of(k, of, p) for k in range(successes + 1))

    assert binomial_at_most(successes, of, p) == pytest.approx(expected, abs=1e-9)


# --- Agreement


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        # Hand-made: 35 of 50 agree, by chance 0.5 would.
        ([[20, 5], [10, 15]], 0.4),
        # The same share of agreement is worth less where nearly all say the same.
        ([[45, 15], [25, 15]], 0.13),
        ([[25, 35], [5, 35]], 0.259),
        ([[10, 0], [0, 10]], 1.0),
        ([[0, 10], [10, 0]], -1.0),
        ([[5, 5], [5, 5]], 0.0),
        ([[9, 0], [0, 0]], None),
        ([[0, 0], [0, 9]], None),
        ([[0, 0], [0, 0]], None),
        ([[0, 9], [0, 0]], 0.0),
    ],
)
def test_agreement_is_counted_beyond_chance(pairs, kappa):
    assert cohens_kappa(pairs) == kappa


NUMBERS = st.integers(0, 500)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_agreement_is_bounded_and_does_not_mind_who_was_first(yes, yes_no, no_yes, no):
    kappa = cohens_kappa([[yes, yes_no], [no_yes, no]])

    assert kappa == cohens_kappa([[yes, no_yes], [yes_no, no]]) == cohens_kappa([[no, no_yes], [yes_no, yes]])
    assert kappa is None or -1 <= kappa <= 1
    if yes_no == no_yes == 0:
        assert kappa in (None, 1.0)
    if yes + no == 0:
        assert kappa is None or kappa <= 0


# --- What counts


def verdict(decision: str, person: str = "a-1", tier: str = "reviewer", seconds: int = 10) -> dict:
    return {"decision": decision, "person": person, "tier": tier, "seconds": seconds, "name": f"name-of-{person}"}


def ended(kind: str, decision: str | None, *verdicts: dict) -> dict:
    """A review that people decided, or (decision None) silence."""
    status = "DECIDED" if decision else "LAPSED"
    return {"kind": kind, "status": status, "decision": decision or "REJECT", "verdicts": list(verdicts)}


@pytest.mark.parametrize(
    ("kind", "decision", "counts"),
    [
        ("HELD", "APPROVE", {"held_approved": 1, "decided": 1}),
        ("HELD", "EDIT", {"held_edited": 1, "decided": 1}),
        ("HELD", "REJECT", {"held_rejected": 1, "decided": 1}),
        ("HELD", None, {"held_lapsed": 1}),
        ("AUDIT", "APPROVE", {"audits_judged": 1, "decided": 1}),
        ("AUDIT", "EDIT", {"audits_judged": 1, "audits_wrong": 1, "decided": 1}),
        ("AUDIT", "REJECT", {"audits_judged": 1, "audits_wrong": 1, "decided": 1}),
        ("AUDIT", None, {"audits_lapsed": 1}),
        ("PLANTED", None, {}),
        ("PLANTED", "APPROVE", {"decided": 1}),
    ],
)
def test_a_review_counts_for_what_it_is_evidence_of(kind, decision, counts):
    assert tally_of(ended(kind, decision)) == counts


@pytest.mark.parametrize(
    ("decision", "missed"), [("APPROVE", 1), ("EDIT", 0), ("REJECT", 0), ("ESCALATE", None), ("CANNOT_JUDGE", None)]
)
def test_a_planted_answer_is_missed_by_who_approves_it_and_shown_to_who_judges(decision, missed):
    counts = tally_of(ended("PLANTED", None, verdict(decision)))

    assert counts.get("planted_shown") == counts.get("by_a1_planted_shown") == (None if missed is None else 1)
    assert counts.get("planted_missed", 0) == counts.get("by_a1_planted_missed", 0) == (missed or 0)
    assert not {name for name in counts if name.startswith(("held", "audits", "pairs"))}


@pytest.mark.parametrize(
    ("first", "second", "pair"),
    [
        ("APPROVE", "APPROVE", "pairs_yes_yes"),
        ("APPROVE", "EDIT", "pairs_yes_no"),
        ("REJECT", "APPROVE", "pairs_no_yes"),
        ("EDIT", "REJECT", "pairs_no_no"),
    ],
)
@pytest.mark.parametrize("kind", ["HELD", "AUDIT"])
def test_two_who_judged_the_same_draft_are_a_pair(kind, first, second, pair):
    between = [verdict("CANNOT_JUDGE", "c-3"), verdict("REJECT", "lead-1", "lead")]
    review = ended(kind, "REJECT", verdict(first), between[0], verdict(second, "b-2", "second"), between[1])

    assert {name: count for name, count in tally_of(review).items() if name.startswith("pairs")} == {pair: 1}


@pytest.mark.parametrize(
    "verdicts",
    [
        [verdict("APPROVE")],
        [verdict("APPROVE"), verdict("ESCALATE", "b-2", "second")],
        [verdict("APPROVE"), verdict("APPROVE", "lead-1", "lead")],
        [],
    ],
)
def test_a_lead_and_who_did_not_judge_make_no_pair(verdicts):
    assert not [name for name in tally_of(ended("HELD", "APPROVE", *verdicts)) if name.startswith("pairs")]


def test_two_at_a_planted_answer_are_no_pair():
    review = ended("PLANTED", "REJECT", verdict("APPROVE"), verdict("REJECT", "b-2", "second"))

    assert not [name for name in tally_of(review) if name.startswith("pairs")]


def test_each_person_s_work_is_counted_under_their_name():
    review = ended("HELD", "APPROVE", verdict("CANNOT_JUDGE", "a-1", seconds=5), verdict("APPROVE", "b-2", seconds=7))

    counts = tally_of(review)

    assert {name: counts[name] for name in counts if name.startswith("by_")} == {
        "by_a1_decided": 1,
        "by_a1_seconds": 5,
        "by_b2_decided": 1,
        "by_b2_seconds": 7,
    }
    assert people_of(review) == {"by_a1_name": "name-of-a-1", "by_b2_name": "name-of-b-2"}


# --- What the counts say


def test_a_report_tells_shares_with_their_uncertainty():
    counts = {"audits_judged": 50, "audits_wrong": 5, "pairs_yes_yes": 20, "pairs_yes_no": 5, "pairs_no_yes": 10}
    counts |= {"pairs_no_no": 15, "planted_shown": 4, "planted_missed": 1, "held_approved": 7, "held_lapsed": 2}

    assert report_on(counts) == {
        "audits": {"judged": 50, "wrong": 5, "low": 0.0333, "high": 0.2181},
        "agreement": {"pairs": 50, "agreed": 35, "kappa": 0.4},
        "planted": {"shown": 4, "missed": 1},
        "held": {"approved": 7, "edited": 0, "rejected": 0, "lapsed": 2},
    }


def test_a_report_on_nothing_claims_nothing():
    report = report_on({})

    assert report["audits"] == {"judged": 0, "wrong": 0, "low": None, "high": None}
    assert report["agreement"] == {"pairs": 0, "agreed": 0, "kappa": None}


def test_a_reviewer_s_row_is_of_all_their_use_cases_the_busiest_first():
    counters = [
        {"by_a1_decided": 3, "by_a1_seconds": 40, "by_a1_name": "ann", "by_b2_decided": 1, "by_b2_name": "ben"},
        {"by_a1_decided": 1, "by_a1_seconds": 2, "by_a1_planted_shown": 2, "by_a1_planted_missed": 1},
        {"reviews": 9, "audits_judged": 4, "control_key": "quality#acme#general_question#2027-01"},
    ]

    assert reviewers_of(counters) == [
        {
            "person": "a1",
            "reviewer": "ann",
            "decided": 4,
            "mean_seconds": 10.5,
            "planted_shown": 2,
            "planted_missed": 1,
        },
        {
            "person": "b2",
            "reviewer": "ben",
            "decided": 1,
            "mean_seconds": 0.0,
            "planted_shown": 0,
            "planted_missed": 0,
        },
    ]


def test_what_a_tally_counts_is_what_a_row_reads():
    review = ended("PLANTED", "APPROVE", verdict("APPROVE", "7c2d9a14-0e3b-4f65-8b17-d94f0a6c2e83", seconds=12))

    [row] = reviewers_of([tally_of(review) | people_of(review)])

    assert row["person"] == person_key("7c2d9a14-0e3b-4f65-8b17-d94f0a6c2e83")
    assert (row["decided"], row["mean_seconds"], row["planted_shown"], row["planted_missed"]) == (1, 12.0, 1, 1)


def test_a_month_is_a_moment_s():
    assert month_of("2026-11-23T09:30:02.120Z") == "2026-11"
