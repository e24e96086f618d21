"""outbox/publish_outcome.py: every outcome is announced at least once, and a bad record holds back nobody."""

import json

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.stub import Stubber
from words import key_of, sealed

from adapters import bus as bus_adapter
from adapters import dynamodb
from adapters.dynamodb import decimal
from adapters.inference import answers_table
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
        record(2, deliver="event", answer=None, answer_ref="requests/2027-01-15/gone/answer.json"),
    ],
    ids=["breaks the schema", "lacks a field", "has no time", "unknown reason", "answer is gone"],
)
def test_a_bad_record_holds_back_nobody(publish, dead_letters, bad):
    key_of(subject_id=None)
    failures, events = publish(change(record(1)), change(bad, number=2), change(record(3), number=3))

    assert failures == []
    assert {event["detail"]["request_id"] for event in events} == {"r-1", "r-3"}
    [parked] = dead_letters()
    assert (json.loads(parked["body"]), parked["kind"]) == ({"request_key": "acme#r-2"}, "outcome")
    assert parked["reason"]
    assert "Eleven hours." not in json.dumps(parked)


def test_a_refusal_of_the_bus_comes_again_from_the_first_one(stores, dead_letters, context):
    with Stubber(bus_adapter.client()) as stubber:
        entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}, {"ErrorCode": "InternalFailure"}]
        stubber.add_response("put_events", {"FailedEntryCount": 2, "Entries": entries})
        records = [change(record(number), number=number) for number in (1, 2, 3)]

        result = publish_outcome.handler({"Records": records}, context)

    assert result == {"batchItemFailures": [{"itemIdentifier": "102"}]}
    assert dead_letters() == []


def test_an_answer_is_delivered_where_the_record_says_so(publish, bucket):
    kept = sealed("answer", "acme#r-2", "word " * 20_000)

    _, events = publish(
        change(record(1, deliver="event", **sealed("answer", "acme#r-1", "Eleven hours."))),
        change(record(2, deliver="event", answer=None, **kept), number=2),
        change(record(3), number=3),
    )

    answers = {event["detail"]["request_id"]: event["detail"].get("answer") for event in events}
    assert answers == {"r-1": "Eleven hours.", "r-2": "word " * 20_000, "r-3": None}


def test_an_erased_subject_s_outcome_is_announced_without_the_answer(publish, keys):
    gone = record(1, deliver="event", **sealed("answer", "acme#r-1", "Eleven hours.", "ana"))
    keys.delete_item(Key={"subject_ref": gone["subject_ref"]})
    came_again = record(2, deliver="event", **sealed("answer", "acme#r-2", "Eleven hours.", "ben"))
    keys.delete_item(Key={"subject_ref": came_again["subject_ref"]})
    key_of(subject_id="ben")

    failures, events = publish(change(gone), change(came_again, number=2))

    assert failures == [] and {event["detail"]["request_id"] for event in events} == {"r-1", "r-2"}
    assert not any("answer" in event["detail"] for event in events)


def test_an_answer_too_large_for_an_event_is_left_to_be_fetched(stores, context):
    stored = record(deliver="event", answer=None, **sealed("answer", "acme#r-1", "x" * 1_000_000))
    sent: list[dict] = []
    with Stubber(bus_adapter.client()) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
        bus_adapter.client().meta.events.register(
            "provide-client-params.events.PutEvents",
            lambda params, **_: sent.extend(params["Entries"]),
            "sent",
        )
        publish_outcome.handler({"Records": [change(stored)]}, context)
    bus_adapter.client().meta.events.unregister("provide-client-params.events.PutEvents", unique_id="sent")

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
    # Alarms look at the first, detectors at the second, and who compares models at the third.
    dimensions = line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    assert {frozenset(one) for one in dimensions} == {
        frozenset({"service"}),
        frozenset({"service", "use_case"}),
        frozenset({"service", "use_case", "model"}),
    }


@pytest.mark.parametrize("reason", ["INVALID_REQUEST", "UNKNOWN_TENANT", "UNKNOWN_USE_CASE"])
def test_a_use_case_nobody_vouches_for_is_no_dimension(publish, capsys, reason):
    publish(change(record(status="REFUSED", reason=reason, message="?", use_case="made_up_4711")))

    [line] = measured(capsys)
    assert line["use_case"] == "-"


def values(lines: list[dict]) -> dict[str, list[float]]:
    """The values of each metric in all these documents."""
    found: dict[str, list[float]] = {}
    for line in lines:
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            found.setdefault(metric["Name"], []).extend(line[metric["Name"]])
    return found


SIGNALS = {"grounding": decimal(0.9), "relevance": decimal(0.8), "retrieval": decimal(0.7), "hedging": decimal(0.0)}
TIMEOUT = {"model": "nova-lite", "error": "States.Timeout", "input_tokens": 0, "output_tokens": 0}


