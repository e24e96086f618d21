"""256 KiB of UTF-8 for what states hold, and 25,000 events for a history."""

import json

import pytest
from botocore.exceptions import ClientError
from stepfunctions_harness import Machines, invoke

LIMIT = 262_144
CATCH_ALL = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
CATCH_BY_NAME = [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught"}]
CAUGHT = {"Type": "Succeed", "Output": "caught"}


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        machines.answer("size", lambda payload: "x" * payload["size"])
        machines.answer("none", lambda payload: None)
        yield machines


@pytest.mark.parametrize(("letter", "width"), [("x", 1), ("é", 2), ("語", 3)])
def test_an_input_has_at_most_256_kib_of_utf_8(machines, letter, width):
    machine = machines.create({"End": {"Type": "Succeed"}})
    fits = json.dumps(letter * ((LIMIT - 2) // width), ensure_ascii=False)

    assert machines.sfn.start_execution(stateMachineArn=machine, input=fits)
    with pytest.raises(ClientError, match="ValidationException.*length less than or equal to 262144"):
        machines.sfn.start_execution(stateMachineArn=machine, input=fits + " " * width)


@pytest.mark.parametrize(
    ("size", "catch", "status"),
    [(260_000, CATCH_ALL, "SUCCEEDED"), (LIMIT, CATCH_ALL, "FAILED"), (LIMIT, CATCH_BY_NAME, "SUCCEEDED")],
)
@pytest.mark.parametrize("where", ["result", "arguments", "output"])
def test_data_that_is_too_large_passes_states_all(machines, where, size, catch, status):
    states = {
        "result": invoke("size", {"size": size}, Output=1),
        "arguments": invoke("none", {"text": f"{{% $pad('', {size}, 'x') %}}"}, Output=1),
        "output": invoke("none", Output=f"{{% $pad('', {size}, 'x') %}}"),
    }

    end = machines.run({"Work": {**states[where], "Catch": catch}, "Caught": CAUGHT})

    assert end["status"] == status
    assert end.get("error") == ("States.DataLimitExceeded" if status == "FAILED" else None)
    if catch is CATCH_BY_NAME:
        assert end["output"] == "caught"


@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
def test_the_output_of_a_pass_state_is_limited(machines, kind):
    end = machines.run({"A": {"Type": "Pass", "Output": f"{{% $pad('', {LIMIT}, 'x') %}}", "End": True}}, kind=kind)

    assert (end["status"], end["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_a_history_ends_at_25_000_events(machines):
    again = {"Condition": "{% true %}", "Next": "Loop"}
    states = {
        "Loop": {"Type": "Choice", "Choices": [again], "Default": "End"},
        "End": {"Type": "Succeed"},
    }
    arn = machines.start(machines.create(states))

    end = machines.end_of(arn, 60)

    assert (end["status"], end["error"]) == ("FAILED", "States.Runtime")
    last = machines.sfn.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=1)["events"][0]
    assert (last["id"], last["type"]) == (25_000, "ExecutionFailed")
