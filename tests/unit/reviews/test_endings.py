"""domain/reviews/endings.py: what silence means, and what a review's end makes of its request."""

import pytest
from review_items import CLAIMED, T1, review, said

from domain.requests import Reason, Status
from domain.reviews.endings import lapse, rule_on


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
    ("decision", "tier", "lapsed", "status", "decided_by", "reason"),
    [
        ("APPROVE", "reviewer", False, Status.COMPLETED, "reviewer", None),
        ("EDIT", "lead", False, Status.COMPLETED, "lead", None),
        ("APPROVE", "second", False, Status.COMPLETED, "second", None),
        ("REJECT", "reviewer", False, Status.REFUSED, "reviewer", Reason.REJECTED),
        ("REJECT", "lead", True, Status.REFUSED, "silence", Reason.REVIEW_LAPSED),
        ("APPROVE", "reviewer", True, Status.COMPLETED, "silence", None),
    ],
)
def test_a_review_s_end_is_the_request_s(decision, tier, lapsed, status, decided_by, reason):
    review = {"decision": decision, "tier": tier, "status": "LAPSED" if lapsed else "DECIDED"}

    ruling = rule_on(review)

    assert (ruling.status, ruling.decided_by, ruling.reason) == (status, decided_by, reason)


def test_a_review_nobody_could_open_ends_in_silence():
    ruling = rule_on({"decision": "REJECT", "status": "LAPSED"})

    assert (ruling.status, ruling.decided_by) == (Status.REFUSED, "silence")
