"""The DynamoDB client, with Python values in and out, whole reads, and transactions that name what stopped them."""

import random
import re
import time
from decimal import Decimal
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import boto3
from boto3.dynamodb.transform import DynamoDBHighLevelResource
from boto3.dynamodb.types import TypeDeserializer

from domain.errors import TableContended


class _OfClient:
    def __init__(self, client: Any):
        self.meta = SimpleNamespace(client=client)


class _PythonValues(DynamoDBHighLevelResource, _OfClient):
    """Has a client take and give Python values instead of typed attributes, as the resource's own client does.

    Making the whole resource costs a twentieth of a cold start.
    """


client = boto3.client("dynamodb")
_PythonValues(client)

CONTENDED = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
ATTEMPTS = 4
BACKOFF_SECONDS = 0.02
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_KEY_BYTES = 2048
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
MAX_BATCH_KEYS = 100

_NAME = re.compile(r"#(\w+)")
_deserialize = TypeDeserializer().deserialize


class ConditionFailed(Exception):
    """A write's condition did not hold; `index` is the first such action, `item` what stood there."""

    def __init__(self, index: int, item: dict | None):
        super().__init__(f"condition of action {index} did not hold")
        self.index, self.item = index, item


def transact(actions: list[dict]) -> None:
    """Write all actions or none; raises ConditionFailed, or TableContended after ATTEMPTS."""
    for attempt in range(ATTEMPTS):
        try:
            client.transact_write_items(TransactItems=actions)
            return
        except client.exceptions.TransactionCanceledException as error:
            reasons = error.response["CancellationReasons"]
            for index, reason in enumerate(reasons):
                if reason["Code"] == "ConditionalCheckFailed":
                    raise ConditionFailed(index, _plain(reason.get("Item"))) from error
            if not any(reason["Code"] in CONTENDED for reason in reasons):
                raise
        except client.exceptions.TransactionInProgressException:
            pass
        time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))
    raise TableContended(f"{ATTEMPTS} attempts met other writers of the same items")


def update(
    table: str,
    key: dict,
    condition: str = "",
    values: dict | None = None,
    *,
    set: dict | None = None,
    add: dict | None = None,
    remove: tuple[str, ...] = (),
) -> dict:
    """An Update action: attributes to set, add to and remove; the condition writes names #so and values :so."""
    expression, names = _expression(tuple(set or ()), tuple(add or ()), remove, condition)
    action = {
        "TableName": table,
        "Key": key,
        "UpdateExpression": expression,
        "ExpressionAttributeNames": dict(names),
    }
    if condition:
        action |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if bound := {**(set or {}), **(add or {}), **(values or {})}:
        action["ExpressionAttributeValues"] = {f":{name}": value for name, value in bound.items()}
    return {"Update": action}


def updated(action: dict) -> bool:
    """Carry out an Update action by itself; False where its condition did not hold."""
    try:
        client.update_item(**action["Update"])
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def put(table: str, item: dict, key_name: str) -> dict:
    """A Put action, of an item that must be new."""
    return {
        "Put": {
            "TableName": table,
            "Item": item,
            "ConditionExpression": f"attribute_not_exists({key_name})",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def get(table: str, key: dict) -> dict | None:
    """The item, if there is one; a key no item can have is asked of us by a caller, not of the table."""
    if any(len(value.encode(errors="replace")) > MAX_KEY_BYTES for value in key.values()):
        return None
    return client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")


def get_many(table: str, keys: list[dict], consistent: bool = False) -> list[dict]:
    """The items there are, in no order; raises TableContended if a batch is not given whole within ATTEMPTS."""
    found: list[dict] = []
    for start in range(0, len(keys), MAX_BATCH_KEYS):
        batch = {"Keys": keys[start : start + MAX_BATCH_KEYS], "ConsistentRead": consistent}
        found += _get_batch(table, {table: batch})
    return found


def decimal(value: float) -> Decimal:
    """A float as DynamoDB keeps numbers."""
    return Decimal(str(value))


def as_item(value: dict) -> dict:
    """A map of JSON in the numbers of DynamoDB."""
    return {name: decimal(each) if isinstance(each, float) else each for name, each in value.items()}


def as_json(item: dict | None) -> dict | None:
    """A stored map in the numbers of JSON: the same text as before it was stored."""
    if item is None:
        return None
    return {name: _number(value) if isinstance(value, Decimal) else value for name, value in item.items()}


@lru_cache(maxsize=256)
def _expression(
    set: tuple[str, ...], add: tuple[str, ...], remove: tuple[str, ...], condition: str
) -> tuple[str, dict[str, str]]:
    """An update's expression, and the names of attributes that it and its condition write with #."""
    clauses = []
    if set:
        clauses.append("SET " + ", ".join(f"#{name} = :{name}" for name in set))
    if add:
        clauses.append("ADD " + ", ".join(f"#{name} :{name}" for name in add))
    if remove:
        clauses.append("REMOVE " + ", ".join(f"#{name}" for name in remove))
    expression = " ".join(clauses)
    return expression, {f"#{name}": name for name in _NAME.findall(f"{expression} {condition}")}


def _get_batch(table: str, wanted: dict) -> list[dict]:
    found: list[dict] = []
    for attempt in range(ATTEMPTS):
        result = client.batch_get_item(RequestItems=wanted)
        found += result["Responses"].get(table, [])
        wanted = result.get("UnprocessedKeys")
        if not wanted:
            return found
        time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))
    raise TableContended(f"{ATTEMPTS} attempts did not read all of a batch")


def _plain(item: dict | None) -> dict | None:
    """Errors carry items as typed attributes, which the client does not translate."""
    return item and {name: _deserialize(value) for name, value in item.items()}


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
