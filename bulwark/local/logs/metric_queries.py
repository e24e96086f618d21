"""Gaps of moto 5.2: statistics of a metric take in those of more dimensions, a list shows such metrics many times, and
GetMetricData knows neither percentiles nor trimmed means and reads everything again for each query and period.

Bridged: a metric is its name and exactly its dimensions, as CloudWatch has it; MetricStat queries of GetMetricData give
SampleCount, Sum, Average, Minimum, Maximum, pNN and TM(a%:b%). moto has closed the gaps when GetMetricStatistics of one
dimension leaves out what was put with two, and when GetMetricData gives a p95.
"""

import copy
import math
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension

from bulwark.local.logs.metric_store import of_metric, seconds
from bulwark.local.moto_names import replace, require

_TRIMMED = re.compile(r"TM\((\d+(?:\.\d+)?)%:(\d+(?:\.\d+)?)%\)")
_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
_PLAIN: dict[str, Callable[[list[float]], float]] = {
    "SampleCount": len,
    "Sum": math.fsum,
    "Average": lambda values: math.fsum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
}


def install() -> None:
    require("moto.cloudwatch.models:CloudWatchBackend.get_all_metrics")
    replace("moto.cloudwatch.models:are_dimensions_same", lambda one, other: _named(one) == _named(other))
    statistics = replace("moto.cloudwatch.models:CloudWatchBackend.get_metric_statistics", lambda *_, **__: [])

    def exact_statistics(backend: CloudWatchBackend, *arguments: Any, **options: Any) -> list[Any]:
        dimensions = options.get("dimensions", arguments[6] if len(arguments) > 6 else None) or []
        wanted = {(each["Name"], each["Value"]) for each in dimensions}
        namespace, name = options.get("namespace") or arguments[0], options.get("metric_name") or arguments[1]
        found = [datum for datum in _read(backend, namespace, name) if _named(datum.dimensions) == wanted]
        view = copy.copy(backend)
        view.get_all_metrics = lambda: found
        return statistics(view, *arguments, **options)

    replace("moto.cloudwatch.models:CloudWatchBackend.get_metric_statistics", exact_statistics)
    data = replace("moto.cloudwatch.models:CloudWatchBackend.get_metric_data", lambda *_, **__: [])

    def quick_data(
        backend: CloudWatchBackend,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampAscending",
    ) -> list[dict[str, Any]]:
        if not all("MetricStat" in query for query in queries) or start_time >= end_time:
            return data(backend, queries, start_time, end_time, scan_by)
        return _answered(backend, queries, start_time, end_time, scan_by == "TimestampDescending")

    replace("moto.cloudwatch.models:CloudWatchBackend.get_metric_data", quick_data)


def _answered(
    backend: CloudWatchBackend, queries: list[dict[str, Any]], start: datetime, end: datetime, descending: bool
) -> list[dict[str, Any]]:
    """Reads each metric once; periods begin at multiples of themselves."""
    filed: dict[tuple, list[tuple[float, float]]] = defaultdict(list)
    asked = [query["MetricStat"]["Metric"] for query in queries]
    for namespace, name in {(metric["Namespace"], metric["MetricName"]) for metric in asked}:
        for datum in _read(backend, namespace, name, seconds(start), seconds(end)):
            key = (namespace, name, frozenset(_named(datum.dimensions)))
            filed[key].append((seconds(datum.timestamp), float(datum.value)))
    results = []
    for query in queries:
        stat = query["MetricStat"]
        metric, period = stat["Metric"], int(stat["Period"])
        named = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions", []))
        periods: dict[float, list[float]] = defaultdict(list)
        for at, value in filed.get((metric["Namespace"], metric["MetricName"], named), ()):
            periods[at // period * period].append(value)
        points = sorted(periods.items(), reverse=descending)
        results.append(
            {
                "id": query["Id"],
                "label": query.get("Label") or f"{metric['MetricName']} {stat['Stat']}",
                "timestamps": [datetime.fromtimestamp(0, UTC) + timedelta(seconds=at) for at, _ in points],
                "values": [_statistic(stat["Stat"], values) for _, values in points],
                "status_code": "Complete",
            }
        )
    return results


def _read(
    backend: CloudWatchBackend, namespace: str, name: str, start: float = -math.inf, end: float = math.inf
) -> list[Any]:
    """What was put of a metric, of whatever dimensions, and what moto measures of its own services."""
    asked = namespace, name, start, end
    return backend.metric_data.read(*asked) + of_metric(backend.aws_metric_data, *asked)


def _statistic(name: str, values: list[float]) -> float:
    if name in _PLAIN:
        return float(_PLAIN[name](values))
    ordered = sorted(values)
    if match := _PERCENTILE.fullmatch(name):
        place = float(match[1]) / 100 * (len(ordered) - 1)
        low = math.floor(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    if match := _TRIMMED.fullmatch(name):
        first = math.floor(float(match[1]) / 100 * len(ordered))
        last = max(first + 1, math.ceil(float(match[2]) / 100 * len(ordered)))
        kept = ordered[first:last]
        return math.fsum(kept) / len(kept)
    raise ValueError(f"the embedded CloudWatch knows no statistic {name}")


def _named(dimensions: list[Dimension]) -> set[tuple[str, str]]:
    return {(each.name, each.value) for each in dimensions}
