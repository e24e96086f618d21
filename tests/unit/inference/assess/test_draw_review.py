"""inference/assess/draw_review.py: what is held is looked at, and a share of what is released."""

import json

import pytest
from words import text_of

from domain.outcomes import Verdict
from domain.requests import Reason, Status
from domain.reviews.review import Kind
from inference.assess import draw_review
from inference.assess.draw_review import draw_review as draw

HELD = {"verdict": Verdict(Status.HELD, Reason.LOW_CONFIDENCE), "confidence": 0.4}
RELEASED = {"verdict": Verdict(Status.COMPLETED)}


@pytest.fixture(autouse=True)
def chance(monkeypatch):
    """What every draw gives from now on; 1, at which nothing is picked that is not always picked, until told."""
    monkeypatch.setattr(draw_review, "chance", lambda: 1.0)
    return lambda value: monkeypatch.setattr(draw_review, "chance", lambda: value)


def test_a_held_answer_waits_for_its_review(assessment):
    drawn = draw(assessment(known=HELD))

    assert (drawn.kind, drawn.review["kind"], drawn.review["reason"]) == (Kind.HELD, "HELD", "LOW_CONFIDENCE")
    assert drawn.attributes["review_id"] == drawn.review["review_id"]
    assert drawn.attributes["due_at"] == "2027-01-15T12:00:00.000Z"
    assert "decided_by" not in drawn.attributes


@pytest.mark.parametrize(("value", "kind"), [(0.049, Kind.AUDIT), (0.05, None)])
def test_a_share_of_what_is_released_is_audited(assessment, chance, value, kind):
    chance(value)

    drawn = draw(assessment(known=RELEASED))

    assert (drawn.kind, drawn.attributes["decided_by"]) == (kind, "policy")
    assert (drawn.review is None) is (kind is None)


def test_what_was_found_for_the_model_is_kept_for_who_looks(assessment):
    drawn = draw(assessment(known=HELD, passages=["Open for eleven hours."]))

    record = {"request_key": "acme#r-1", "subject_ref": drawn.subject.ref, **drawn.attributes}
    assert json.loads(text_of(record, "retrieved")) == ["Open for eleven hours."]


def test_what_nobody_looks_at_keeps_no_passages(assessment):
    assert draw(assessment(known=RELEASED, passages=["Open."])).attributes == {"decided_by": "policy"}
