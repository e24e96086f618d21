"""inference/record_failure.py: no model answered, and the request's end says which failed how."""

import pytest

from inference import record_failure

REQUEST = {"request_id": "r-1", "request_key": "acme#r-1", "in_flight_key": "in-flight#acme#0", "mode": "normal"}
ATTEMPTS = [
    {"model": "nova-lite", "error": "States.Timeout", "input_tokens": 0, "output_tokens": 0},
    {"model": "nova-pro", "error": "EMPTY_ANSWER", "input_tokens": 20, "output_tokens": 0},
]


@pytest.fixture
def fail(stores, rules, clock, context):
    event = {"execution_name": "execution-1", "request": REQUEST, "attempts": ATTEMPTS}
    return lambda: record_failure.handler(event, context)


def test_a_failure_is_recorded_with_its_reason(fail, requests):
    requests.put_item(Item={"request_key": "acme#r-1", "status": "ADMITTED", "sweep": "OPEN#0", "sweep_at": 1})

    assert fail() == {"status": "FAILED"}

    record = requests.get_item(Key={"request_key": "acme#r-1"})["Item"]
    assert (record["status"], record["reason"]) == ("FAILED", "EMPTY_ANSWER")
    assert "nova-lite: States.Timeout" in record["message"]
    assert "sweep" not in record
    assert record["mode"] == "normal"
    assert record["cost_usd"] > 0, "an empty answer was paid for as well"


def test_an_outcome_that_was_first_stands(fail, requests):
    requests.put_item(Item={"request_key": "acme#r-1", "status": "COMPLETED"})

    assert fail() == {"status": "COMPLETED"}
