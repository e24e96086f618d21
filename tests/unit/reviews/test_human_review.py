"""human_review/*.py: a review opens with its token, and its end is its request's."""

import pytest
from people import judge, lead, reviewer

from adapters import requests_table
from adapters.reviews import reviews_table
from domain.errors import ReviewNotHeld
from human_review import await_reviewer, record_decision

NOW = 1_800_000_000.0
QUEUE = "acme#general_question#reviewer"


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
            "kind": review["kind"],
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
    assert stored["requested_by"] == ["user-17"]


def test_whose_request_it_is_is_read_from_its_record_and_no_part_of_the_workflow(held, ask, requests):
    review = held()
    requests.update_item(
        Key={"request_key": review["request_key"]},
        UpdateExpression="SET subject_id = :subject",
        ExpressionAttributeValues={":subject": "user-9"},
    )

    ask(review)

    assert reviews_table.find(review["review_id"])["requested_by"] == ["user-17", "user-9"]
    assert not {"user_id", "subject_id", "requested_by"} & review.keys()


def test_a_delivery_that_comes_twice_opens_once(held, ask):
    review = held()
    ask(review)
    ask(review)

    assert [one["review_id"] for one in reviews_table.page(QUEUE, "", 10)] == [review["review_id"]]


def test_a_review_decided_meanwhile_goes_straight_on(held, ask, step_functions):
    review = held()
    ask(review)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    step_functions.add_response("send_task_success", {}, {"taskToken": "token-2", "output": '{"next":"done"}'})

    ask(review, "lead", "token-2")

    assert reviews_table.find(review["review_id"])["tier"] == "reviewer"


def test_a_verdict_given_as_the_token_ran_out_is_followed_and_not_the_silence(held, ask, step_functions):
    review = held(second_reviewer=True)
    ask(review)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    step_functions.add_response("send_task_success", {}, {"taskToken": "token-2", "output": '{"next":"second"}'})

    ask(review, "lead", "token-2")
    ask(review, "second", "token-3")

    stored = reviews_table.find(review["review_id"])
    assert (stored["status"], stored["tier"], stored["task_token"]) == ("OPEN", "second", "token-3")


def test_a_tier_that_silence_has_passed_goes_to_leads_with_what_was_said(held, ask):
    review = held(second_reviewer=True)
    ask(review)
    judge(review["review_id"], reviewer(), "REJECT", NOW)
    ask(review, "second", "token-2")
    ask(review, "lead", "token-3")

    stored = reviews_table.find(review["review_id"])
    assert (stored["tier"], stored["queue"], len(stored["verdicts"])) == ("lead", "acme#general_question#lead", 1)
    assert reviews_table.page(QUEUE, "", 10) == []


def test_a_request_that_is_not_held_has_no_review(held, ask, requests):
    review = held()
    requests.put_item(Item={"request_key": review["request_key"], "status": "REFUSED"})

    with pytest.raises(ReviewNotHeld):
        ask(review)


def test_a_decision_ends_its_request_once(held, ask, record):
    review = held()
    ask(review)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)

    assert record(review) == record(review) == {"status": "DECIDED", "next": "done"}
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

    assert record(review, on_silence) == {"status": "LAPSED", "next": "done"}
    ended = requests_table.find(review["request_key"])
    assert (ended["status"], ended["decided_by"], ended.get("reason")) == (status, "silence", reason)


def test_a_review_nobody_could_open_is_ended_all_the_same(held, record):
    review = held()

    assert record(review) == {"status": "LAPSED", "next": "done"}
    assert requests_table.find(review["request_key"])["reason"] == "REVIEW_LAPSED"


@pytest.mark.parametrize(("kind", "status"), [("AUDIT", "COMPLETED"), ("PLANTED", "PLANTED")])
@pytest.mark.parametrize("decision", ["APPROVE", "REJECT", "EDIT", None])
def test_what_people_say_of_an_answer_nobody_waits_for_changes_nothing_of_its_request(
    held, ask, record, kind, status, decision
):
    review = held(kind=kind, blind=True)
    ask(review)
    before = requests_table.find(review["request_key"])
    if decision:
        judge(review["review_id"], reviewer(), decision, NOW)

    assert record(review) == {"status": "DECIDED" if decision else "LAPSED", "next": "done"}
    assert reviews_table.find(review["review_id"])["decision"] == (decision or "REJECT")

    after = requests_table.find(review["request_key"])
    assert after == {name: value for name, value in before.items() if name not in ("sweep", "sweep_at")}
    assert after["status"] == status


def test_a_lead_s_word_ends_what_two_reviewers_differ_on(held, ask, record):
    review = held(second_reviewer=True)
    ask(review)
    judge(review["review_id"], reviewer("rev-1"), "APPROVE", NOW)
    ask(review, "second", "token-2")
    judge(review["review_id"], reviewer("rev-2"), "REJECT", NOW)
    ask(review, "lead", "token-3")
    judge(review["review_id"], lead(), "APPROVE", NOW)

    assert record(review) == {"status": "DECIDED", "next": "done"}
    ended = requests_table.find(review["request_key"])
    assert (ended["status"], ended["decided_by"]) == ("COMPLETED", "lead")


def test_a_verdict_given_as_silence_began_goes_to_its_next_tier_and_not_to_silence(held, ask, record):
    review = held(second_reviewer=True, on_silence="APPROVE")
    ask(review)
    judge(review["review_id"], reviewer(), "REJECT", NOW)

    assert record(review) == {"status": "ANSWERED", "next": "second"}
    assert requests_table.find(review["request_key"])["status"] == "HELD"
