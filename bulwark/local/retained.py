"""Gap of moto 5.2: all that was ever logged, measured or streamed stays in memory, at full length, and is listed twice.

Bridged: the words of a log line and the images of a stream's record are on disk, in a file without a name that is gone
with the process; what a metric's data have in common, and the description of a service, is there once, without its
prose; nothing is tracked that only moto's own dashboard would read; and EC2's catalogue of instances, a hundred MB that
SSM brings along, is not read. moto has closed the gap when ten thousand held answers need no more memory without this
than with it.
"""

import os
import pickle
import sys
import tempfile
import threading
from datetime import datetime
from functools import lru_cache
from typing import Any

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
    replace("moto.cloudwatch.models:MetricDatum", _MetricDatum)
    # A botocore session, and moto has several, reads the description of a service by itself, half of it prose.
    replace("botocore.loaders:JSONFileLoader.load_file", _load_file)
    if "moto.ec2" not in sys.modules:
        _import_ec2()


class _File:
    """Pieces of bytes, each at a place."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="bulwark-")
        self._lock = threading.Lock()
        self._end = 0

    def put(self, piece: bytes) -> tuple[int, int]:
        with self._lock:
            place = self._end, len(piece)
            os.pwrite(self._file.fileno(), piece, self._end)
            self._end += len(piece)
            return place

    def get(self, place: tuple[int, int]) -> bytes:
        start, length = place
        return os.pread(self._file.fileno(), length, start)


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
        self.namespace, self.name, self.unit = sys.intern(namespace), sys.intern(name), unit
        self.dimensions = _dimensions(tuple((each["Name"], each["Value"]) for each in dimensions))
        self.timestamp, self.value = timestamp or utcnow(), value

    filter = MetricDatumBase.filter


@lru_cache(maxsize=4096)
def _dimensions(pairs: tuple[tuple[str, str], ...]) -> list[Dimension]:
    return [Dimension(name, value) for name, value in pairs]


_read = JSONFileLoader.load_file
_descriptions: dict[str, Any] = {}


def _load_file(self: JSONFileLoader, file_path: str) -> Any:
    if file_path not in _descriptions:
        description = _read(self, file_path)
        if description is None:
            return None
        _without_prose(description)
        _descriptions[file_path] = description
    return _descriptions[file_path]


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
