"""Gap of moto 5.2: all that was ever logged, measured or streamed stays in memory, at full length, and is listed twice.

Bridged: the words of a log line and the images of a stream's record are on disk, in a file without a name that is gone
with the process; what a metric's data have in common, and the description of a service, is there once, without its
prose; nothing is tracked that only moto's own dashboard would read; and EC2's catalogue of instances, a hundred MB that
SSM brings along, is not read. moto has closed the gap when ten thousand held answers need no more memory without this
than with it.
"""

import ctypes
import os
import pickle
import sys
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moto
from botocore.loaders import JSONFileLoader
from moto.cloudwatch.models import Dimension, MetricDatumBase
from moto.core.utils import utcnow
from moto.logs.models import LogEvent

from bulwark.local.moto_names import replace


def install() -> None:
    """Bridge it until the cloud stops."""
    # Another cloud, another file; there is one before anybody's thread asks for it.
    _file.cache_clear()
    _file()
    replace("moto.core.common_models:BaseModel.__new__", staticmethod(lambda cls, *_, **__: object.__new__(cls)))
    replace("moto.logs.models:LogEvent", _LogEvent)
    _also("moto.logs.models:LogStream.__init__", lambda stream: setattr(stream, "events", _LogEvents()))
    replace("moto.cloudwatch.models:MetricDatum", _MetricDatum)
    _also("moto.cloudwatch.models:CloudWatchBackend.__init__", lambda it: setattr(it, "metric_data", _MetricData()))
    replace("moto.s3.models:tempfile", SimpleNamespace(SpooledTemporaryFile=_Buffer))
    # A botocore session, and moto has several, reads the description of a service by itself, half of it prose.
    replace("botocore.loaders:JSONFileLoader.load_file", _load_file)
    if "moto.ec2" not in sys.modules:
        _import_ec2()
    _share_arenas()


def _also(target: str, then: Callable[[Any], None]) -> None:
    """Have something done to whatever moto has made."""

    def make(self: Any, *arguments: Any, **options: Any) -> None:
        by_moto(self, *arguments, **options)
        then(self)

    by_moto = replace(target, make)


_LENGTH_BITS = 30
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


class _LogEvents:
    """A stream's lines, as a list has them, of which each is but four numbers."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def __iadd__(self, events: list[_LogEvent]) -> "_LogEvents":
        for event in events:
            self._numbers.extend((event._place, event.event_id, event.ingestion_time, event.timestamp))
        return self

    def __len__(self) -> int:
        return len(self._numbers) // len(_LogEvent.__slots__)

    def __iter__(self) -> Iterator[_LogEvent]:
        numbers = iter(self._numbers[:])
        for values in zip(*[numbers] * len(_LogEvent.__slots__), strict=True):
            yield _with_slots(_LogEvent, values)


class _MetricDatum:
    __slots__ = ("dimensions", "name", "namespace", "timestamp", "unit", "value")

    def __init__(
        self,
        namespace: str,
        name: str,
        value: float,
        dimensions: list[dict[str, str]],
        timestamp: datetime | None,
        unit: Any = None,
    ) -> None:
        self.namespace, self.name, self.unit = namespace, name, unit
        self.dimensions = _dimensions(tuple((each["Name"], each["Value"]) for each in dimensions))
        self.timestamp, self.value = timestamp or utcnow(), value

    filter = MetricDatumBase.filter


class _MetricData:
    """What was measured, as a list has it, of which each value is but three numbers beside what its metric is."""

    def __init__(self) -> None:
        self._metrics: list[tuple[Any, ...]] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._of, self._at, self._values = array("I"), array("d"), array("d")
        self._aggregated: list[MetricDatumBase] = []

    def append(self, datum: Any) -> None:
        if not isinstance(datum, _MetricDatum):
            self._aggregated.append(datum)
            return
        zone = datum.timestamp.tzinfo
        metric = datum.namespace, datum.name, id(datum.dimensions), datum.unit, zone
        if metric not in self._numbers:
            self._numbers[metric] = len(self._metrics)
            self._metrics.append((datum.namespace, datum.name, datum.dimensions, datum.unit, zone))
        at = datum.timestamp if zone else datum.timestamp.replace(tzinfo=UTC)
        self._at.append(at.timestamp())
        self._values.append(datum.value)
        self._of.append(self._numbers[metric])

    def __len__(self) -> int:
        return len(self._of) + len(self._aggregated)

    def __iter__(self) -> Iterator[Any]:
        # Whoever appends meanwhile appends the number of the metric last.
        for number, at, value in zip(self._of[:], self._at[:], self._values[:], strict=False):
            namespace, name, dimensions, unit, zone = self._metrics[number]
            moment = datetime.fromtimestamp(at, zone or UTC).replace(tzinfo=zone)
            yield _with_slots(_MetricDatum, (dimensions, name, namespace, moment, unit, value))
        yield from list(self._aggregated)

    def __add__(self, more: list[Any]) -> list[Any]:
        return [*self, *more]


def _with_slots(kind: type, values: Iterable[Any]) -> Any:
    made = object.__new__(kind)
    for name, value in zip(kind.__slots__, values, strict=True):
        setattr(made, name, value)
    return made


@lru_cache(maxsize=4096)
def _dimensions(pairs: tuple[tuple[str, str], ...]) -> list[Dimension]:
    return [Dimension(name, value) for name, value in pairs]


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
