"""Lifecycle lines of executions in CloudWatch Logs."""

import json
from uuid import uuid4

import pytest
from stepfunctions_harness import Machines, invoke, until

import bulwark.local.stepfunctions

SECRET = "a customer's words"


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        machines.answer("echo", lambda payload: payload)
        yield machines


@pytest.fixture
def group(machines):
    name = f"/aws/vendedlogs/states/{uuid4().hex}"
    machines.client("logs").create_log_group(logGroupName=name)
    return name


def configuration(group, level="ALL", data=False):
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:*"
    return {
        "level": level,
        "includeExecutionData": data,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
    }


def lines(machines, group):
    bulwark.local.stepfunctions.flush_logs()
    logs = machines.client("logs")
    events = []
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        name = stream["logStreamName"]
        events += logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"]
    return [json.loads(event["message"]) for event in events]


STATES = {
    "Set": {"Type": "Pass", "Assign": {"v": "{% $states.input %}"}, "Next": "Call"},
    "Call": invoke("echo", "{% $v %}", TimeoutSeconds=5, Next="End"),
    "End": {"Type": "Succeed"},
}


def test_an_express_execution_leaves_a_line_for_each_event_without_its_data(machines, group):
    end = machines.run(STATES, {"text": SECRET}, "EXPRESS", loggingConfiguration=configuration(group))

    logged = lines(machines, group)

    assert [line["type"] for line in logged] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "SucceedStateEntered",
        "SucceedStateExited",
        "ExecutionSucceeded",
    ]
    assert SECRET not in json.dumps(logged)
    assert logged[1] == {
        "id": "2",
        "type": "PassStateEntered",
        "details": {"name": "Set"},
        "previous_event_id": "0",
        "event_timestamp": logged[1]["event_timestamp"],
        "execution_arn": end["executionArn"],
    }
    assert logged[1]["event_timestamp"].isdigit()
    assert logged[4]["details"] == {
        "resourceType": "lambda",
        "resource": "invoke",
        "region": "us-east-1",
        "timeoutInSeconds": 5,
    }


def test_data_is_logged_when_it_is_asked_for(machines, group):
    machines.run(STATES, {"text": SECRET}, "EXPRESS", loggingConfiguration=configuration(group, data=True))

    logged = lines(machines, group)

    assert json.loads(logged[1]["details"]["input"]) == {"text": SECRET}
    assert SECRET in logged[4]["details"]["parameters"]


@pytest.mark.parametrize(
    ("level", "types"),
    [
        ("OFF", []),
        ("FATAL", ["ExecutionFailed"]),
        ("ERROR", ["TaskFailed", "FailStateEntered", "ExecutionFailed"]),
    ],
)
def test_a_level_says_which_events_are_logged(machines, group, level, types):
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "No"}]
    states = {
        "Call": invoke("missing", Catch=catch, TimeoutSeconds=1, Next="No"),
        "No": {"Type": "Fail", "Error": "Refused", "Cause": "policy"},
    }

    machines.run(states, kind="EXPRESS", loggingConfiguration=configuration(group, level))

    logged = lines(machines, group)
    assert [line["type"] for line in logged] == types
    if types:
        # AWS does not count the error and its cause as execution data.
        assert logged[-1]["details"] == {"error": "Refused", "cause": "policy"}


def test_a_standard_execution_is_logged_while_it_runs(machines, group):
    states = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}
    arn = machines.start(machines.create(states, loggingConfiguration=configuration(group)))

    logged = until(lambda: lines(machines, group))

    assert logged[0]["execution_arn"] == arn
    assert logged[0]["redrive_count"] == "0"
    machines.sfn.stop_execution(executionArn=arn)
    assert lines(machines, group)[-1]["type"] == "ExecutionAborted"


def test_a_missing_log_group_does_not_hurt_the_execution(machines):
    end = machines.run(STATES, {}, "EXPRESS", loggingConfiguration=configuration("/none"))

    bulwark.local.stepfunctions.flush_logs()
    assert end["status"] == "SUCCEEDED"
