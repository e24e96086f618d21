"""Gap of moto 5.2: a transaction copies its tables, and when it fails puts the copies over what others wrote.

Bridged: under the tables' locks every condition is checked first, then everything is applied or nothing; a repeated
ClientRequestToken does nothing twice. moto has closed the gap when transact_write_items no longer deep-copies a Table.
"""

import copy
import hashlib
import json
import threading
import time
from contextlib import ExitStack
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ERROR_TYPE_PREFIX,
    DynamodbException,
    MockValidationException,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.responses import DynamoHandler

from bulwark.local.dynamodb import streams
from bulwark.local.dynamodb.locks import locked
from bulwark.local.dynamodb.sizes import TRANSACTION_ACTIONS, TRANSACTION_LIMIT, item_size
from bulwark.local.dynamodb.writes import key_of, tables_of, undone_on_failure
from bulwark.local.moto_names import replace

_REMEMBERED_SECONDS = 600
_CONDITION_FAILED = "The conditional request failed"
Reason = tuple[str | None, str | None, dict[str, Any] | None]


def install() -> None:
    replace("moto.dynamodb.models:DynamoDBBackend.transact_write_items", transact_write_items)
    within_locks = DynamoHandler.transact_write_items
    done = _Tokens()

    def transact_once(handler: DynamoHandler) -> Any:
        token = handler.body.get("ClientRequestToken")
        if token is None:
            return within_locks(handler)
        with locked(tables_of(handler.body)):
            actions = handler.body["TransactItems"]
            if done.knows(token, actions):
                # An empty transaction answers as a successful one.
                handler.body = {**handler.body, "TransactItems": []}
                return within_locks(handler)
            result = within_locks(handler)
            done.remember(token, actions)
            return result

    replace("moto.dynamodb.responses:DynamoHandler.transact_write_items", transact_once)


def transact_write_items(backend: DynamoDBBackend, actions: list[dict[str, Any]]) -> None:
    """Apply every action, or none."""
    if len(actions) > TRANSACTION_ACTIONS:
        raise TooManyTransactionsException()
    parsed = [_parsed(action) for action in actions]
    with locked(operation["TableName"] for _, operation in parsed):
        keys = [_key(backend, kind, operation) for kind, operation in parsed]
        unique = {(operation["TableName"], key) for (_, operation), key in zip(parsed, keys, strict=True)}
        if len(unique) < len(keys):
            raise MultipleTransactionsException()
        _raise_if_any([_condition_reason(backend, *each, key) for each, key in zip(parsed, keys, strict=True)])
        with streams.one_record_each() as write_records, ExitStack() as undoing:
            reasons: list[Reason] = []
            total = 0
            for (kind, operation), key in zip(parsed, keys, strict=True):
                table = backend.get_table(operation["TableName"])
                undoing.enter_context(undone_on_failure(table, key))
                reasons.append(_apply(backend, kind, operation))
                item = table.get_item(*key)
                total += item_size(item.attrs) if item else 0
            _raise_if_any(reasons)
            if total > TRANSACTION_LIMIT:
                raise MockValidationException("Transaction request size exceeds the limit of 4 MB")
            write_records()


def _parsed(action: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if len(action) != 1:
        raise TransactWriteSingleOpException
    ((kind, operation),) = action.items()
    return kind, operation


def _key(backend: DynamoDBBackend, kind: str, operation: dict[str, Any]) -> tuple[Any, Any]:
    table = backend.get_table(operation["TableName"])
    key = key_of(table, operation["Item"] if kind == "Put" else operation["Key"])
    if key is None:
        raise MockValidationException("The provided key element does not match the schema")
    return key


def _condition_reason(backend: DynamoDBBackend, _: str, operation: dict[str, Any], key: tuple[Any, Any]) -> Reason:
    expression = operation.get("ConditionExpression")
    if expression is None:
        return None, None, None
    current = copy.deepcopy(backend.get_table(operation["TableName"]).get_item(*key))
    condition = get_filter_expression(
        expression, operation.get("ExpressionAttributeNames"), operation.get("ExpressionAttributeValues")
    )
    if condition.expr(current):
        return None, None, None
    wanted = operation.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and current is not None
    return "ConditionalCheckFailed", _CONDITION_FAILED, current.to_json()["Attributes"] if wanted else None


def _apply(backend: DynamoDBBackend, kind: str, operation: dict[str, Any]) -> Reason:
    """Perform an action whose condition holds; what is wrong with it is its reason."""
    name = operation["TableName"]
    try:
        if kind == "Put":
            backend.put_item(name, operation["Item"])
        elif kind == "Delete":
            backend.delete_item(name, operation["Key"])
        elif kind == "Update":
            backend.update_item(
                name,
                operation["Key"],
                update_expression=operation["UpdateExpression"],
                expression_attribute_names=operation.get("ExpressionAttributeNames") or {},
                expression_attribute_values=operation.get("ExpressionAttributeValues") or {},
            )
        return None, None, None
    except DynamodbException as error:
        return "ValidationError", str(error.message), None


def _raise_if_any(reasons: list[Reason]) -> None:
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)


class _Tokens:
    """The tokens of transactions that succeeded within the last ten minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: dict[str, tuple[str, float]] = {}

    def knows(self, token: str, actions: list[dict[str, Any]]) -> bool:
        with self._lock:
            digest, until = self._done.get(token, ("", 0.0))
        if until < time.monotonic():
            return False
        if digest != _digest(actions):
            raise JsonRESTError(
                f"{ERROR_TYPE_PREFIX}IdempotentParameterMismatchException",
                "A request with the same ClientRequestToken but other parameters has been made before.",
            )
        return True

    def remember(self, token: str, actions: list[dict[str, Any]]) -> None:
        now = time.monotonic()
        with self._lock:
            self._done[token] = (_digest(actions), now + _REMEMBERED_SECONDS)
            for old in [each for each, (_, until) in self._done.items() if until < now]:
                del self._done[old]


def _digest(actions: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(actions, sort_keys=True, default=repr).encode()).hexdigest()
