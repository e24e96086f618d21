"""Expired items of the tables: found by a scan of a segment, deleted a hundred at a time if nobody prolonged them."""

import os
import re
import time

from botocore.exceptions import ClientError

from adapters import payloads
from adapters.dynamodb import ATTEMPTS, BACKOFF_SECONDS, CONTENDED, client
from domain.errors import TableContended
from domain.governance.retention import UNKNOWN_CLASS, Deletion, Expired, Page, Store, Unit

# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
MOST_ACTIONS = 100
# A page of small items has ten thousand of them: too many to delete in what may be left of a call.
PAGE_ITEMS = 2_000
_KEYS = {
    Store.REQUESTS: "request_key",
    Store.REVIEWS: "review_id",
    Store.CACHE: "answer_key",
    Store.CONTROL: "control_key",
}
_REFS = ("payload_ref", "answer_ref", "retrieved_ref", "draft_ref")
# Objects whose name has a day in it go with that day; one of these is known by its record alone.
_UNDATED = re.compile(r"requests/[0-9a-f]{64}/")
# Of a transaction: one of its items is at fault, or all of them together are too large.
_DIVIDED = ("ValidationException", "ConditionalCheckFailed", "ItemCollectionSizeLimitExceeded", "ValidationError")


def count(store: Store) -> int:
    """About how many items a table has: DynamoDB counts them every six hours."""
    return client.describe_table(TableName=_table(store))["Table"]["ItemCount"]


def page(unit: Unit, cursor: str, now: float) -> Page:
    """The expired items of one page of a segment; an item that has no end, since it is held, is none of them."""
    key_name = _KEYS[unit.store]
    names = (key_name, "expires_at", "retention_class", *_REFS)
    found = client.scan(
        TableName=_table(unit.store),
        Limit=PAGE_ITEMS,
        Segment=unit.segment,
        TotalSegments=unit.segments,
        FilterExpression="#expires_at <= :now",
        ProjectionExpression=", ".join(f"#{name}" for name in names),
        ExpressionAttributeNames={f"#{name}": name for name in names},
        ExpressionAttributeValues={":now": int(now)},
        **({"ExclusiveStartKey": {key_name: cursor}} if cursor else {}),
    )
    expired = [_expired(unit.store, item[key_name], item) for item in found["Items"]]
    return Page(expired, found["ScannedCount"], found.get("LastEvaluatedKey", {}).get(key_name, ""))


def delete(unit: Unit, expired: list[Expired]) -> Deletion:
    """Delete items that still end when they did, then the objects that are known by them alone.

    The item goes first: a hold that was set meanwhile has then either kept both or neither.
    """
    deletion = Deletion()
    for start in range(0, len(expired), MOST_ACTIONS):
        _delete(unit.store, expired[start : start + MOST_ACTIONS], deletion)
    gone = [each for each in expired if each.key not in deletion.kept and each.key not in deletion.failed]
    of = {name: each.key for each in gone for name in each.objects}
    for name, error in payloads.delete(list(of)).items():
        deletion.failed[of[name]] = error
    return deletion


def _expired(store: Store, key: str, item: dict) -> Expired:
    if store == Store.CONTROL:
        kept_as = key.partition("#")[0]
    else:
        kept_as = "cache" if store == Store.CACHE else item.get("retention_class", UNKNOWN_CLASS)
    objects = tuple(item[name] for name in _REFS if _UNDATED.match(item.get(name, "")))
    return Expired(key, int(item["expires_at"]), kept_as, objects)


def _delete(store: Store, items: list[Expired], deletion: Deletion) -> None:
    """Delete a batch; where one of it is at fault, halves of it, down to that one."""
    for attempt in range(ATTEMPTS):
        if not items:
            return
        try:
            client.transact_write_items(TransactItems=[_action(store, each) for each in items])
            return
        except client.exceptions.TransactionCanceledException as error:
            codes = [reason["Code"] for reason in error.response["CancellationReasons"]]
            fault = next((code for code in codes if code not in {"None", "ConditionalCheckFailed", *CONTENDED}), None)
            prolonged = {each.key for each, code in zip(items, codes, strict=True) if code == "ConditionalCheckFailed"}
            deletion.kept |= prolonged
            items = [each for each in items if each.key not in prolonged]
        except client.exceptions.TransactionInProgressException:
            fault = None
        except ClientError as error:
            if error.response["Error"]["Code"] not in _DIVIDED:
                raise
            fault = error.response["Error"]["Code"]
        if fault:
            if len(items) == 1:
                deletion.failed[items[0].key] = fault
                return
            middle = len(items) // 2
            _delete(store, items[:middle], deletion)
            _delete(store, items[middle:], deletion)
            return
        time.sleep(BACKOFF_SECONDS * 2**attempt)
    raise TableContended(f"{ATTEMPTS} attempts met other writers of the same items")


def _action(store: Store, each: Expired) -> dict:
    return {
        "Delete": {
            "TableName": _table(store),
            "Key": {_KEYS[store]: each.key},
            # Whoever prolonged or held it meanwhile changed this; what TTL took meanwhile has none.
            "ConditionExpression": "#expires_at = :seen OR attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#expires_at": "expires_at", "#key": _KEYS[store]},
            "ExpressionAttributeValues": {":seen": each.expires_at},
        }
    }


def _table(store: Store) -> str:
    return {
        Store.REQUESTS: os.environ["REQUESTS_TABLE"],
        Store.REVIEWS: os.environ["REVIEWS_TABLE"],
        Store.CACHE: os.environ["CACHE_TABLE"],
        Store.CONTROL: os.environ["CONTROL_TABLE"],
    }[store]
