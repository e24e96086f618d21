"""domain/reviews/notices.py: what of a review everyone is told, and what nobody is."""

import pytest
from review_items import CLAIMED, T0, T1, review, said

from domain.reviews.notices import announcements_of, notice_due
from domain.reviews.review import Kind


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
