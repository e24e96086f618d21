"""Requests' records, read without a word of prompt or answer: what happened, not what was said."""

from collections.abc import Iterable, Iterator
from typing import Any

from bulwark.cli.target import Target

SHOWN = [
    "request_key",
    "tenant",
    "request_id",
    "use_case",
    "status",
    "reason",
    "message",
    "field",
    "channel",
    "body_digest",
    "execution_name",
    "admitted_at",
    "held_at",
    "outcome_at",
    "decided_by",
    "model",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "confidence",
    "signals",
    "findings",
    "review_id",
    "due_at",
    "policy_version",
    "prompt_version",
    "source_event_id",
    "stop_reason",
    "usage",
    "guardrail",
]
_BATCH = 100


def read_records(target: Target, keys: Iterable[str]) -> dict[str, dict]:
    """The records that exist of these keys."""
    client, table, found = target.client("dynamodb"), target.outputs["RequestsTable"], {}
    wanted = list(dict.fromkeys(keys))
    for start in range(0, len(wanted), _BATCH):
        batch: Any = {
            table: {
                "Keys": [{"request_key": {"S": key}} for key in wanted[start : start + _BATCH]],
                **projection(),
            }
        }
        while batch:
            answer = client.batch_get_item(RequestItems=batch)
            found |= {record["request_key"]: record for record in map(plain, answer["Responses"].get(table, ()))}
            batch = answer.get("UnprocessedKeys")
    return found


def scan_records(target: Target, most: int) -> Iterator[dict]:
    """Up to so many records, in no order; the table has no index by time, since only a person ever asks."""
    pages = target.client("dynamodb").get_paginator("scan")
    asked = {"TableName": target.outputs["RequestsTable"], **projection()}
    for page in pages.paginate(**asked, PaginationConfig={"MaxItems": most}):
        yield from map(plain, page["Items"])


def projection(names: list[str] = SHOWN) -> dict:
    return {
        "ProjectionExpression": ", ".join(f"#{name}" for name in names),
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
    }


def typed(item: dict) -> dict:
    """An item as a table takes it."""
    from boto3.dynamodb.types import TypeSerializer

    return {name: TypeSerializer().serialize(value) for name, value in item.items()}


def plain(item: dict) -> dict:
    from boto3.dynamodb.types import TypeDeserializer

    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}
