"""Gap of moto 5.2: an item is a hundred objects, of which a table of ten thousand holds a million.

Bridged: between writes the attributes of a stored item are one piece of bytes, beside the names and types that it has
in common with others; a write opens its item and lays it to rest again. Whoever reads has attributes of their own, to
which a change is lost. moto has closed the gap when a thousand held answers need no more memory without this than with.
"""

import marshal
import sys
from functools import lru_cache
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

from bulwark.local.hot_paths import copied_value
from bulwark.local.moto_names import replace

Layout = tuple[tuple[str, str], ...]


def install() -> None:
    # A name that moto's class does not have: its items keep their attributes under it themselves.
    Item.attrs = property(_attributes, _set_attributes)
    replace("moto.dynamodb.models.dynamo_type:Item.__deepcopy__", _copied)


def lay(item: Item | None) -> None:
    """Put an item's attributes to rest."""
    if item is None or _rests(item):
        return
    attributes = _attributes(item)
    layout = tuple((sys.intern(name), sys.intern(value.type)) for name, value in attributes.items())
    try:
        values = marshal.dumps([_plain(value) for value in attributes.values()])
    except ValueError:
        return  # Somebody's test put what no request can carry.
    item._attributes = _shared(layout), values


def open_for_write(item: Item | None) -> Item | None:
    """Open an item at rest, to be changed; gives it as it was."""
    if item is None:
        return None
    before: Item = object.__new__(Item)
    before.hash_key, before.range_key, before._attributes = item.hash_key, item.range_key, item._attributes
    lay(before)
    item.attrs = _attributes(before)
    return before


def _copied(self: Item, memo: Any = None) -> Item:
    result: Item = object.__new__(Item)
    result.hash_key = copied_value(self.hash_key)
    result.range_key = None if self.range_key is None else copied_value(self.range_key)
    attributes = _attributes(self)
    if not _rests(self):
        copies = {name: copied_value(value) for name, value in attributes.items()}
        attributes = LimitedSizeDict()
        dict.update(attributes, copies)
    result.attrs = attributes
    return result


def _rests(item: Item) -> bool:
    return type(item._attributes) is tuple


def _attributes(self: Item) -> LimitedSizeDict:
    held = self._attributes
    return _opened(*held) if type(held) is tuple else held


def _set_attributes(self: Item, attributes: LimitedSizeDict) -> None:
    self._attributes = attributes


@lru_cache(maxsize=4096)
def _shared(layout: Layout) -> Layout:
    return layout


def _opened(layout: Layout, values: bytes) -> LimitedSizeDict:
    attributes = LimitedSizeDict()
    read = zip(layout, marshal.loads(values), strict=True)
    dict.update(attributes, {name: _value(kind, plain) for (name, kind), plain in read})
    return attributes


def _plain(value: DynamoType) -> Any:
    if value.type == "M":
        return {name: (member.type, _plain(member)) for name, member in value.value.items()}
    if value.type == "L":
        return [(member.type, _plain(member)) for member in value.value]
    return value.value


def _value(kind: str, plain: Any) -> DynamoType:
    if kind == "M":
        plain = {name: _value(*member) for name, member in plain.items()}
    elif kind == "L":
        plain = [_value(*member) for member in plain]
    value: DynamoType = object.__new__(DynamoType)
    value.type, value.value = kind, plain
    return value
