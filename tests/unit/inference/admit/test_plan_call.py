"""inference/admit/plan_call.py: a plan holds what the model is asked and what the judgement needs, and fits."""

import json

import pytest

from domain.modes import EffectiveMode, Mode
from inference.admit.plan_call import plan_call


def test_a_plan_names_the_chain_and_carries_the_request(admission):
    before = admission("plan_call")
    plan = plan_call(before).told

    assert plan["admission"] == "ADMITTED"
    assert [model["model"] for model in plan["models"]] == ["nova-lite", "nova-pro"]
    carried = plan["request"]
    assert (carried["request_key"], carried["in_flight_key"]) == ("acme#r-1", before.claim.record["in_flight_key"])
    assert carried["subject"] == {"ref": before.subject.ref, "wrapped_key": before.subject.wrapped}


@pytest.mark.parametrize(("floor", "threshold"), [(None, 0.8823), (0.86, 0.86), (0.95, 0.8823)])
def test_the_threshold_is_the_mode_s_where_that_is_lower(admission, floor, threshold):
    mode = EffectiveMode(Mode.ASK_LESS, "review_load", floor)

    plan = plan_call(admission("plan_call", known={"mode": mode})).told

    assert plan["request"]["confidence_threshold"] == threshold


def test_what_does_not_fit_travels_by_reference(admission, bucket):
    passages = [{"id": "p", "text": "word " * 50_000}]

    plan = plan_call(admission("plan_call", {"passages": passages})).told

    assert (plan["messages"], plan["passages"], plan["query"]) == ([], [], {})
    assert [kept.key for kept in bucket.objects.all()] == [plan["payload_ref"]]
    assert len(json.dumps(plan)) < 10_000
