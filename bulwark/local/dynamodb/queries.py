"""Gap of moto 5.2: a Query sorts the whole table, says nothing of more where it stopped at Limit, and costs one unit.

Bridged: each table and index keeps its keys in order, so that a Query costs what it reads; it gives a LastEvaluatedKey
whenever Limit ended it, reads pages of 1 MB, takes a start key of its own partition only, and consumes by the bytes it
evaluated. A Query of the old kind (QueryFilter) or by binary or multi-attribute keys stays moto's. moto has closed the
gap when Table.query no longer calls all_items.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html
"""

import copy
import inspect
import math
import threading
from bisect import bisect_left, bisect_right
from collections import defaultdict
from operator import itemgetter
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import SecondaryIndex, Table
from moto.dynamodb.responses import DynamoHandler

from bulwark.local.dynamodb.sizes import item_size
from bulwark.local.moto_names import replace, require

PAGE_BYTES = 1_048_576
UNIT_BYTES = 4096

Key = tuple[DynamoType, DynamoType | None]
Sort = tuple[Any, ...]
Entry = tuple[Sort, Key]
Page = tuple[list[Item], int, dict[str, Any] | None]

_orders: WeakKeyDictionary[Table, dict[tuple[Any, ...], "_Order"]] = WeakKeyDictionary()
_last_read = threading.local()
_sort_of = itemgetter(0)
_COMPARISONS = (None, "=", "<", "<=", ">", ">=", "BETWEEN", "BEGINS_WITH")


def install() -> None:
    table = "moto.dynamodb.models.table:Table"
    require(f"{table}._get_last_evaluated_key", "moto.dynamodb.models.table:SecondaryIndex.project")
    put, delete = Table.put_item, Table.delete_item

    def put_item(table: Table, *arguments: Any, **options: Any) -> Item:
        item = put(table, *arguments, **options)
        note_change(table, (item.hash_key, item.range_key))
        return item

    def delete_item(table: Table, hash_key: DynamoType, range_key: DynamoType | None) -> Item | None:
        note_change(table, (hash_key, range_key))
        return delete(table, hash_key, range_key)

    replace(f"{table}.put_item", put_item)
    replace(f"{table}.delete_item", delete_item)
    replace(f"{table}.query", _querying(Table.query))
    replace("moto.dynamodb.responses:DynamoHandler.query", _metered(DynamoHandler.query))


def note_change(table: Table, key: Key) -> None:
    """Have an item's place looked up again before the next Query, under the lock of its table."""
    for order in _orders.get(table, {}).values():
        order.changed.add(key)


class _Order:
    """The keys of a table, or of one of its indexes, by partition and in the order in which a Query reads them."""

    def __init__(self, table: Table, index: SecondaryIndex | None) -> None:
        schema = index.schema if index else table.schema
        self.hash = next(key["AttributeName"] for key in schema if key["KeyType"] == "HASH")
        self.range = next((key["AttributeName"] for key in schema if key["KeyType"] == "RANGE"), None)
        # In an index, items of the same key are ordered by the table's.
        own = [self.range] if self.range else []
        self._sorted_by = [*own, *(table.table_key_attrs if index else [])]
        self._types = {each["AttributeName"]: each["AttributeType"] for each in table.attr}
        self._projected = _projected(table, index)
        self._places: dict[Key, tuple[Any, Sort]] = {}
        self._partitions: dict[Any, list[Entry]] = {}
        self.changed: set[Key] = set()
        self._build(table)

    def partition(self, table: Table, value: Any) -> list[Entry]:
        """The entries of a hash key, as the table is now."""
        if len(self.changed) > len(self._places) / 2:
            self._build(table)
        while self.changed:
            self._move(table, self.changed.pop())
        return self._partitions.get(value, [])

    def place(self, attributes: dict[str, DynamoType]) -> tuple[Any, Sort] | None:
        """The hash key and the position that attributes give, or none where one is missing or of another type."""
        names = (self.hash, *self._sorted_by)
        found = [attributes[name] for name in names if name in attributes]
        if [each.type for each in found] != [self._types[name] for name in names]:
            return None
        partition, *sort = (value.cast_value for value in found)
        return partition, tuple(sort)

    def values(self, name: str, given: list[DynamoType]) -> list[Any]:
        """The values to compare a key with."""
        if any(each.type != self._types[name] for each in given):
            raise MockValidationException(
                "One or more parameter values were invalid: Condition parameter type does not match schema type"
            )
        return [each.cast_value for each in given]

    def read(self, table: Table, key: Key) -> Item:
        """A copy of an item, with what the index has of it."""
        item = table.get_item(*key)
        if self._projected is None:
            return copy.deepcopy(item)
        seen = Item(item.hash_key, item.range_key, {})
        seen.attrs.update({name: copy.deepcopy(item.attrs[name]) for name in self._projected if name in item.attrs})
        return seen

    def _build(self, table: Table) -> None:
        self.changed.clear()
        self._places.clear()
        partitions: dict[Any, list[Entry]] = defaultdict(list)
        for held in list(table.items.values()):
            for item in list(held.values()) if table.range_key_attr else [held]:
                if place := self.place(item.attrs):
                    key = (item.hash_key, item.range_key)
                    self._places[key] = place
                    partitions[place[0]].append((place[1], key))
        for entries in partitions.values():
            entries.sort(key=_sort_of)
        self._partitions = dict(partitions)

    def _move(self, table: Table, key: Key) -> None:
        item = table.get_item(*key)
        before, after = self._places.pop(key, None), self.place(item.attrs) if item else None
        if before:
            entries = self._partitions[before[0]]
            del entries[bisect_left(entries, before[1], key=_sort_of)]
        if after:
            entries = self._partitions.setdefault(after[0], [])
            entries.insert(bisect_left(entries, after[1], key=_sort_of), (after[1], key))
            self._places[key] = after


