"""A cloud as a whole: what is told over HTTP, and what is left of it when it has stopped."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest
from small_cloud import eventually, put_event, start_small

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
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{cloud.endpoint}/_bulwark/{name}", data, kind, method=method)
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


def test_a_body_that_is_cut_off_is_the_callers_error(capfd):
    with start_small() as cloud:
        host, port = cloud.endpoint.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(
                f"POST / HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 900\r\n".encode()
                + b"X-Amz-Target: DynamoDB_20120810.GetItem\r\n"
                b'Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request\r\n\r\n{"Tab'
            )
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"SerializationException" in answer and b"5 of 900 bytes" in answer
    assert "Traceback" not in "".join(capfd.readouterr())


def test_waiting_for_a_worker_is_on_no_clock():
    with start_small(concurrency=1) as cloud:
        task = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {
                "FunctionName": cloud.stack.physical_id("ProbeFunction"),
                "Payload": {"do": "sleep", "seconds": 0.7},
            },
            "TimeoutSeconds": 2,
            "End": True,
        }
        # Six at once, one after the other: the last one waits for longer than either timeout.
        machine = {"QueryLanguage": "JSONata", "StartAt": "Sleep", "TimeoutSeconds": 3, "States": {"Sleep": task}}
        sfn = cloud.client("stepfunctions")
        arn = sfn.create_state_machine(
            name="sleep", definition=json.dumps(machine), roleArn="arn:aws:iam::123456789012:role/r"
        )["stateMachineArn"]
        started = [sfn.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(6)]

        def ends():
            found = [sfn.describe_execution(executionArn=each)["status"] for each in started]
            return "RUNNING" not in found and found

        assert eventually(ends, 60) == ["SUCCEEDED"] * 6


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
