"""Listens to Bulwark's announcements as a consumer would: a rule on the bus, and a queue behind it."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bulwark.cli.target import Target

NAME = "bulwark-demo-announcements"
_OUTCOMES = {"source": ["bulwark"], "detail-type": [{"prefix": "Inference"}]}


class Announcements:
    """The events heard so far, each once: a copy of an announcement has the same event id."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[str, str]] = {}

    def add(self, event: dict) -> None:
        detail = event["detail"]
        self._heard[detail["event_id"]] = (event["detail-type"], f"{detail['tenant']}#{detail['request_id']}")

    def counts(self) -> Counter[str]:
        return Counter(detail_type for detail_type, _ in self._heard.values())

    def requests(self) -> set[str]:
        """The keys of the requests that were announced."""
        return {request_key for _, request_key in self._heard.values()}

    def __len__(self) -> int:
        return len(self._heard)


@contextmanager
def listening(target: Target) -> Iterator[Announcements]:
    """Hear which outcomes are announced on the embedded AWS's bus while the block runs."""
    sqs, events, bus = target.client("sqs"), target.client("events"), target.outputs["EventBusName"]
    queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=NAME, EventBusName=bus, EventPattern=json.dumps(_OUTCOMES))
    events.put_targets(Rule=NAME, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    heard, over = Announcements(), threading.Event()

    def drain() -> None:
        while not over.is_set():
            found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            for message in found:
                heard.add(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            if not found:
                over.wait(0.3)

    listener = threading.Thread(target=drain, name="announcements", daemon=True)
    listener.start()
    try:
        yield heard
    finally:
        over.set()
        listener.join(5)
        events.remove_targets(Rule=NAME, EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name=NAME, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue)
