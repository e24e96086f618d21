"""outbox/publish_review.py: each turn of a review is told to those whom it concerns, without a word of it."""

import json

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.stub import Stubber
from people import claim, judge, reviewer

from adapters import bus as bus_adapter
from adapters.reviews import reviews_table
from domain.reviews.notices import notice_due
from outbox import publish_review

NOW = 1_800_000_000.0
T0, T1 = "2027-01-15T08:00:00.000Z", "2027-01-15T08:01:00.000Z"
serialize = TypeSerializer().serialize


def change(new: dict, old: dict | None = None, number: int = 1) -> dict:
    images = {"NewImage": new, "OldImage": old} if old else {"NewImage": new}
    typed = {image: {name: serialize(value) for name, value in values.items()} for image, values in images.items()}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": str(100 + number), **typed}}


@pytest.fixture
def publish(stores, bus, dead_letters, context):
    """Hand over stream records; gives the numbers to begin again with, and the events published."""

    def run(*records: dict) -> tuple[list[str], list[dict]]:
        result = publish_review.handler({"Records": list(records)}, context)
        return [item["itemIdentifier"] for item in result["batchItemFailures"]], bus()

    return run


@pytest.fixture
def turns(open_review):
    """A review as it stood after each turn of its life, as the table had it."""

    def run(**changes) -> list[dict]:
        review = open_review(second_reviewer=True, **changes)
        seen = [review]

        def look() -> None:
            seen.append(reviews_table.find(review["review_id"]))

        claim(review["review_id"], reviewer("rev-1"), NOW)
        look()
        reviews_table.change(review["review_id"], lambda found: notice_due(found, T0))
        look()
        judge(review["review_id"], reviewer("rev-1"), "EDIT", NOW, "A secret edit.")
        look()
        plan = review | {"review_days": 90, "head_start_seconds": 0}
        reviews_table.open_for(plan, "second", "secret-token", 60, {"user_id": "user-17"}, NOW + 60)
        look()
        reviews_table.open_for(plan, "lead", "secret-token", 60, {"user_id": "user-17"}, NOW + 120)
        look()
        reviews_table.end_in_silence(review, "REJECT", NOW + 180)
        look()
        return seen

    return run


def names(events: list[dict]) -> list[str]:
    return [event["detail-type"] for event in events]


def test_a_review_s_life_is_told_turn_by_turn(publish, turns):
    states = turns()

    told = [names(publish(change(new, old))[1]) for old, new in zip([None, *states], states, strict=False)]

    assert told == [
        ["ReviewRequested"],
        [],  # a claim
        ["ReviewDue"],
        [],  # a verdict, on its way to a second reviewer
        ["ReviewRequested"],
        ["ReviewOverdue", "ReviewRequested"],
        ["ReviewOverdue"],
    ]


def test_a_notice_says_which_review_whose_turn_and_where_and_no_word_of_it(publish, turns):
    states = turns()

    _, events = publish(*[change(new, old) for old, new in zip([None, *states], states, strict=False)])

    first = events[0]["detail"]
    assert first.keys() == {
        *("event_id", "review_id", "tenant", "use_case", "request_id", "risk_class"),
        *("tier", "due_at", "at", "link", "reason"),
    }
    assert first["link"] == f"https://desk.example/#/reviews/{states[0]['review_id']}"
    assert (first["tier"], first["due_at"], first["at"]) == ("reviewer", "2027-01-15T08:10:00.000Z", T0)
    text = json.dumps(events)
    for secret in ("secret", "token-of", "Eleven", "Nine", "How long", "user-17", "rev-1"):
        assert secret not in text


def test_what_was_overdue_is_the_tier_before_and_what_follows_is_told(publish, turns):
    states = turns()

    _, events = publish(change(states[5], states[4]), change(states[6], states[5]))

    overdue = [event["detail"] for event in events if event["detail-type"] == "ReviewOverdue"]
    assert [(each["tier"], each["then"]) for each in overdue] == [("second", "lead"), ("lead", "REJECT")]


@pytest.mark.parametrize("kind", ["HELD", "AUDIT", "PLANTED"])
def test_a_blind_review_is_announced_without_a_hint(publish, open_review, kind):
    _, [event] = publish(change(open_review(kind=kind, blind=True, reason="LOW_CONFIDENCE")))

    assert "reason" not in event["detail"]
    assert kind not in json.dumps({**event["detail"], "link": ""})


@pytest.mark.parametrize(("kind", "told"), [("HELD", []), ("AUDIT", ["AuditDecided"]), ("PLANTED", [])])
@pytest.mark.parametrize("decision", ["APPROVE", "EDIT", "REJECT"])
def test_who_showed_an_answer_is_told_what_people_said_of_it(publish, open_review, kind, told, decision):
    review = open_review(kind=kind, blind=True)
    judge(review["review_id"], reviewer(), decision, NOW)

    _, events = publish(change(reviews_table.find(review["review_id"]), review))

    assert names(events) == told
    assert [event["detail"]["decision"] for event in events] == [decision for _ in told]


def test_a_copy_has_the_same_event_id_and_another_turn_another_one(publish, turns):
    states = turns()
    requested, again, due = change(states[0]), change(states[0], number=2), change(states[2], states[1], number=3)

    ids = [event["detail"]["event_id"] for event in publish(requested, again, due)[1]]

    assert ids[0] == ids[1] != ids[2]


def test_the_end_that_its_request_was_given_is_no_news(publish, open_review):
    review = open_review(kind="AUDIT")
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    decided = reviews_table.find(review["review_id"])
    reviews_table.close(decided, review["request_key"], NOW)

    assert publish(change(reviews_table.find(review["review_id"]), decided)) == ([], [])


def test_a_verdict_in_its_giver_s_history_is_no_news(publish, open_review):
    review = open_review()
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    history = reviews_table.find(f"verdict#{review['review_id']}#reviewer#rev-1")

    assert publish(change(history)) == ([], [])


@pytest.mark.parametrize(
    "bad",
    [{"due_at": "soon"}, {"risk_class": ""}, {"tier": "boss"}, {"request_id": "x" * 200}],
    ids=["no time", "empty", "no tier", "too long"],
)
def test_a_bad_review_holds_back_nobody(publish, open_review, dead_letters, bad):
    good, other = open_review("r-1"), open_review("r-3")
    bad = open_review("r-2") | bad

    failures, events = publish(change(good, number=1), change(bad, number=2), change(other, number=3))

    assert failures == []
    assert {event["detail"]["request_id"] for event in events} == {"r-1", "r-3"}
    [parked] = dead_letters()
    assert (parked["kind"], json.loads(parked["body"])["review_id"]) == ("notice", bad["review_id"])
    assert parked["reason"]
    assert "token-of" not in json.dumps(parked)


def test_a_refusal_of_the_bus_comes_again_from_the_first_one(open_review, dead_letters, context):
    records = [change(open_review(f"r-{number}"), number=number) for number in (1, 2, 3)]
    with Stubber(bus_adapter.client()) as stubber:
        entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}, {"ErrorCode": "InternalFailure"}]
        stubber.add_response("put_events", {"FailedEntryCount": 2, "Entries": entries})

        result = publish_review.handler({"Records": records}, context)

    assert result == {"batchItemFailures": [{"itemIdentifier": "102"}]}
    assert dead_letters() == []


def test_notices_are_counted_by_use_case(publish, open_review, capsys):
    publish(change(open_review("r-1")), change(open_review("r-2"), number=2))

    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert (line["use_case"], line["ReviewRequested"]) == ("general_question", [1.0, 1.0])
