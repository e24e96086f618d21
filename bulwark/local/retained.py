"""Gap of moto 5.2: all that was ever logged, streamed or stored stays in memory, at full length, and is listed twice.

Bridged: the words of a log line, the images of a stream's record and the objects of S3 are on disk, in a file without a
name that is gone with the process; the description of a service is there once, without its prose; nothing is tracked
that only moto's own dashboard would read; and EC2's catalogue of instances, a hundred MB that SSM brings along, is not
read. moto has closed the gap when ten thousand held answers need no more memory without this than with it.
"""

import ctypes
import os
import pickle
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moto
from botocore.loaders import JSONFileLoader
from moto.logs.models import LogEvent, LogStream

from bulwark.local.moto_names import replace


def install() -> None:
    """Bridge it until the cloud stops."""
    # Another cloud, another file; there is one before anybody's thread asks for it.
    _file.cache_clear()
    _file()
    replace("moto.core.common_models:BaseModel.__new__", staticmethod(lambda cls, *_, **__: object.__new__(cls)))
    replace("moto.logs.models:LogEvent", _LogEvent)
    replace("moto.logs.models:LogStream.__init__", _with_events(LogStream.__init__))
    replace("moto.s3.models:tempfile", SimpleNamespace(SpooledTemporaryFile=_Buffer))
    # A botocore session, and moto has several, reads the description of a service by itself, half of it prose.
    replace("botocore.loaders:JSONFileLoader.load_file", _load_file)
    if "moto.ec2" not in sys.modules:
        _import_ec2()
    _share_arenas()


def _with_events(make: Callable[..., None]) -> Callable[..., None]:
    def inner(stream: LogStream, *arguments: Any, **options: Any) -> None:
        make(stream, *arguments, **options)
        stream.events = _LogEvents()

    return inner


_LENGTH_BITS = 28
_M_ARENA_MAX = -8  # malloc.h
_LONGEST = (1 << _LENGTH_BITS) - 1


class _File:
    """Pieces of bytes, each at a place."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="bulwark-")
        self._lock = threading.Lock()
        self._end = 0

    def put(self, piece: bytes) -> int:
        """Gives the place, as one number: where it begins, and its length."""
        if len(piece) > _LONGEST:
            raise ValueError(f"the embedded AWS keeps pieces of up to {_LONGEST:,} bytes; this one has {len(piece):,}")
        with self._lock:
            start = self._end
            os.pwrite(self._file.fileno(), piece, start)
            self._end += len(piece)
            return start << _LENGTH_BITS | len(piece)

    def get(self, place: int) -> bytes:
        return os.pread(self._file.fileno(), place & _LONGEST, place >> _LENGTH_BITS)


@lru_cache(maxsize=1)
def _file() -> _File:
    return _File()


class Retained:
    """A value that is on disk, and read again each time that it is asked for."""

    __slots__ = ("_place",)

    def __init__(self, value: Any) -> None:
        self._place = _file().put(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))

    def to_json(self) -> Any:
        """As moto's records of a stream have it."""
        return pickle.loads(_file().get(self._place))


class _Buffer:
    """What moto's S3 uses of a SpooledTemporaryFile, without a megabyte in memory or a file for each object."""

    __slots__ = ("_at", "_place")

    def __init__(self, max_size: int = 0) -> None:
        self._at, self._place = 0, 0

    def seek(self, at: int) -> None:
        self._at = at

    def truncate(self) -> None:
        self._place = 0

    def write(self, content: bytes) -> None:
        self._place = _file().put(content)

    def read(self, size: int = -1) -> bytes:
        content = _file().get(self._place)[self._at :]
        content = content if size < 0 else content[:size]
        self._at += len(content)
        return content

    def close(self) -> None:
        pass


class _LogEvent:
    __slots__ = ("_place", "event_id", "ingestion_time", "timestamp")

    def __init__(self, ingestion_time: int, log_event: dict[str, Any]) -> None:
        self.ingestion_time, self.timestamp = ingestion_time, log_event["timestamp"]
        self._place = _file().put(log_event["message"].encode("utf-8", "surrogatepass"))
        self.event_id = LogEvent._event_id
        LogEvent._event_id += 1

    @property
    def message(self) -> str:
        return _file().get(self._place).decode("utf-8", "surrogatepass")

    to_filter_dict = LogEvent.to_filter_dict
    to_response_dict = LogEvent.to_response_dict


_NUMBERS = 4


class _LogEvents:
    """A stream's lines, as a list has them, of which each is but four numbers."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def __iadd__(self, events: list[_LogEvent]) -> "_LogEvents":
        for event in events:
            self._numbers.extend((event._place, event.event_id, event.ingestion_time, event.timestamp))
        return self

    def __len__(self) -> int:
        return len(self._numbers) // _NUMBERS

    def __iter__(self) -> Iterator[_LogEvent]:
        numbers = iter(self._numbers[:])
        for place, event_id, ingestion_time, timestamp in zip(*[numbers] * _NUMBERS, strict=True):
            event: _LogEvent = object.__new__(_LogEvent)
            event._place, event.event_id = place, event_id
            event.ingestion_time, event.timestamp = ingestion_time, timestamp
            yield event


_read = JSONFileLoader.load_file
_descriptions: dict[str, Any] = {}
# To these moto's loader adds something of its own, in place, of which nobody else should know.
_ADDED_TO = {path.parents[1].name for path in Path(moto.__file__).parent.glob("*/*/*.moto-extras.json*")}


def _load_file(self: JSONFileLoader, file_path: str) -> Any:
    if file_path in _descriptions:
        return _descriptions[file_path]
    description = _read(self, file_path)
    if description is not None:
        _without_prose(description)
        if Path(file_path).parts[-3] not in _ADDED_TO:
            _descriptions[file_path] = description
    return description


def _without_prose(value: Any) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("documentation"), str):
            value["documentation"] = ""
        value = value.values()
    for member in value:
        if isinstance(member, dict | list):
            _without_prose(member)


def _import_ec2() -> None:
    """Import what moto.ssm imports, without the catalogue: there are no instances here."""
    from moto.utilities import utils

    load = utils.load_resource
    utils.load_resource = lambda resource: {} if resource.endswith("instance_types.json") else []
    try:
        import moto.ec2  # noqa: F401
    finally:
        utils.load_resource = load


def _share_arenas() -> None:
    """Have the threads of a server take memory from two arenas of glibc's instead of one each, half empty."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
