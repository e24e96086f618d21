"""inference/assess/record_outcome.py: the first outcome is the only one."""

import pytest

from domain.outcomes import Verdict
from domain.requests import Status
from inference.assess.record_outcome import record_outcome

RELEASED = {"verdict": Verdict(Status.COMPLETED), "attributes": {"model": "nova-lite"}}


@pytest.fixture
def admitted(requests, control):
    requests.put_item(Item={"request_key": "acme#r-1", "tenant": "acme", "status": "ADMITTED", "sweep": "OPEN#0"})
    control.put_item(Item={"control_key": "in-flight#acme#0", "count": 1})
    return lambda: requests.get_item(Key={"request_key": "acme#r-1"})["Item"]


def test_an_outcome_is_recorded_and_its_place_is_free(assessment, admitted, control):
    assert record_outcome(assessment(known=RELEASED)).told == {"status": "COMPLETED", "review": None}

    record = admitted()
    assert (record["status"], record["model"], record["mode"]) == ("COMPLETED", "nova-lite", "normal")
    assert control.get_item(Key={"control_key": "in-flight#acme#0"})["Item"]["count"] == 0


def test_what_was_recorded_first_stands(assessment, admitted, control):
    record_outcome(assessment(known=RELEASED))

    recorded = record_outcome(assessment(known={"verdict": Verdict(Status.HELD)}))

    assert (recorded.ours, recorded.told["status"]) == (False, "COMPLETED")
    assert control.get_item(Key={"control_key": "in-flight#acme#0"})["Item"]["count"] == 0


def test_the_sweeper_comes_back_to_what_is_reviewed(assessment, admitted):
    review = {"review_id": "r-0"}

    told = record_outcome(assessment(known={"verdict": Verdict(Status.HELD), "review": review})).told

    assert told == {"status": "HELD", "review": review}
    assert admitted()["sweep_at"] == 1_800_000_121
