"""adapters/workflows.py: what Step Functions answers, in our words."""

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from adapters import workflows
from adapters.workflows import ExecutionFailed, StillRunning, infer, resume_review, start_review

ARN = "arn:aws:states:us-east-1:123456789012:execution:human_review:r-1"
SYNC = {"executionArn": "arn", "startDate": 0, "stopDate": 0}


@pytest.fixture
def machine():
    """The synchronous call, scripted."""
    with Stubber(workflows.sync_client()) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_an_execution_s_output_is_the_outcome(machine):
    output = '{"request_key":"acme#r-1"}'
    machine.add_response("start_sync_execution", SYNC | {"status": "SUCCEEDED", "output": output})

    assert infer({"detail": {"query": "na\u00efve"}}) == {"request_key": "acme#r-1"}


@pytest.mark.parametrize(
    ("result", "told"),
    [({"status": "FAILED", "error": "Unadmitted"}, "Unadmitted"), ({"status": "TIMED_OUT"}, "TIMED_OUT")],
)
def test_an_execution_without_an_outcome_is_told(machine, result, told):
    machine.add_response("start_sync_execution", SYNC | result)

    with pytest.raises(ExecutionFailed, match=told):
        infer({})


def test_an_execution_that_takes_too_long_goes_on(monkeypatch):
    def late(**_):
        raise ReadTimeoutError(endpoint_url="https://states")

    monkeypatch.setattr(workflows.sync_client(), "start_sync_execution", late)

    with pytest.raises(StillRunning):
        infer({})


@pytest.mark.parametrize(("status", "running"), [("RUNNING", True), ("FAILED", False), ("SUCCEEDED", False)])
def test_a_review_is_started_once(step_functions, status, running):
    step_functions.add_client_error("start_execution", "ExecutionAlreadyExists")
    step_functions.add_response(
        "describe_execution",
        {"executionArn": ARN, "stateMachineArn": "arn", "status": status, "startDate": 0},
        # What went in and came out is under a key of its own, which this call does not need.
        {"executionArn": ARN, "includedData": "METADATA_ONLY"},
    )

    assert start_review({"review_id": "r-1"}) is running


@pytest.mark.parametrize("error", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_nobody_waits_on_a_token_that_is_gone(step_functions, error):
    step_functions.add_client_error("send_task_success", error)

    assert resume_review("token", "lead") is False


def test_a_token_that_is_waited_on_resumes_with_where_the_verdict_leads(step_functions):
    step_functions.add_response("send_task_success", {}, {"taskToken": "token", "output": '{"next":"lead"}'})

    assert resume_review("token", "lead") is True
