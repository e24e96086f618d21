"""Cache table: where a released answer stands, by its question's key; the words stay with the request."""

import os

from adapters import requests_table
from adapters.dynamodb import client, get
from domain.requests import Status


def find(key: str) -> dict | None:
    """The request whose answer was released for this question, if it is still kept."""
    pointer = get(_table(), {"answer_key": key})
    record = requests_table.find(pointer["request_key"]) if pointer else None
    return record if record and record["status"] == Status.COMPLETED else None


def keep(record: dict) -> None:
    """Have a question's key lead to the request that answered it."""
    item = {name: record[name] for name in ("answer_key", "request_key", "expires_at")}
    client.put_item(TableName=_table(), Item=item)


def _table() -> str:
    return os.environ["CACHE_TABLE"]
