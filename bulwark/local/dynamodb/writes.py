"""Gap of moto 5.2: calls read and change items under one another's hands, and a failed update leaves half behind.

Bridged: a call holds its tables' locks from its condition to its answer; a write that fails leaves the item as it was;
an item may have 400 KB exactly. moto has closed the gap when eight threads that each add one to a number a hundred
times make it eight hundred, and UpdateItem of an item that grows too large changes nothing.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

from moto.dynamodb.exceptions import ItemSizeTooLarge, ItemSizeToUpdateTooLarge
from moto.dynamodb.models import DynamoDBBackend, Table
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.responses import DynamoHandler

from bulwark.local.dynamodb import queries, rest, streams
from bulwark.local.dynamodb.locks import locked
from bulwark.local.dynamodb.sizes import ITEM_LIMIT, item_size
from bulwark.local.moto_names import replace, require

_CALLS = (
    "batch_get_item", "batch_write_item", "delete_item", "get_item", "put_item", "query", "scan",
    "transact_get_items", "transact_write_items", "update_item",
)  # fmt: skip


def install() -> None:
    for name in _CALLS:
        target = f"moto.dynamodb.responses:DynamoHandler.{name}"
        require(target)
        replace(target, _one_at_a_time(getattr(DynamoHandler, name)))
    backend = "moto.dynamodb.models:DynamoDBBackend"
    for name in ("put_item", "update_item", "delete_item"):
        require(f"{backend}.{name}")
        replace(f"{backend}.{name}", _whole(getattr(DynamoDBBackend, name), name))
    # moto measures the item again at each attribute, and stops 4.6 KB short of DynamoDB's limit.
    replace("moto.dynamodb.models.dynamo_type:LimitedSizeDict.__setitem__", _set_attribute)


def _set_attribute(self: dict[str, Any], name: str, value: Any) -> None:
    # Each request spells the names of its attributes anew; stored, they are few.
    dict.__setitem__(self, sys.intern(name), value)


def tables_of(body: dict[str, Any]) -> set[str]:
    """The tables that a request names."""
    if "TransactItems" in body:
        return {next(iter(action.values()))["TableName"] for action in body["TransactItems"]}
    return set(body["RequestItems"]) if "RequestItems" in body else {body["TableName"]}


def key_of(table: Table, attributes: dict[str, Any]) -> tuple[DynamoType, DynamoType | None] | None:
    """The key within an item's or a key's attributes, if it is all there."""
    names = [table.hash_key_attr, *([table.range_key_attr] if table.range_key_attr else [])]
    if not all(isinstance(attributes.get(name), dict) and attributes[name] for name in names):
        return None
    values = [DynamoType(attributes[name]) for name in names]
    return values[0], values[1] if len(values) > 1 else None


@contextmanager
def undone_on_failure(table: Table, key: tuple[DynamoType, DynamoType | None] | None) -> Iterator[None]:
    """Put the item back as it was if what is done to it fails."""
    before = rest.open_for_write(_stored(table, key)) if key else None
    try:
        yield
    except BaseException:
        if key:
            _put_back(table, key, before)
        raise
    finally:
        if key:
            rest.lay(_stored(table, key))
            queries.note_change(table, key)


def check_size(table: Table, key: tuple[DynamoType, DynamoType | None] | None, error: Callable[[], Exception]) -> None:
    """Refuse an item over DynamoDB's limit."""
    item = _stored(table, key) if key else None
    if item is not None and item_size(item.attrs) > ITEM_LIMIT:
        raise error()


def _one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def inner(handler: Any) -> Any:
        with locked(tables_of(handler.body)):
            return call(handler)

    return inner


def _whole(write: Callable[..., Any], name: str) -> Callable[..., Any]:
    too_large = ItemSizeToUpdateTooLarge if name == "update_item" else ItemSizeTooLarge

    @wraps(write)
    def inner(backend: DynamoDBBackend, table_name: str, *arguments: Any, **options: Any) -> Any:
        table = backend.get_table(table_name)
        attributes = arguments[0] if arguments else options.get("item_attrs") or options.get("key") or {}
        key = key_of(table, attributes)
        perform = partial(write, backend, table_name, *arguments, **options)
        with locked([table.name]), streams.one_record_each() as write_records, undone_on_failure(table, key):
            result = perform()
            check_size(table, key, too_large)
            write_records()
            return result

    return inner


def _stored(table: Table, key: tuple[DynamoType, DynamoType | None]) -> Item | None:
    hash_key, range_key = key
    if range_key is None:
        return table.items.get(hash_key)
    return table.items[hash_key].get(range_key) if hash_key in table.items else None


def _put_back(table: Table, key: tuple[DynamoType, DynamoType | None], item: Item | None) -> None:
    hash_key, range_key = key
    holder, name = (table.items, hash_key) if range_key is None else (table.items[hash_key], range_key)
    if item is None:
        holder.pop(name, None)
    else:
        holder[name] = item
