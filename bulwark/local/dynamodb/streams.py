"""Gap of moto 5.2: a stream shows writes that changed nothing, and an upsert as two insertions.

Bridged: what a write did to an item is one record, made when the write has succeeded, and readers are woken. moto
has closed the gap when an UpdateItem that makes an item adds a single record to the shard.
"""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.dynamodb.models.table import StreamRecord, StreamShard

from bulwark.local.moto_names import replace, require
from bulwark.local.retained import Retained

_changed = threading.Condition()
_held = threading.Event()
_journal = threading.local()


def install() -> None:
    require("moto.dynamodb.models.table:StreamRecord")
    replace("moto.dynamodb.models.table:StreamShard.add", _add)


@contextmanager
def one_record_each() -> Iterator[Callable[[], None]]:
    """Within, records are held back; the function given writes them, one for each item that changed."""
    outer = getattr(_journal, "entries", None)
    if outer is not None:
        yield lambda: None
        return
    entries: list[tuple[StreamShard, Any, Any]] = []
    _journal.entries = entries
    try:
        yield lambda: _write(entries)
    finally:
        _journal.entries = None


@contextmanager
def held() -> Iterator[None]:
    """Within, readers are shown nothing; afterwards all that was written, so that its batches do not depend on pace."""
    _held.set()
    try:
        yield
    finally:
        _held.clear()
        wake()


def wait_beyond(shard: StreamShard, position: int, stopping: threading.Event) -> None:
    """Wait until a shard shows more records than a reader has read, or the reader is to stop."""
    with _changed:
        _changed.wait_for(lambda: stopping.is_set() or (len(shard.items) > position and not _held.is_set()))


def wake() -> None:
    """Let every reader look again."""
    with _changed:
        _changed.notify_all()


def _add(shard: StreamShard, old: Any, new: Any) -> None:
    entries = getattr(_journal, "entries", None)
    if entries is None:
        _append(shard, old, new)
        wake()
    else:
        entries.append((shard, copy.deepcopy(old), copy.deepcopy(new)))


def _write(entries: list[tuple[StreamShard, Any, Any]]) -> None:
    net: dict[Any, tuple[StreamShard, Any, Any]] = {}
    for shard, old, new in entries:
        item = old if old is not None else new
        key = (id(shard), item.hash_key, item.range_key)
        first = net[key][1] if key in net else old
        net[key] = (shard, first, new)
    entries.clear()
    for shard, old, new in net.values():
        _append(shard, old, new)
    if net:
        wake()


def _append(shard: StreamShard, old: Any, new: Any) -> None:
    if old is None and new is None or (old is not None and new is not None and old.attrs == new.attrs):
        return
    name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    view = shard.table.stream_specification["StreamViewType"]
    number = len(shard.items) + shard.starting_sequence_number
    shard.items.append(Retained(StreamRecord(shard.table, view, name, old, new, number).to_json()))
