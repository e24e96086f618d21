"""Gap of moto 5.2: statistics of a metric take in those of more dimensions, and a list shows such metrics many times.

Bridged: a metric is its name and exactly its dimensions, as CloudWatch has it. moto has closed the gap when
GetMetricStatistics of one dimension leaves out what was put with two.
"""

import copy
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension

from local.moto_names import replace, require


def install() -> None:
    require("moto.cloudwatch.models:CloudWatchBackend.get_all_metrics")
    replace("moto.cloudwatch.models:are_dimensions_same", lambda one, other: _named(one) == _named(other))
    statistics = replace("moto.cloudwatch.models:CloudWatchBackend.get_metric_statistics", lambda *_, **__: [])

    def exact_statistics(backend: CloudWatchBackend, *arguments: Any, **options: Any) -> list[Any]:
        dimensions = options.get("dimensions", arguments[6] if len(arguments) > 6 else None) or []
        wanted = {(each["Name"], each["Value"]) for each in dimensions}
        found = [datum for datum in backend.get_all_metrics() if _named(datum.dimensions) == wanted]
        view = copy.copy(backend)
        view.get_all_metrics = lambda: found
        return statistics(view, *arguments, **options)

    replace("moto.cloudwatch.models:CloudWatchBackend.get_metric_statistics", exact_statistics)


def _named(dimensions: list[Dimension]) -> set[tuple[str, str]]:
    return {(each.name, each.value) for each in dimensions}
