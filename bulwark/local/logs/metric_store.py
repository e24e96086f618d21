"""Gap of moto 5.2: each value ever measured is an object, and who asks for one metric is shown those of all.

Bridged: values are filed by metric, each as two numbers, its time and itself, and read by metric and time. moto has
closed the gap when CloudWatchBackend.get_metric_statistics no longer goes through get_all_metrics.
"""

import math
import threading
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension, MetricDatumBase
from moto.core.utils import utcnow

from bulwark.local.moto_names import replace


def install() -> None:
    """Bridge it until the cloud stops."""
    replace("moto.cloudwatch.models:MetricDatum", _Datum)
    # A name that moto's class does not have: there is nothing to replace. Set when a backend is made, it would miss
    # one that a late call of an earlier cloud has made before this one was bridged.
    CloudWatchBackend.metric_data = property(_metric_data, lambda *_: None)


def _metric_data(backend: CloudWatchBackend) -> "MetricData":
    return backend.__dict__.setdefault("_metric_data", MetricData())


class _Datum:
    """A value, while somebody looks at it."""

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
        self.namespace, self.name, self.value, self.unit = namespace, name, value, unit
        self.dimensions = _dimensions(tuple((each["Name"], each["Value"]) for each in dimensions))
        self.timestamp = timestamp or utcnow()

    filter = MetricDatumBase.filter


@lru_cache(maxsize=4096)
def _dimensions(pairs: tuple[tuple[str, str], ...]) -> list[Dimension]:
    return [Dimension(name, value) for name, value in pairs]


class _Series:
    """The values that have all but their times in common with a first one."""

    def __init__(self, first: _Datum) -> None:
        self._first = first
        self._times, self._values = array("d"), array("d")

    def append(self, datum: _Datum) -> None:
        self._times.append(seconds(datum.timestamp))
        self._values.append(datum.value)

    def read(self, start: float, end: float) -> Iterator[_Datum]:
        first, zone = self._first, self._first.timestamp.tzinfo
        for at, value in zip(self._times, self._values, strict=True):
            if start <= at < end:
                datum: _Datum = object.__new__(_Datum)
                datum.namespace, datum.name, datum.unit = first.namespace, first.name, first.unit
                datum.dimensions, datum.value = first.dimensions, value
                datum.timestamp = datetime.fromtimestamp(at, zone or UTC).replace(tzinfo=zone)
                yield datum


class MetricData:
    """What was measured; for moto, a list of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], dict[tuple[Any, ...], _Series]] = {}
        self._aggregated: list[MetricDatumBase] = []

    def append(self, datum: Any) -> None:
        """File a value; of the values of one metric, a time and its value are filed together."""
        if not isinstance(datum, _Datum):
            self._aggregated.append(datum)
            return
        kind = tuple((each.name, each.value) for each in datum.dimensions), datum.unit, datum.timestamp.tzinfo
        with self._lock:
            of_name = self._series.setdefault((datum.namespace, datum.name), {})
            if kind not in of_name:
                of_name[kind] = _Series(datum)
            of_name[kind].append(datum)

    def read(self, namespace: str, name: str, start: float = -math.inf, end: float = math.inf) -> list[Any]:
        """The values of a metric, of whatever dimensions, from a second on and before another."""
        with self._lock:
            of_name = self._series.get((namespace, name), {}).values()
            found = [datum for series in of_name for datum in series.read(start, end)]
        return found + of_metric(self._aggregated, namespace, name, start, end)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Any]:
        # Those put as statistics may be of metrics that nothing else was put of.
        names = dict.fromkeys([*self._series, *((each.namespace, each.name) for each in self._aggregated)])
        for namespace, name in names:
            yield from self.read(namespace, name)

    def __add__(self, more: list[Any]) -> list[Any]:
        return [*self, *more]


def of_metric(data: list[Any], namespace: str, name: str, start: float, end: float) -> list[Any]:
    """Those of a metric, from a second on and before another."""
    mine = [each for each in data if (each.namespace, each.name) == (namespace, name)]
    return [each for each in mine if start <= seconds(each.timestamp) < end]


def seconds(moment: datetime) -> float:
    """A time without a zone is UTC's, as moto has it."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
