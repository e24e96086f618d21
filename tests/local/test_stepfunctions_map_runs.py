"""A Distributed Map: its children have their own variables, are stopped with their parent, and fail one by one."""

import threading

import pytest
from botocore.exceptions import ClientError
from stepfunctions_harness import FunctionError, Machines, invoke, until


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        yield machines


def mapped(*, work: dict, end: bool = True, **more) -> dict:
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Begin",
        "States": {
            "Begin": {"Type": "Pass", "Assign": {"n": "{% $states.input.n %}"}, "Next": "Work"},
            "Work": work,
        },
    }
    state = {
        "Type": "Map",
        "Items": "{% $ns %}",
        "ItemSelector": {"n": "{% $states.context.Map.Item.Value * $factor %}"},
        "ToleratedFailurePercentage": 100.0,
        "ItemProcessor": processor,
        "End": True,
    }
    begin = {"Type": "Pass", "Assign": {"ns": [1, 2, 3], "factor": 10, "n": 0}, "Next": "Each"}
    return {"Start": begin, "Each": state | more}


def test_children_have_variables_of_their_own(machines):
    machines.answer("double", lambda payload: {"twice": payload["n"] * 2})
    work = invoke("double", {"n": "{% $n %}"}) | {"Output": "{% $states.result.Payload.twice %}"}

    assert machines.run(mapped(work=work))["output"] == [20, 40, 60]


def test_a_child_sees_no_variable_of_its_parent(machines):
    work = {"Type": "Pass", "Output": "{% $factor %}", "End": True}

    assert machines.run(mapped(work=work))["output"] == [None, None, None]


def test_a_child_that_fails_gives_no_result_and_stops_no_other(machines):
    def answer(payload):
        if payload["n"] == 20:
            raise FunctionError({"errorType": "Bad", "errorMessage": "bad"})
        return payload["n"]

    machines.answer("picky", answer)
    work = invoke("picky", {"n": "{% $n %}"}) | {"Output": "{% $states.result.Payload %}"}

    assert machines.run(mapped(work=work))["output"] == [10, None, 30]


def test_children_are_counted_while_they_run(machines):
    go_on = threading.Event()
    machines.answer("slow", lambda payload: go_on.wait(120) and payload["n"])
    machine = machines.create(mapped(work=invoke("slow", {"n": "{% $n %}"})))
    execution = machines.start(machine)

    [run] = until(lambda: machines.sfn.list_map_runs(executionArn=execution)["mapRuns"])
    assert machines.sfn.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]["succeeded"] == 0
    go_on.set()
    machines.end_of(execution)

    assert machines.sfn.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]["succeeded"] == 3


def test_children_are_stopped_with_their_parent(machines):
    seen = []
    machines.answer("note", lambda payload: seen.append(payload["n"]))
    wait = {"Type": "Wait", "Seconds": 30, "Next": "After"}
    states = mapped(work=wait)
    states["Each"]["ItemProcessor"]["States"]["After"] = invoke("note", {"n": "{% $n %}"})
    execution = machines.start(machines.create(states))
    until(lambda: machines.sfn.list_map_runs(executionArn=execution)["mapRuns"])

    machines.sfn.stop_execution(executionArn=execution)

    assert machines.end_of(execution)["status"] == "ABORTED" and not seen


def test_a_tolerance_that_would_not_be_kept_is_refused(machines):
    work = {"Type": "Pass", "End": True}

    with pytest.raises(ClientError, match="has to tolerate all failures"):
        machines.create(mapped(work=work, ToleratedFailurePercentage=5.0))
