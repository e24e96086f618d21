"""Cache table: where a released answer stands, by its question's key; the words stay with the request."""

import os

from adapters import requests_table
from adapters.dynamodb import client, get
from domain.requests import Status

_BATCH = 25  # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html


def find(key: str, now: float) -> dict | None:
    """The request whose answer was released for this question, if it may still be given again."""
    pointer = get(_table(), {"answer_key": key})
    # DynamoDB's TTL takes an item within days, a promise ends on time.
    current = pointer and pointer["expires_at"] > now
    record = requests_table.find(pointer["request_key"]) if current else None
    # A pointer may have come late, and the request's id have been used again since.
    fits = record and record["status"] == Status.COMPLETED and record.get("answer_key") == key
    return record if fits else None


def keep(records: list[dict]) -> None:
    """Have each question's key lead to the request that answered it."""
    # One request may not hold a key twice; of two answers to a question the later one is as good.
    items = {record["answer_key"]: _pointer(record) for record in records}
    writes = [{"PutRequest": {"Item": item}} for item in items.values()]
    while writes:
        # What the table does not take now is not saved, and no more: the question will be answered afresh.
        client.batch_write_item(RequestItems={_table(): writes[:_BATCH]})
        writes = writes[_BATCH:]


def forget(key: str, request_key: str) -> bool:
    """Have a question lead to a request no more; False if it leads elsewhere, or nowhere."""
    try:
        client.delete_item(
            TableName=_table(),
            Key={"answer_key": key},
            ConditionExpression="request_key = :mine",
            ExpressionAttributeValues={":mine": request_key},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def _pointer(record: dict) -> dict:
    ends = (record[name] for name in ("cache_until", "expires_at", "held_expires_at") if name in record)
    return {"answer_key": record["answer_key"], "request_key": record["request_key"], "expires_at": next(ends)}


def _table() -> str:
    return os.environ["CACHE_TABLE"]
