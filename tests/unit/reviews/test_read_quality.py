"""api/read_quality.py: what reviews say of answers and reviewers, and who is told about whom."""

import pytest
from people import LEAD, REVIEWER, judge, lead, reviewer

from adapters.reviews import reviews_table
from api import read_quality

NOW = 1_800_000_000.0


@pytest.fixture
def finished(open_review):
    """End a review with verdicts, each of a person."""

    def run(request_id: str, *verdicts: tuple, tenant: str = "acme", at: float = NOW, **changes) -> None:
        review = open_review(request_id, tenant, **changes)
        for caller, decision in verdicts:
            judge(review["review_id"], caller, decision, at)
        reviews_table.end_in_silence(review, "REJECT", at)
        reviews_table.close(reviews_table.find(review["review_id"]), review["request_key"], at)

    return run


@pytest.fixture
def read(call, stores, rules, clock):
    return lambda *groups, user_id="rev-1", **query: call(
        read_quality.handler, *(groups or LEAD), user_id=user_id, query=query
    )


def test_counts_of_the_month_are_told_by_use_case(read, finished):
    finished("r-1", (reviewer(), "APPROVE"), kind="AUDIT")
    finished("r-2", (reviewer(), "REJECT"), kind="AUDIT")
    finished("r-3", (reviewer(), "EDIT"))
    finished("r-4")
    finished("r-5", (reviewer(), "APPROVE"), kind="PLANTED")
    finished("r-6", (reviewer(), "APPROVE"), kind="AUDIT", use_case="product_support")

    status, body = read()

    assert (status, body["month"]) == (200, "2027-01")
    general, product = body["use_cases"]
    assert (general["tenant"], general["use_case"], product["use_case"]) == (
        "acme",
        "general_question",
        "product_support",
    )
    assert general["audits"] == {"judged": 2, "wrong": 1, "low": 0.0126, "high": 0.9874}
    assert general["held"] == {"approved": 0, "edited": 1, "rejected": 0, "lapsed": 1}
    assert general["planted"] == {"shown": 1, "missed": 1}
    assert product["audits"] == {"judged": 1, "wrong": 0, "low": 0, "high": 0.975}


def test_a_lead_sees_who_looked_and_a_reviewer_only_themselves(read, finished):
    finished("r-1", (reviewer("rev-1"), "APPROVE"), kind="PLANTED")
    finished("r-2", (reviewer("rev-2"), "REJECT"))
    finished("r-3", (reviewer("rev-2"), "APPROVE"))

    assert read(*LEAD, user_id="lead-1")[1]["reviewers"] == [
        {
            "reviewer": "name-of-rev-2",
            "decided": 2,
            "mean_seconds": 0,
            "planted_shown": 0,
            "planted_missed": 0,
        },
        {
            "reviewer": "name-of-rev-1",
            "decided": 1,
            "mean_seconds": 0,
            "planted_shown": 1,
            "planted_missed": 1,
        },
    ]
    # Who was told that a planted answer had passed would know which one it was.
    assert read(*REVIEWER, user_id="rev-1")[1]["reviewers"] == [
        {"reviewer": "name-of-rev-1", "decided": 1, "mean_seconds": 0}
    ]
    assert read(*REVIEWER, user_id="rev-3")[1]["reviewers"] == []


def test_what_moves_with_one_s_own_verdict_is_not_told_to_who_gives_it(read, finished):
    """Else an audit or a planted answer could be told from a held one by the count it raises."""
    finished("r-1", (reviewer(), "APPROVE"), kind="AUDIT")

    [told], [to_reviewer] = (read(*groups)[1]["use_cases"] for groups in (LEAD, REVIEWER))

    assert told.keys() - to_reviewer.keys() == {"audits", "planted"}


@pytest.mark.parametrize(
    ("groups", "seen"),
    [
        (["leads", "tenant-acme"], ["acme"]),
        (["operators", "tenant-globex"], ["globex"]),
        (["leads", "tenant-acme", "tenant-globex"], ["acme", "globex"]),
        (["leads", "tenant-acme", "use-case-product_support"], []),
        (["leads"], []),
    ],
)
def test_each_sees_their_own_tenants_and_use_cases(read, finished, groups, seen):
    finished("r-1", (lead("lead-9"), "APPROVE"))
    finished("r-2", tenant="globex")

    assert [each["tenant"] for each in read(*groups)[1]["use_cases"]] == seen


def test_each_month_has_its_own_counts(read, finished):
    finished("r-1", at=NOW)
    finished("r-2", at=NOW + 31 * 86_400)

    assert [len(read(month=month)[1]["use_cases"]) for month in ("2026-12", "2027-01", "2027-02")] == [0, 1, 1]


@pytest.mark.parametrize(
    "month", ["", "2027", "2027-13", "2027-1", "1999-01", "2027-01-15", "x", "2027-01\n", "\u0662027-01"]
)
def test_a_month_that_is_none_is_refused(read, month):
    status, body = read(month=month)

    assert (status, body["error"]["field"]) == (400, "month")


@pytest.mark.parametrize("groups", [["callers", "tenant-acme"], ["tenant-acme"]])
def test_callers_are_told_nothing_of_it(read, groups):
    assert read(*groups)[0] == 403
