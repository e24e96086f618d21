"""human_review/*.py: a review opens with its token, and its end is its request's."""

import pytest

from adapters import requests_table, reviews_table
from domain.errors import ReviewNotHeld
from domain.reviews import Decision, ReviewDecision
from human_review import await_reviewer, record_decision

NOW = 1_800_000_000.0
APPROVE = ReviewDecision(Decision.APPROVE, "digest", None, None, None)


@pytest.fixture
def ask(clock, context):
    def run(review: dict, tier: str = "reviewer", token: str = "token-1") -> None:
        event = {
            "execution_name": "r",
            "task_token": token,
            "review": review,
            "tier": tier,
            "sla_seconds": 600,
        }
        return await_reviewer.handler(event, context)

    return run


@pytest.fixture
def record(clock, context):
    def run(review: dict, on_silence: str = "REJECT") -> dict:
        event = {
            "execution_name": "r",
            "review_id": review["review_id"],
            "request_key": review["request_key"],
            "on_silence": on_silence,
        }
        return record_decision.handler(event, context)

    return run


def test_a_review_opens_with_its_token_and_its_end(held, ask):
    review = held()

    assert ask(review) is None

    stored = reviews_table.find(review["review_id"])
    assert (stored["status"], stored["tier"], stored["task_token"]) == ("OPEN", "reviewer", "token-1")
    assert stored["due_at"] == "2027-01-15T08:10:00.000Z"
    assert stored["expires_at"] == int(NOW) + 90 * 86_400


def test_a_delivery_that_comes_twice_opens_once(held, ask):
    review = held()
    ask(review)
    ask(review)

    assert reviews_table.page("acme", 10, None)[0][0]["review_id"] == review["review_id"]


def test_a_review_decided_meanwhile_goes_straight_on(held, ask, step_functions):
    review = held()
    ask(review)
    reviews_table.decide(review, APPROVE, "rev-1", NOW, is_lead=False)
    step_functions.add_response("send_task_success", {}, {"taskToken": "token-2", "output": "{}"})

    ask(review, "lead", "token-2")

    assert reviews_table.find(review["review_id"])["tier"] == "reviewer"


def test_a_request_that_is_not_held_has_no_review(held, ask, requests):
    review = held()
    requests.put_item(Item={"request_key": review["request_key"], "status": "REFUSED"})

    with pytest.raises(ReviewNotHeld):
        ask(review)


def test_a_decision_ends_its_request_once(held, ask, record):
    review = held()
    ask(review)
    reviews_table.decide(review, APPROVE, "rev-1", NOW, is_lead=False)

    assert record(review) == record(review) == {"status": "COMPLETED"}
    ended = requests_table.find(review["request_key"])
    assert (ended["status"], ended["decided_by"]) == ("COMPLETED", "reviewer")
    assert "reason" not in ended, "why it was held is not why it ended"


@pytest.mark.parametrize(
    ("on_silence", "status", "reason"),
    [("REJECT", "REFUSED", "REVIEW_LAPSED"), ("APPROVE", "COMPLETED", None)],
)
def test_silence_ends_as_the_policy_says(held, ask, record, on_silence, status, reason):
    review = held()
    ask(review)

    assert record(review, on_silence) == {"status": status}
    ended = requests_table.find(review["request_key"])
    assert (ended["status"], ended["decided_by"], ended.get("reason")) == (status, "silence", reason)


def test_a_review_nobody_could_open_is_ended_all_the_same(held, record):
    review = held()

    assert record(review) == {"status": "REFUSED"}
    assert requests_table.find(review["request_key"])["reason"] == "REVIEW_LAPSED"
