"""outbox/publish_outcome.py: every outcome is announced at least once, and a bad record holds back nobody."""

import json

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.stub import Stubber

from adapters import bus as bus_adapter
from adapters import payloads
from adapters.requests_table import decimal
from domain.outcomes import event_id_of
from outbox import publish_outcome

serialize = TypeSerializer().serialize


def record(number: int = 1, **changes: object) -> dict:
    found = {
        "request_key": f"acme#r-{number}",
        "tenant": "acme",
        "request_id": f"r-{number}",
        "use_case": "general_question",
        "status": "COMPLETED",
        "admitted_at": "2026-11-23T09:30:00.000Z",
        "outcome_at": "2026-11-23T09:30:02.120Z",
        "decided_by": "policy",
        "model": "nova-lite",
        "cost_usd": decimal(0.0002),
        "confidence": decimal(0.93),
        "answer": "Eleven hours.",
        "payload": '{"query":"How long?"}',
    } | changes
    return {name: value for name, value in found.items() if value is not None}


def change(new: dict, old: dict | None = None, number: int = 1) -> dict:
    images = {"NewImage": new, "OldImage": old or {"status": "ADMITTED"}}
    typed = {image: {name: serialize(value) for name, value in values.items()} for image, values in images.items()}
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": str(100 + number), **typed}}


@pytest.fixture
def publish(stores, bus, dead_letters, context):
    """Hand over stream records; gives the numbers to begin again with, and the events published."""

    def run(*records: dict):
        result = publish_outcome.handler({"Records": list(records)}, context)
        return [item["itemIdentifier"] for item in result["batchItemFailures"]], bus()

    return run


@pytest.mark.parametrize(
    ("changes", "detail_type"),
    [
        ({}, "InferenceCompleted"),
        (
            {"status": "HELD", "review_id": "r-9", "reason": "LOW_CONFIDENCE", "decided_by": None},
            "InferenceHeld",
        ),
        (
            {"status": "REFUSED", "reason": "INVALID_REQUEST", "message": "query is missing."},
            "InferenceRefused",
        ),
        ({"status": "FAILED", "reason": "DEADLINE", "message": "Late."}, "InferenceFailed"),
    ],
)
def test_each_outcome_is_announced_under_its_name(publish, changes, detail_type):
    stored = record(**changes)

    failures, [event] = publish(change(stored))

    assert failures == []
    assert (event["source"], event["detail-type"]) == ("bulwark", detail_type)
    assert event["detail"]["event_id"] == event_id_of(stored)
    assert "answer" not in event["detail"]
    assert "How long?" not in json.dumps(event)


def test_a_held_answer_s_end_is_announced_too(publish):
    _, [event] = publish(change(record(decided_by="reviewer"), {"status": "HELD"}))

    assert event["detail"]["decided_by"] == "reviewer"


def test_a_later_touch_of_the_record_announces_nothing(publish):
    assert publish(change(record(), record(sweep="OPEN#1"))) == ([], [])


def test_an_admission_announces_nothing(publish):
    assert publish(change(record(status="ADMITTED"), {"status": "-"})) == ([], [])


def test_a_copy_has_the_same_event_id(publish):
    _, events = publish(change(record()), change(record(), number=2))

    assert len({event["detail"]["event_id"] for event in events}) == 1


@pytest.mark.parametrize(
    "bad",
    [
        record(2, cost_usd=decimal(-1.0)),
        record(2, model=None),
        record(2, outcome_at=None),
        record(2, status="FAILED", reason="BAD_MOOD", message="?"),
        record(2, deliver="event", answer=None, answer_ref="requests/gone/answer.json"),
    ],
    ids=["breaks the schema", "lacks a field", "has no time", "unknown reason", "answer is gone"],
)
def test_a_bad_record_holds_back_nobody(publish, dead_letters, bad):
    failures, events = publish(change(record(1)), change(bad, number=2), change(record(3), number=3))

    assert failures == []
    assert {event["detail"]["request_id"] for event in events} == {"r-1", "r-3"}
    [parked] = dead_letters()
    assert (json.loads(parked["body"]), parked["kind"]) == ({"request_key": "acme#r-2"}, "outcome")
    assert parked["reason"]
    assert "Eleven hours." not in json.dumps(parked)


def test_a_refusal_of_the_bus_comes_again_from_the_first_one(stores, dead_letters, context):
    with Stubber(bus_adapter.client) as stubber:
        entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}, {"ErrorCode": "InternalFailure"}]
        stubber.add_response("put_events", {"FailedEntryCount": 2, "Entries": entries})
        records = [change(record(number), number=number) for number in (1, 2, 3)]

        result = publish_outcome.handler({"Records": records}, context)

    assert result == {"batchItemFailures": [{"itemIdentifier": "102"}]}
    assert dead_letters() == []


def test_an_answer_is_delivered_where_the_record_says_so(publish, bucket):
    kept = payloads.keep("answer", "acme#r-2", "word " * 20_000)

    _, events = publish(
        change(record(1, deliver="event")),
        change(record(2, deliver="event", answer=None, **kept), number=2),
        change(record(3), number=3),
    )

    answers = {event["detail"]["request_id"]: event["detail"].get("answer") for event in events}
    assert answers == {"r-1": "Eleven hours.", "r-2": "word " * 20_000, "r-3": None}


def test_an_answer_too_large_for_an_event_is_left_to_be_fetched(stores, context):
    stored = record(deliver="event", answer=None, **payloads.keep("answer", "acme#r-1", "x" * 1_000_000))
    sent: list[dict] = []
    with Stubber(bus_adapter.client) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
        bus_adapter.client.meta.events.register(
            "provide-client-params.events.PutEvents",
            lambda params, **_: sent.extend(params["Entries"]),
            "sent",
        )
        publish_outcome.handler({"Records": [change(stored)]}, context)
    bus_adapter.client.meta.events.unregister("provide-client-params.events.PutEvents", unique_id="sent")

    assert "answer" not in json.loads(sent[0]["Detail"])


def test_a_held_answer_is_never_delivered(publish):
    held = record(status="HELD", deliver="event", review_id="r-9", reason="RISK_CLASS", decided_by=None)

    _, [event] = publish(change(held))

    assert "answer" not in event["detail"]


def test_a_replay_announces_what_is_stored(publish, requests, bus, context):
    requests.put_item(Item=record(1))
    requests.put_item(Item=record(2, status="ADMITTED"))

    publish_outcome.handler({"replay": ["acme#r-1", "acme#r-2", "acme#gone"]}, context)

    [event] = bus()
    assert event["detail"]["request_id"] == "r-1"


def measured(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]


def test_an_outcome_is_measured_by_use_case(publish, capsys):
    publish(change(record()))

    [line] = measured(capsys)
    assert (line["use_case"], line["Completed"], line["Latency"]) == ("general_question", [1.0], [2.12])
    # Alarms look at the first, the dashboard at the second.
    dimensions = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert {frozenset(one) for one in dimensions} == {
        frozenset({"service"}),
        frozenset({"service", "use_case"}),
    }


@pytest.mark.parametrize("reason", ["INVALID_REQUEST", "UNKNOWN_TENANT", "UNKNOWN_USE_CASE"])
def test_a_use_case_nobody_vouches_for_is_no_dimension(publish, capsys, reason):
    publish(change(record(status="REFUSED", reason=reason, message="?", use_case="made_up_4711")))

    [line] = measured(capsys)
    assert line["use_case"] == "-"