def _projected(table: Table, index: SecondaryIndex | None) -> set[str] | None:
    """The attributes that an index holds; None for all."""
    projection = (index.projection or {}) if index else {}
    if projection.get("ProjectionType", "ALL") == "ALL":
        return None
    return {*table.table_key_attrs, *index.schema_key_attrs, *projection.get("NonKeyAttributes", [])}


def _querying(by_sorting: Any) -> Any:
    signature = inspect.signature(by_sorting)

    def query(*arguments: Any, **options: Any) -> Page:
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        asked = SimpleNamespace(**bound.arguments)
        order = _order_for(asked)
        if order is None:
            _last_read.bytes = None
            return by_sorting(*arguments, **options)
        return _page(asked, order)

    return query


def _order_for(asked: SimpleNamespace) -> _Order | None:
    """The order that answers a query, or none for a query that is left to moto."""
    table: Table = asked.self
    index = {each.name: each for each in table.all_indexes()}.get(asked.index_name)
    schema = index.schema if index else table.schema
    kinds = sorted(key["KeyType"] for key in schema)
    types = {each["AttributeName"]: each["AttributeType"] for each in table.attr}
    keys = {key["AttributeName"] for key in schema} | set(table.table_key_attrs)
    beyond = (
        asked.filter_kwargs
        or (asked.index_name and index is None)
        or (asked.consistent_read and index in table.global_indexes)
        or kinds not in (["HASH"], ["HASH", "RANGE"])
        or any(types.get(name) not in ("S", "N") for name in keys)
        or asked.range_comparison not in _COMPARISONS
        or (asked.range_comparison and "RANGE" not in kinds)
    )
    if beyond:
        return None
    orders = _orders.setdefault(table, {})
    identity = (asked.index_name, *sorted(keys))
    if identity not in orders:
        orders[identity] = _Order(table, index)
    return orders[identity]


def _page(asked: SimpleNamespace, order: _Order) -> Page:
    table: Table = asked.self
    (partition,) = order.values(order.hash, [asked.hash_key])
    entries = order.partition(table, partition)
    low, high = _span(entries, asked, order)
    read: list[Item] = []
    size, more = 0, False
    for position in range(low, high) if asked.scan_index_forward else range(high - 1, low - 1, -1):
        item = order.read(table, entries[position][1])
        weight = item_size(item.attrs)
        if more := bool(read) and size + weight > PAGE_BYTES:
            break
        read.append(item)
        size += weight
        if more := len(read) == asked.limit:
            break
    _last_read.bytes = size
    last = table._get_last_evaluated_key(read[-1], asked.index_name) if more else None
    kept = [item for item in read if asked.filter_expression is None or asked.filter_expression.expr(item)]
    if asked.projection_expressions:
        kept = [item.project(asked.projection_expressions) for item in kept]
    return kept, len(read), last


def _span(entries: list[Entry], asked: SimpleNamespace, order: _Order) -> tuple[int, int]:
    """Where in a partition a query begins and ends."""
    low, high = _within(entries, asked.range_comparison, asked.range_objs, order)
    if asked.exclusive_start_key is None:
        return low, high
    start = order.place({name: DynamoType(value) for name, value in asked.exclusive_start_key.items()})
    if start is None or start[0] != asked.hash_key.cast_value:
        raise MockValidationException("The provided starting key is invalid")
    if asked.scan_index_forward:
        return max(low, bisect_right(entries, start[1], key=_sort_of)), high
    return low, min(high, bisect_left(entries, start[1], key=_sort_of))


def _within(entries: list[Entry], comparison: str | None, given: list[DynamoType], order: _Order) -> tuple[int, int]:
    if comparison is None:
        return 0, len(entries)

    def first(entry: Entry) -> Any:
        return entry[0][0]

    values = order.values(order.range or "", given)
    before = bisect_left(entries, values[0], key=first)
    after = bisect_right(entries, values[-1], key=first)
    if comparison == "BEGINS_WITH":
        prefix = str(values[0])
        return before, bisect_left(entries, True, before, key=lambda entry: not str(first(entry)).startswith(prefix))
    return {
        "=": (before, after),
        "BETWEEN": (before, after),
        "<": (0, before),
        "<=": (0, after),
        ">": (after, len(entries)),
        ">=": (before, len(entries)),
    }[comparison]


def _metered(call: Any) -> Any:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html"""

    def query(handler: Any) -> Any:
        _last_read.bytes = None
        result = call(handler)
        consumed, index = result.result.get("ConsumedCapacity"), handler.body.get("IndexName")
        if consumed is None or _last_read.bytes is None:
            return result
        per_unit = 1.0 if handler.body.get("ConsistentRead") else 0.5
        units = max(1, math.ceil(_last_read.bytes / UNIT_BYTES)) * per_unit
        consumed["CapacityUnits"] = units
        if "Table" in consumed and index:
            table = handler.dynamodb_backend.get_table(handler.body["TableName"])
            is_global = index in {each.name for each in table.global_indexes}
            kind = "GlobalSecondaryIndexes" if is_global else "LocalSecondaryIndexes"
            consumed.pop("LocalSecondaryIndexes", None)
            consumed |= {"Table": {"CapacityUnits": 0.0}, kind: {index: {"CapacityUnits": units}}}
        elif "Table" in consumed:
            consumed["Table"] = {"CapacityUnits": units}
        return result

    return query
