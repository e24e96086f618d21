"""Gap of moto 5.2: each page of a Scan sorts the whole table and copies what it reads before it filters.

Bridged for tables with a hash key alone: a Scan, or a segment of one, reads keys in the order of their hashes, in pages
of 1 MB. A start key whose item is gone leads on to what comes behind it. A Scan of an index or of the old kind
(ScanFilter) stays moto's. moto has closed the gap when Table.scan no longer calls all_items.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html
"""

import copy
import hashlib
import inspect
from bisect import bisect_left, bisect_right
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from bulwark.local.dynamodb.queries import PAGE_BYTES
from bulwark.local.dynamodb.sizes import item_size
from bulwark.local.moto_names import replace

_HASH_BITS = 64

Page = tuple[list[Item], int, dict[str, Any] | None]
Place = tuple[int, DynamoType]

_orders: WeakKeyDictionary[Table, list[Place]] = WeakKeyDictionary()


def install() -> None:
    replace("moto.dynamodb.models.table:Table.scan", _scanning(Table.scan))


def _scanning(by_sorting: Any) -> Any:
    signature = inspect.signature(by_sorting)

    def scan(*arguments: Any, **options: Any) -> Page:
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        asked = SimpleNamespace(**bound.arguments)
        if asked.index_name or asked.filters or asked.self.range_key_attr:
            return by_sorting(*arguments, **options)
        return _page(asked)

    return scan


def _page(asked: SimpleNamespace) -> Page:
    table: Table = asked.self
    segment, segments = asked.segments if asked.segments != (None, None) else (0, 1)
    start = asked.exclusive_start_key
    if start is None or table not in _orders:
        # As on AWS, what is written while a Scan runs may be read or not.
        _orders[table] = sorted(map(_place, list(table.items)), key=lambda place: place[0])
    places = _orders[table]
    low = bisect_left(places, -(-(segment << _HASH_BITS) // segments), key=_hash)
    high = bisect_left(places, -(-((segment + 1) << _HASH_BITS) // segments), key=_hash)
    if start is not None:
        low = max(low, bisect_right(places, _place(DynamoType(start[table.hash_key_attr]))[0], key=_hash))
    kept: list[Item] = []
    size, scanned, last = 0, 0, None
    for _, key in places[low:high]:
        if key not in table.items:
            continue
        item = copy.deepcopy(table.items[key])
        weight = item_size(item.attrs)
        if scanned and size + weight > PAGE_BYTES:
            break
        size, scanned, last = size + weight, scanned + 1, item
        if asked.filter_expression is None or asked.filter_expression.expr(item):
            projected = asked.projection_expression
            kept.append(item.project(projected) if projected else item)
        if scanned == asked.limit:
            break
    else:
        last = None
    return kept, scanned, table._get_last_evaluated_key(last, None) if last else None


def _place(key: DynamoType) -> Place:
    return int.from_bytes(hashlib.md5(str(key.value).encode(), usedforsecurity=False).digest()[:8]), key


def _hash(place: Place) -> int:
    return place[0]
