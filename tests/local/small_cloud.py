"""What the tests of the embedded AWS share: the small application, and patience."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bulwark.local import cloud as embedded

SMALL = Path(__file__).parent / "fixtures/small/template.yaml"


def start_small(**options: Any) -> embedded.Cloud:
    """The small application, with no schedule unless asked for."""
    return embedded.start(**{"template": SMALL, "stack_name": "small", "schedules": False, **options})


def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
    """The first truthy result of a check."""
    until = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
    return result


def drain(cloud: embedded.Cloud, logical_id: str, count: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
    """The next messages of a queue, deleted from it."""
    sqs, url = cloud.client("sqs"), cloud.stack.physical_id(logical_id)
    messages: list[dict[str, Any]] = []
    until = time.monotonic() + seconds
    while len(messages) < count:
        assert time.monotonic() < until, f"{logical_id} has {len(messages)} of {count} messages"
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            messages.append(message)
    return messages


def seen(cloud: embedded.Cloud, identifier: str) -> int:
    """How often a function of the small application has counted an id."""
    key = {"id": {"S": identifier}}
    item = cloud.client("dynamodb").get_item(TableName=cloud.outputs["Table"], Key=key).get("Item")
    return int(item["seen"]["N"]) if item else 0


def put_event(cloud: embedded.Cloud, detail_type: str, detail: Any) -> None:
    entry = {
        "EventBusName": cloud.outputs["Bus"],
        "Source": "shop",
        "DetailType": detail_type,
        "Detail": detail if isinstance(detail, str) else json.dumps(detail),
    }
    assert cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
