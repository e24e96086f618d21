"""The dead-letter queue: what could not be processed, with the reason, until an operator replays it."""

import json
import os

import boto3

client = boto3.client("sqs")


def park(kind: str, body: dict | str, reason: str) -> None:
    """Keep a poison event ('event') or an outcome that could not be announced ('outcome')."""
    client.send_message(
        QueueUrl=os.environ["DEAD_LETTER_QUEUE"],
        MessageBody=body if isinstance(body, str) else json.dumps(body, ensure_ascii=False),
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in (("kind", kind), ("reason", reason))
        },
    )