def test_what_a_record_says_of_its_use_case_is_measured(publish, capsys):
    more = {"signals": SIGNALS, "findings": [], "output_tokens": 8, "answer_characters": 13, "attempts": [TIMEOUT]}
    publish(change(record(**more)))

    [line] = measured(capsys)
    assert values([line]) == {
        "Completed": [1.0],
        "Grounding": [0.9],
        "Relevance": [0.8],
        "RetrievalScore": [0.7],
        "RetrievalEmpty": [0.0],
        "Hedges": [0.0],
        "ModelErrors": [1.0, 0.0],
        "EmptyAnswers": [0.0, 0.0],
        "Latency": [2.12],
        "Interventions": [0.0],
        "Confidence": [0.93],
        "OutputTokens": [8.0],
        "AnswerShape0": [1.0],
        "CostUsd": [0.0002],
    }
    units = {metric["Name"]: metric["Unit"] for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert (units["Completed"], units["Latency"], units["ModelErrors"]) == ("Count", "Seconds", "None")


def test_each_use_case_has_a_document_with_the_values_of_all_its_records(publish, capsys):
    publish(
        change(record(1, confidence=decimal(0.5))),
        change(record(2, use_case="product_support", confidence=decimal(0.6)), number=2),
        change(record(3, confidence=decimal(0.7)), number=3),
    )

    documents = {line["use_case"]: line["Confidence"] for line in measured(capsys)}
    assert documents == {"general_question": [0.5, 0.7], "product_support": [0.6]}


@pytest.mark.parametrize(
    ("changes", "old", "counted"),
    [
        ({"decided_by": "store"}, None, "Completed"),
        ({"decided_by": "reviewer"}, {"status": "HELD"}, "Completed"),
        ({"decided_by": "silence", "status": "REFUSED", "reason": "REJECTED"}, {"status": "HELD"}, "Refused"),
        ({"status": "REFUSED", "reason": "STOPPED", "model": None}, None, "Refused"),
        ({"status": "REFUSED", "reason": "CACHE_ONLY", "model": None, "mode": "cache_only"}, None, "Refused"),
    ],
    ids=["by the store", "by a reviewer", "by silence", "stopped", "not in the store"],
)
def test_what_no_model_was_asked_for_now_is_counted_and_no_more(publish, capsys, changes, old, counted):
    told = {"message": "?"} if "reason" in changes else {}

    publish(change(record(**changes | told | {"signals": SIGNALS}), old))

    assert values(measured(capsys)) == {counted: [1.0]}


def test_an_answer_is_measured_when_it_is_held(publish, capsys):
    held = {"status": "HELD", "review_id": "r-9", "reason": "GUARDRAIL_FINDING", "decided_by": None}
    publish(change(record(**held, findings=["ContentPolicy:HATE"])))

    found = values(measured(capsys))
    assert (found["Held"], found["Interventions"], found["Latency"]) == ([1.0], [1.0], [2.12])


@pytest.mark.parametrize("old", [{"status": "HELD"}, {"status": "ADMITTED"}], ids=["held", "being answered"])
def test_what_an_erasure_ended_is_announced_and_not_measured(publish, capsys, old):
    erased = {"status": "FAILED", "reason": "SUBJECT_ERASED", "decided_by": "erasure", "message": "?"}

    _, [told] = publish(change(record(**erased), old))

    assert (told["detail-type"], told["detail"]["decided_by"]) == ("InferenceFailed", "erasure")
    assert measured(capsys) == []


def test_what_is_announced_again_or_not_at_all_is_not_measured(stores, dead_letters, context, capsys):
    with Stubber(bus_adapter.client()) as stubber:
        entries = [{"EventId": "1"}, {"ErrorCode": "InternalFailure"}]
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": entries})
        records = [record(1), record(2), record(3, cost_usd=decimal(-1.0))]
        publish_outcome.handler({"Records": [change(one, number=n) for n, one in enumerate(records)]}, context)

    assert values(measured(capsys))["Completed"] == [1.0]


def test_a_whole_batch_loses_no_value_to_the_size_of_a_document(publish, capsys):
    """A document holds 100 values of a metric, a batch more: two for each of its 100 records."""
    publish(*(change(record(number, attempts=[TIMEOUT]), number=number) for number in range(100)))

    lines = measured(capsys)
    found = values(lines)
    assert (len(found["Completed"]), sum(found["ModelErrors"]), len(found["ModelErrors"])) == (100, 100, 200)
    assert all(len(line[name]) <= 100 for line in lines for name in values([line]))
    assert all({"service", "use_case"} <= line.keys() for line in lines)


# --- Answers that may be given again


def kept(cache) -> dict[str, str]:
    return {item["answer_key"]: item["request_key"] for item in cache.scan()["Items"]}


def test_a_released_answer_is_found_again_by_its_question(publish, cache):
    publish(change(record(1, answer_key="acme#a", expires_at=1)), change(record(2, answer_key="acme#b", expires_at=1)))

    assert kept(cache) == {"acme#a": "acme#r-1", "acme#b": "acme#r-2"}
    assert not {"answer", "payload"} & cache.scan()["Items"][0].keys(), "the words stay with the request"


@pytest.mark.parametrize(
    "changes",
    [
        {"answer_key": None},
        {"decided_by": "reviewer"},
        {"status": "HELD", "review_id": "r-9", "reason": "LOW_CONFIDENCE", "decided_by": None},
        {"status": "REFUSED", "reason": "REJECTED", "message": "No."},
    ],
    ids=["none wanted", "written by a person", "held", "rejected"],
)
def test_what_is_not_out_or_not_to_be_given_again_is_not_found(publish, cache, changes):
    publish(change(record(**{"answer_key": "acme#a", "expires_at": 1} | changes)))

    assert kept(cache) == {}


def test_more_answers_than_one_write_holds_and_two_to_one_question_are_all_found(publish, cache):
    records = [
        change(record(number, answer_key=f"acme#{number % 40}", expires_at=1), number=number) for number in range(60)
    ]

    publish(*records)

    assert len(kept(cache)) == 40


def test_a_store_that_is_away_keeps_back_no_announcement(publish, cache, monkeypatch):
    monkeypatch.setattr(answers_table, "keep", lambda records: 1 / 0)

    failures, events = publish(change(record(answer_key="acme#a", expires_at=1)))

    assert (failures, len(events)) == ([], 1)


@pytest.fixture
def writes(publish):
    """How much was written to the cache table at once, each time."""
    sizes: list[int] = []

    def see(params: dict, **_) -> None:
        sizes.append(len(json.loads(params["body"])["RequestItems"]["cache"]))

    hooks = dynamodb.client.meta.events
    hooks.register("before-call.dynamodb.BatchWriteItem", see, "writes")
    yield sizes
    hooks.unregister("before-call.dynamodb.BatchWriteItem", unique_id="writes")


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (1, [1]), (25, [25]), (26, [25, 1]), (60, [25, 25, 10])])
def test_answers_are_kept_in_as_few_writes_as_they_fit(publish, cache, writes, number, sizes):
    publish(
        change(record(0)), *(change(record(each, answer_key=f"acme#{each}", expires_at=1)) for each in range(number))
    )

    assert (writes, len(kept(cache))) == (sizes, number)


