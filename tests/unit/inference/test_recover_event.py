"""recovery/recover_event.py: what was only too large goes on by reference; the rest is kept with its reason."""

import json

import pytest

from adapters import payloads, workflows
from recovery import recover_event
from recovery.recover_event import MAX_INPUT_BYTES

EVENT = {
    "id": "event-1",
    "account": "123456789012",
    "source": "acme.app",
    "detail-type": "InferenceRequested",
}


def message(body: str, number: int = 1, **attributes: str) -> dict:
    return {
        "messageId": f"m-{number}",
        "body": body,
        "messageAttributes": {name: {"stringValue": value, "dataType": "String"} for name, value in attributes.items()},
    }


@pytest.fixture
def started(monkeypatch) -> list[tuple[dict, str]]:
    found: list[tuple[dict, str]] = []
    monkeypatch.setattr(workflows, "start_inference", lambda reference, name: found.append((reference, name)))
    return found


@pytest.fixture
def recover(bucket, dead_letters, started, context):
    return lambda *records: recover_event.handler({"Records": list(records)}, context)["batchItemFailures"]


def large(**detail: object) -> str:
    return json.dumps(EVENT | {"detail": {"query": "x" * MAX_INPUT_BYTES} | detail})


def test_a_large_event_is_restarted_by_reference(recover, started, dead_letters):
    assert recover(message(large(request_id="r-1"))) == []

    [(reference, name)] = started
    assert name.startswith("recovered-event-1-")
    assert len(name) <= 80
    assert reference.keys() == {"id", "account", "source", "detail_ref"}
    assert json.loads(payloads.get(reference["detail_ref"]))["request_id"] == "r-1"
    assert dead_letters() == []


def test_an_event_that_the_queue_delivers_twice_is_claimed_by_one_of_two(recover, started):
    recover(message(large(request_id="r-1")))
    recover(message(large(request_id="r-1")))

    assert len({name for _, name in started}) == 2


def test_half_a_surrogate_pair_goes_on_to_be_refused(recover, started):
    assert recover(message(large(request_id="\ud83d"))) == []

    [(reference, _)] = started
    assert json.loads(payloads.get(reference["detail_ref"]))["request_id"] == "\ud83d"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not allowed"}, "NO_PERMISSIONS; not allowed"),
        ({}, "EventBridge could not deliver the event and did not say why"),
    ],
)
def test_any_other_event_is_kept_with_its_reason(recover, started, dead_letters, attributes, reason):
    body = json.dumps(EVENT | {"detail": {}})

    assert recover(message(body, **attributes)) == []

    [parked] = dead_letters()
    assert (parked["body"], parked["kind"], parked["reason"]) == (body, "event", reason)
    assert started == []


PADDING = " " * MAX_INPUT_BYTES


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{" + "x" * MAX_INPUT_BYTES, "is not JSON at line 1, column 2"),
        ('{"n":' + "1" * MAX_INPUT_BYTES + "}", "too large to be read"),
        ('{"n": 1e400}' + PADDING, "a number that is too large"),
        ('{"n": NaN}' + PADDING, "no number of JSON at line 1, column 7"),
        ("[" * MAX_INPUT_BYTES + "]" * MAX_INPUT_BYTES, "is nested deeper"),
        ("[1]" + PADDING, "is no event"),
        ('{"id": "event-1"}' + PADDING, "is no event"),
        ('"detail"' + PADDING, "is no event"),
    ],
)
def test_a_large_message_that_can_only_fail_is_parked_at_once_and_its_neighbour_goes_on(
    recover, started, dead_letters, body, why
):
    assert recover(message(body), message(large(), 2)) == []

    [parked] = dead_letters()
    assert parked["body"] == body
    assert parked["reason"].startswith("it can only fail: its body") and why in parked["reason"]
    assert len(started) == 1


def test_an_outage_leaves_the_message_in_its_queue_and_the_next_one_goes_on(recover, started, monkeypatch):
    monkeypatch.setattr(payloads, "put_event", _fails_once(payloads.put_event))

    assert recover(message(large(), 1), message(large(), 2)) == [{"itemIdentifier": "m-1"}]
    assert len(started) == 1


def _fails_once(function):
    calls: list[object] = []

    def run(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise ConnectionError
        return function(*arguments)

    return run
