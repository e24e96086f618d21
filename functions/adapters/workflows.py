"""Step Functions: starts the machines and answers a held execution through its task token."""

import functools
import json
import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

# API Gateway gives up after 30 s; the execution itself goes on.
SYNC_SECONDS = 25


@functools.cache
def client() -> Any:
    """Made for the first call: its model is a quarter of a cold start, and few who import this call at once."""
    return boto3.client("stepfunctions")


@functools.cache
def sync_client() -> Any:
    """For the one call that waits for an execution's end, and is not made twice."""
    config = Config(read_timeout=SYNC_SECONDS, retries={"total_max_attempts": 1})
    return boto3.client("stepfunctions", config=config)


class StillRunning(Exception):
    """The execution did not end within SYNC_SECONDS."""


class ExecutionFailed(Exception):
    """The execution ended without an outcome of its own."""


def infer(execution_input: dict) -> dict:
    """Run inference and wait for its end; gives the machine's output."""
    try:
        result = sync_client().start_sync_execution(
            stateMachineArn=os.environ["INFERENCE_STATE_MACHINE"], input=_dump(execution_input)
        )
    except ReadTimeoutError as error:
        raise StillRunning from error
    if result["status"] != "SUCCEEDED":
        raise ExecutionFailed(result.get("error", result["status"]))
    return json.loads(result["output"])


def start_inference(execution_input: dict, name: str) -> None:
    client().start_execution(
        stateMachineArn=os.environ["INFERENCE_STATE_MACHINE"], input=_dump(execution_input), name=name
    )


def start_review(review: dict) -> bool:
    """Start a review, or find it running; False if its execution has ended already."""
    machine = os.environ["HUMAN_REVIEW_STATE_MACHINE"]
    try:
        client().start_execution(stateMachineArn=machine, input=_dump(review), name=review["review_id"])
    except client().exceptions.ExecutionAlreadyExists:
        execution = f"{machine.replace(':stateMachine:', ':execution:')}:{review['review_id']}"
        # The status is not under the history's key, what went in and came out is.
        found = client().describe_execution(executionArn=execution, includedData="METADATA_ONLY")
        return found["status"] == "RUNNING"
    return True


def start_erasure(erasure: dict) -> None:
    """Start an erasure, unless it runs; one whose execution failed is started anew."""
    machine, number = os.environ["ERASURE_STATE_MACHINE"], 0
    while True:
        name = f"{erasure['erasure_id']}-{number}"
        try:
            client().start_execution(stateMachineArn=machine, input=_dump(erasure), name=name)
            return
        except client().exceptions.ExecutionAlreadyExists:
            execution = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
            found = client().describe_execution(executionArn=execution, includedData="METADATA_ONLY")
            if found["status"] == "RUNNING":
                return
        number += 1


def resume_review(task_token: str, next: str) -> bool:
    """Tell a waiting review where its stored verdict leads; False if nothing waits on the token any more."""
    return resume(task_token, {"next": next})


def resume(task_token: str, output: dict) -> bool:
    """Answer a waiting task; False if nothing waits on the token any more."""
    try:
        client().send_task_success(taskToken=task_token, output=_dump(output))
    except (
        client().exceptions.TaskTimedOut,
        client().exceptions.TaskDoesNotExist,
        client().exceptions.InvalidToken,
    ):
        return False
    return True


def _dump(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
