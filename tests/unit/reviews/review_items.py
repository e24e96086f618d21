"""A review as its rules take it, verdicts on it, and why a rule refuses it."""

import pytest

from domain.reviews.review import ReviewConflict

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
