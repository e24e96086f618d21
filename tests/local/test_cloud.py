"""A cloud as a whole: what is told over HTTP, and what is left of it when it has stopped."""

import json
import threading
import time
import urllib.error
import urllib.request

import pytest
from small_cloud import put_event, start_small

WRITES_LATE = {
    "StartAt": "Wait",
    "States": {
        "Wait": {"Type": "Wait", "Seconds": 1, "Next": "Write"},
        "Write": {
            "Type": "Task",
            "Resource": "arn:aws:states:::dynamodb:putItem",
            "Parameters": {"TableName": "TABLE", "Item": {"id": {"S": "ID"}}},
            "End": True,
        },
    },
}


def control(cloud, method: str, name: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{cloud.endpoint}/_bulwark/{name}", data, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_the_control_calls_answer_over_http():
    with start_small() as cloud:
        assert control(cloud, "GET", "outputs") == cloud.outputs
        fault = {"faults": [{"model": "*", "kind": "throttle"}]}
        assert len(control(cloud, "PUT", "faults", fault)["faults"]) == 1
        assert control(cloud, "DELETE", "faults") == {"faults": []}
        with pytest.raises(urllib.error.HTTPError, match="404"):
            control(cloud, "GET", "nothing")
        with pytest.raises(urllib.error.HTTPError, match="400"):
            control(cloud, "PUT", "faults", {"faults": [{"kind": "no such kind"}]})


def test_an_execution_does_not_go_on_in_the_next_cloud():
    with start_small() as cloud:
        sfn, table = cloud.client("stepfunctions"), cloud.outputs["Table"]
        for kind in ("EXPRESS", "STANDARD"):
            definition = json.dumps(WRITES_LATE).replace("TABLE", table).replace("ID", kind)
            role = "arn:aws:iam::123456789012:role/r"
            machine = sfn.create_state_machine(name=kind, type=kind, definition=definition, roleArn=role)
            sfn.start_execution(stateMachineArn=machine["stateMachineArn"])
        time.sleep(0.2)
    with start_small() as cloud:
        time.sleep(1.2)
        assert cloud.client("dynamodb").scan(TableName=table)["Items"] == []


def test_no_thread_of_a_stopped_cloud_is_left():
    with start_small(schedules=True) as cloud:
        put_event(cloud, "Collected", {"id": "one"})
        cloud.settle()
    ours = ("endpoint", "event-", "async-", "queue-", "stream-", "schedule", "CP Server")
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith(ours)]

    assert left == []


def test_what_a_cloud_held_is_gone_in_the_next():
    with start_small() as cloud:
        cloud.client("dynamodb").put_item(TableName=cloud.outputs["Table"], Item={"id": {"S": "kept"}})
    with start_small() as cloud:
        assert cloud.client("dynamodb").scan(TableName=cloud.outputs["Table"])["Count"] == 0
