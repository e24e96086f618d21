"""adapters/reviews_table.py: a review is open once, decided once, and ends once."""

import itertools

import pytest

from adapters import payloads, requests_table, reviews_table
from adapters.dynamodb import ConditionFailed
from adapters.reviews_table import ReviewClosed
from domain.requests import Reason, Status
from domain.reviews import Decision, ReviewDecision, ReviewStatus, rule_on

NOW = 1_800_000_000.0
APPROVE = ReviewDecision(Decision.APPROVE, "digest", None, None, None)
REJECT = ReviewDecision(Decision.REJECT, "digest", None, "WRONG", "No.")


@pytest.fixture
def opened(held):
    """A review that is open for its first tier."""
    review = held()
    reviews_table.open_for(review, "reviewer", "token-1", 600, int(NOW) + 86_400, NOW)
    return review


def decide(review: dict, decision: ReviewDecision = APPROVE, by: str = "rev-1", is_lead: bool = False) -> None:
    reviews_table.decide(review, decision, by, NOW + 1, is_lead=is_lead)


def test_an_open_review_stands_in_its_tenant_s_queue(opened):
    [listed], last = reviews_table.page("acme", 10, None)

    assert listed["review_id"] == opened["review_id"]
    assert last is None
    assert not {"task_token", "draft_digest", "user_id", "request_key"} & listed.keys()
    assert reviews_table.page("globex", 10, None) == ([], None)


def test_escalation_replaces_token_tier_and_deadline(opened):
    reviews_table.open_for(opened, "lead", "token-2", 60, int(NOW) + 86_400, NOW + 600)

    review = reviews_table.find(opened["review_id"])
    assert (review["tier"], review["task_token"]) == ("lead", "token-2")
    assert review["due_at"] == "2027-01-15T08:11:00.000Z"


def test_a_review_of_a_request_that_is_not_held_does_not_open(held, requests):
    review = held()
    requests.update_item(
        Key={"request_key": review["request_key"]},
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": "FAILED"},
    )

    with pytest.raises(ConditionFailed):
        reviews_table.open_for(review, "reviewer", "token-1", 600, int(NOW), NOW)

    assert reviews_table.find(review["review_id"]) is None


def test_the_first_decision_stands_and_leaves_the_queue(opened):
    decide(opened, APPROVE, "rev-1")

    with pytest.raises(ReviewClosed) as closed:
        decide(opened, REJECT, "rev-2")

    assert (closed.value.review["decision"], closed.value.review["decided_by"]) == ("APPROVE", "rev-1")
    assert reviews_table.page("acme", 10, None) == ([], None)


def test_what_went_to_a_lead_meanwhile_is_not_a_reviewer_s_to_decide(opened):
    reviews_table.open_for(opened, "lead", "token-2", 60, int(NOW) + 86_400, NOW + 600)

    with pytest.raises(ReviewClosed) as closed:
        decide(opened)
    assert (closed.value.review["status"], closed.value.review["tier"]) == ("OPEN", "lead")

    decide(opened, by="lead-1", is_lead=True)
    assert reviews_table.find(opened["review_id"])["decided_by"] == "lead-1"


def test_a_decided_review_does_not_open_again(opened):
    decide(opened)

    with pytest.raises(ReviewClosed):
        reviews_table.open_for(opened, "lead", "token-2", 60, int(NOW), NOW)

    assert reviews_table.find(opened["review_id"])["task_token"] == "token-1"


def test_a_decision_on_another_draft_is_not_taken(opened):
    stale = ReviewDecision(Decision.APPROVE, "another", None, None, None)

    with pytest.raises(ReviewClosed) as closed:
        decide(opened, stale)

    assert closed.value.review["status"] == ReviewStatus.OPEN


def test_silence_decides_once_and_takes_the_token_away(opened):
    review = reviews_table.lapse(opened["review_id"], Decision.REJECT, NOW + 700)

    assert (review["status"], review["decision"]) == (ReviewStatus.LAPSED, "REJECT")
    assert "task_token" not in review
    with pytest.raises(ReviewClosed):
        decide(opened)


def test_silence_does_not_overrule_a_person(opened):
    decide(opened, APPROVE)

    review = reviews_table.lapse(opened["review_id"], Decision.REJECT, NOW + 700)

    assert (review["status"], review["decision"]) == (ReviewStatus.DECIDED, "APPROVE")


@pytest.mark.parametrize("order", [*itertools.permutations(["rev-1", "rev-2", "silence"])], ids="-".join)
def test_of_all_who_end_a_review_the_first_wins(opened, order):
    won = []
    for who in order:
        if who == "silence":
            review = reviews_table.lapse(opened["review_id"], Decision.REJECT, NOW)
            won += [who] if review["status"] == ReviewStatus.LAPSED else []
        else:
            try:
                decide(opened, by=who)
            except ReviewClosed:
                continue
            won.append(who)

    assert won == [order[0]]
    assert reviews_table.find(opened["review_id"]).get("decided_by", "silence") == order[0]


def test_a_late_decision_is_kept_and_changes_nothing(opened):
    reviews_table.lapse(opened["review_id"], Decision.REJECT, NOW)

    for by in ("rev-1", "rev-2"):
        reviews_table.keep_late(opened["review_id"], APPROVE, by, NOW + 1)

    review = reviews_table.find(opened["review_id"])
    assert [late["decided_by"] for late in review["late_decisions"]] == ["rev-1", "rev-2"]
    assert review["decision"] == "REJECT"


@pytest.mark.parametrize("draft", ["Short.", "x" * 40_000])
@pytest.mark.parametrize("edited", ["Nine hours.", "y" * 40_000])
def test_an_edit_is_what_the_caller_gets(held, draft, edited):
    review = held(draft=draft)
    reviews_table.open_for(review, "reviewer", "token-1", 600, int(NOW) + 86_400, NOW)
    decide(review, ReviewDecision(Decision.EDIT, "digest", edited, None, None))

    stored = reviews_table.find(review["review_id"])
    ruling = rule_on("EDIT", "reviewer", lapsed=False)
    assert reviews_table.close_request(stored, review["request_key"], ruling, NOW + 2)

    record = requests_table.find(review["request_key"])
    assert payloads.text_of(record, "answer") == edited


def test_a_held_request_ends_once(opened, requests):
    ended = [
        reviews_table.close_request({}, opened["request_key"], rule_on(decision, "reviewer", False), NOW + 2)
        for decision in ("REJECT", "APPROVE")
    ]

    record = requests_table.find(opened["request_key"])
    assert ended == [True, False]
    assert (record["status"], record["reason"]) == (Status.REFUSED, Reason.REJECTED)
    assert "sweep" not in record
