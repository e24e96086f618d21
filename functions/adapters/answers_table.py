"""Cache table: where a released answer stands, by its question's key; the words stay with the request."""

import os

from adapters import requests_table
from adapters.dynamodb import get
from domain.requests import Status


def find(key: str) -> dict | None:
    """The request whose answer was released for this question, if it is still kept."""
    pointer = get(_table(), {"answer_key": key})
    record = requests_table.find(pointer["request_key"]) if pointer else None
    return record if record and record["status"] == Status.COMPLETED else None


def pointed(key: str, request_key: str, expires_at: int) -> dict:
    """An action that has a question's key lead to a request, for the transaction that releases its answer."""
    return {
        "Put": {
            "TableName": _table(),
            "Item": {"answer_key": key, "request_key": request_key, "expires_at": expires_at},
        }
    }


def _table() -> str:
    return os.environ["CACHE_TABLE"]
