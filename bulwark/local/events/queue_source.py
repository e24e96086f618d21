"""Gap of moto 5.2: a queue's function is invoked within SendMessage, and what fails is not received again.

Bridged: batches are received, invoked and deleted as Lambda's pollers do it; ReportBatchItemFailures keeps the items
that failed, and the queue's VisibilityTimeout and RedrivePolicy decide what becomes of them. moto has closed the
gap when `SQSBackend.send_message` no longer calls `send_sqs_batch`.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

from bulwark.local.functions.host import FunctionHost, HostStopped, TooManyRequests
from bulwark.local.stack.api_calls import UnsupportedProperty
from bulwark.local.threads import Threads

_KNOWN = {
    "BatchSize", "DestinationConfig", "Enabled", "EventSourceArn", "FilterCriteria", "FunctionName",
    "FunctionResponseTypes", "MaximumBatchingWindowInSeconds", "ScalingConfig", "Tags",
}  # fmt: skip


class QueueSource:
    """Polls one queue for one function."""

    def __init__(self, properties: dict[str, Any], host: FunctionHost, clients: Callable[[str], Any]) -> None:
        unknown = set(properties) - _KNOWN | (set(properties) & {"FilterCriteria", "DestinationConfig"})
        if unknown:
            raise UnsupportedProperty(", ".join(sorted(unknown)))
        self._host, self._function = host, properties["FunctionName"]
        self._arn = properties["EventSourceArn"]
        self._batch = min(10, int(properties.get("BatchSize", 10)))
        self._window = float(properties.get("MaximumBatchingWindowInSeconds", 0))
        self._reports = "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", [])
        most = int((properties.get("ScalingConfig") or {}).get("MaximumConcurrency", host.concurrency))
        self._concurrency = min(most, host.concurrency)
        self._sqs = clients("sqs")
        self._url = self._sqs.get_queue_url(QueueName=self._arn.split(":")[-1])["QueueUrl"]
        self._stopping = threading.Event()
        self._free = threading.Semaphore(self._concurrency)
        self._threads = Threads("queue-source", self._concurrency)
        self._poller = threading.Thread(target=self._poll, name="queue-poller", daemon=True)

    def start(self) -> None:
        self._poller.start()

    def stop(self) -> None:
        self._stopping.set()
        self._free.release()
        self._threads.stop()
        if self._poller.ident:
            self._poller.join(3)

    def _poll(self) -> None:
        while True:
            self._free.acquire()
            messages: list[dict[str, Any]] = []
            while not messages:
                if self._stopping.is_set():
                    return
                messages = self._receive(self._batch, wait=1)
            if self._window and len(messages) < self._batch:
                self._stopping.wait(self._window)
                messages += self._receive(self._batch - len(messages), wait=0)
            self._threads.submit(self._handle, messages)

    def _receive(self, most: int, wait: int) -> list[dict[str, Any]]:
        return self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])

    def _handle(self, messages: list[dict[str, Any]]) -> None:
        try:
            failed = self._invoke(messages)
            done = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
                if message["MessageId"] not in failed
            ]
            if done and not self._stopping.is_set():
                self._sqs.delete_message_batch(QueueUrl=self._url, Entries=done)
        finally:
            self._free.release()

    def _invoke(self, messages: list[dict[str, Any]]) -> set[str]:
        """The ids of the messages that are to be received again."""
        every = {message["MessageId"] for message in messages}
        payload = json.dumps({"Records": [self._record(message) for message in messages]}).encode()
        try:
            outcome = self._host.invoke_raw(self._function, payload)
        except (TooManyRequests, HostStopped):
            return every
        if outcome.function_error:
            return every
        if not self._reports:
            return set()
        return failed_items(outcome.payload, every)

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {
                name: _message_attribute(value) for name, value in message.get("MessageAttributes", {}).items()
            },
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._arn.split(":")[3],
        }


def failed_items(payload: bytes, every: set[str]) -> set[str]:
    """The items that a function reports as failed; a report that makes no sense fails them all, as on AWS.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    try:
        answer = json.loads(payload or b"null")
    except ValueError:
        return every
    if answer is None:
        return set()
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return set()
    try:
        reported = {failure["itemIdentifier"] for failure in failures}
    except (KeyError, TypeError):
        return every
    return min(reported, every)


def _message_attribute(value: dict[str, Any]) -> dict[str, Any]:
    lower = {"DataType": "dataType", "StringValue": "stringValue", "BinaryValue": "binaryValue"}
    return {lower[key]: each for key, each in value.items() if key in lower}
