"""Gap of moto 5.2: log lines in the embedded metric format are not made into metrics.

Bridged for what functions print. moto has closed the gap when put_log_events of such a line shows in list_metrics.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.moto_names import require


class EmbeddedMetrics:
    """Finds metrics in log lines and puts them into CloudWatch."""

    def __init__(self) -> None:
        require("moto.cloudwatch.models:CloudWatchBackend.put_metric_data")
        self._lock = threading.Lock()

    def read(self, line: str) -> None:
        """Put the metrics of a line, if it has any."""
        if '"_aws"' not in line or not line.startswith("{"):
            return
        try:
            document = json.loads(line)
            metadata = document["_aws"]
            batches = [(each["Namespace"], list(_data(each, document))) for each in metadata["CloudWatchMetrics"]]
        except (ValueError, KeyError, TypeError):
            return
        with self._lock:
            for namespace, data in batches:
                cloudwatch_backends[ACCOUNT][REGION].put_metric_data(namespace, data)


def _data(directive: dict[str, Any], document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    timestamp = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC).replace(tzinfo=None)
    for dimensions in directive.get("Dimensions") or [[]]:
        named = [{"Name": name, "Value": str(document[name])} for name in dimensions]
        for metric in directive["Metrics"]:
            values = document[metric["Name"]]
            for value in values if isinstance(values, list) else [values]:
                yield {
                    "MetricName": metric["Name"],
                    "Value": float(value),
                    "Unit": metric.get("Unit", "None"),
                    "Dimensions": named,
                    "Timestamp": timestamp,
                }