def test_of_two_answers_to_a_question_the_later_one_is_found(publish, cache, writes):
    publish(*(change(record(number, answer_key="acme#a", expires_at=number), number=number) for number in (1, 2)))

    assert (writes, kept(cache)) == ([1], {"acme#a": "acme#r-2"})


def test_a_write_that_fails_keeps_back_no_announcement_and_no_measure(publish, cache, capsys, caplog):
    with Stubber(dynamodb.client) as stubber:
        stubber.add_client_error("batch_write_item", "ProvisionedThroughputExceededException")
        failures, events = publish(*(change(record(n, answer_key=f"acme#{n}", expires_at=1), number=n) for n in (1, 2)))

    assert (failures, {event["detail"]["request_id"] for event in events}) == ([], {"r-1", "r-2"})
    assert values(measured(capsys))["Completed"] == [1.0, 1.0]
    assert [one.request_ids for one in caplog.records if one.message == "answers not kept"] == [["r-1", "r-2"]]
    assert "Eleven hours." not in caplog.text
    assert kept(cache) == {}


def test_what_the_table_does_not_take_is_left(publish, cache):
    put = {"PutRequest": {"Item": {"answer_key": {"S": "acme#1"}}}}
    with Stubber(dynamodb.client) as stubber:
        stubber.add_response("batch_write_item", {"UnprocessedItems": {"cache": [put]}})
        failures, events = publish(change(record(answer_key="acme#1", expires_at=1)))

    assert (failures, len(events)) == ([], 1)


def test_an_answer_that_was_not_announced_is_not_kept_yet(stores, cache, dead_letters, context):
    with Stubber(bus_adapter.client()) as stubber:
        entries = [{"EventId": "1"}, {"ErrorCode": "InternalFailure"}]
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": entries})
        records = [change(record(n, answer_key=f"acme#{n}", expires_at=1), number=n) for n in (1, 2)]
        publish_outcome.handler({"Records": records}, context)

    assert kept(cache) == {"acme#1": "acme#r-1"}
