"""Sends a text to any target by its ARN, within the size that the target takes."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from bulwark.local.events.input import as_text
from bulwark.local.functions.asynchronous import ASYNC_LIMIT

STATES_INPUT_LIMIT = 262_144
MESSAGE_LIMIT = 1_048_576


class TargetRefused(Exception):
    """The target does not take this input, now or later."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Targets:
    """`send(arn, text)` for Step Functions, Lambda, SQS, SNS, CloudWatch Logs and event buses."""

    def __init__(self, clients: Callable[[str], Any], functions: Any = None) -> None:
        self._clients = clients
        # Set by the cloud: asynchronous invocations need a way to send, and sending needs a way to invoke.
        self.asynchronous: Any = functions
        self._queue_urls: dict[str, str] = {}

    def send(
        self,
        arn: str,
        text: str,
        attributes: dict[str, str] | None = None,
        target: dict[str, Any] | None = None,
        event: dict[str, Any] | None = None,
    ) -> None:
        service = arn.split(":")[2]
        sender = getattr(self, f"_send_to_{service}", None)
        if sender is None:
            raise TargetRefused("UNSUPPORTED_TARGET", f"no delivery to {arn}")
        sender(arn, text, attributes or {}, target or {}, event or {})

    def _send_to_states(self, arn: str, text: str, _: dict, target: dict, event: dict) -> None:
        _check_size(text, STATES_INPUT_LIMIT, "input of StartExecution")
        self._clients("stepfunctions").start_execution(stateMachineArn=arn, name=_execution_name(event), input=text)

    def _send_to_lambda(self, arn: str, text: str, *_: dict) -> None:
        _check_size(text, ASYNC_LIMIT, "payload of an asynchronous invocation")
        self.asynchronous.submit(arn, text.encode())

    def _send_to_sqs(self, arn: str, text: str, attributes: dict, target: dict, _: dict) -> None:
        size = len(text.encode()) + sum(len(name) + len(value.encode()) for name, value in attributes.items())
        if size > MESSAGE_LIMIT:
            raise TargetRefused("INVALID_PARAMETER", f"message of {size} bytes is over the limit of {MESSAGE_LIMIT}")
        sqs = self._clients("sqs")
        if arn not in self._queue_urls:
            self._queue_urls[arn] = sqs.get_queue_url(QueueName=arn.split(":")[-1])["QueueUrl"]
        grouped = (
            {"MessageGroupId": group} if (group := (target.get("SqsParameters") or {}).get("MessageGroupId")) else {}
        )
        sqs.send_message(
            QueueUrl=self._queue_urls[arn],
            MessageBody=text,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
            },
            **grouped,
        )

    def _send_to_sns(self, arn: str, text: str, *_: dict) -> None:
        _check_size(text, STATES_INPUT_LIMIT, "message of Publish")
        self._clients("sns").publish(TopicArn=arn, Message=text)

    def _send_to_events(self, arn: str, text: str, _: dict, target: dict, event: dict) -> None:
        entry = {
            "Source": event.get("source", "lambda"),
            "DetailType": event.get("detail-type", "Lambda Function Invocation Result"),
            "Detail": as_text(event["detail"]) if event else text,
            "Resources": event.get("resources", []),
            "EventBusName": arn.rpartition("/")[2],
        }
        self._clients("events").put_events(Entries=[entry])

    def _send_to_logs(self, arn: str, text: str, *_: dict) -> None:
        group, logs = arn.split(":")[6], self._clients("logs")
        stream = str(uuid.uuid4())
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": int(time.time() * 1000), "message": text}],
        )


def _check_size(text: str, limit: int, what: str) -> None:
    if (size := len(text.encode())) > limit:
        raise TargetRefused("INVALID_PARAMETER", f"{what} is {size} bytes, over the limit of {limit}")


def _execution_name(event: dict[str, Any]) -> str:
    """EventBridge names an execution by the event and something of its own: a repeat is a new execution."""
    return f"{event.get('id', uuid.uuid4())}_{uuid.uuid4()}"[:80]
