"""adapters/bus.py: no malformed event leaves, many leave in few calls, and each refusal is told apart."""

import pytest
from botocore.stub import Stubber

from adapters import bus as bus_adapter
from adapters.bus import MAX_BYTES, MAX_ENTRIES, announce, entry, fits, publish
from adapters.schemas import SchemaViolated


def completed(sample, number: int = 0, **more: object) -> dict:
    return entry("InferenceCompleted", sample("InferenceCompleted") | {"request_id": f"r-{number}"} | more)


def test_events_are_published_in_their_order(bus, sample):
    count = 2 * MAX_ENTRIES + 1

    assert publish([completed(sample, number) for number in range(count)]) == [None] * count

    events = bus()
    assert [event["detail"]["request_id"] for event in events] == [f"r-{number}" for number in range(count)]
    assert {(event["source"], event["detail-type"]) for event in events} == {("bulwark", "InferenceCompleted")}


def test_a_malformed_event_does_not_leave(bus, sample):
    with pytest.raises(SchemaViolated, match="cost_usd"):
        completed(sample, cost_usd=-1)

    assert bus() == []


def test_nothing_to_say_is_no_call():
    assert publish([]) == []


def test_large_answers_do_not_share_a_call(bus, sample):
    large = "x" * 400_000

    assert publish([completed(sample, number, answer=large) for number in range(3)]) == [None] * 3
    assert len(bus()) == 3


def test_each_refusal_is_told_apart(sample):
    with Stubber(bus_adapter.client()) as stubber:
        entries = [{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}]
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": entries})

        assert publish([completed(sample, 0), completed(sample, 1)]) == [None, "ThrottlingException"]


def test_what_has_to_be_told_is_told_or_raises(bus, sample):
    announce("SubjectErased", sample("SubjectErased"))
    assert [event["detail-type"] for event in bus()] == ["SubjectErased"]

    with Stubber(bus_adapter.client()) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})
        with pytest.raises(RuntimeError, match="did not take SubjectErased: InternalFailure"):
            announce("SubjectErased", sample("SubjectErased"))


@pytest.mark.parametrize(("characters", "fitting"), [(MAX_BYTES - 600, True), (MAX_BYTES, False)])
def test_what_fits_into_an_event_is_known_beforehand(characters, fitting):
    assert fits({"answer": "x" * characters}) is fitting
