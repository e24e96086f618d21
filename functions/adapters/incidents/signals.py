"""Signals: what CloudWatch says of a use case, as the detectors take it, a row for each minute.

In a drill time runs faster: at speed 30 a row is two seconds, and every moment here is the clock's times 30.
"""

import os
from datetime import UTC, datetime

import boto3

from domain.incidents.signals import MINUTE, SHAPES, SIGNALS, Kind, Minute

# GetMetricData takes 500 queries (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html).
NAMESPACE = "Bulwark"
# By then what a minute's requests were is in.
DELAY_SECONDS = 120
# A run takes in no more at once; what lies further back is history.
MOST_MINUTES = 60
_STATISTICS = {"n": "SampleCount", "sum": "Sum", "mean": "Average", "tm": "TM(10%:90%)", "p50": "p50", "p95": "p95"}

client = boto3.client("cloudwatch")


def rows(use_case: str, after: float, now: float, speed: float) -> list[Minute]:
    """The minutes that began behind `after` and are complete, the oldest first; one without data is empty."""
    last = int((now - DELAY_SECONDS) // MINUTE * MINUTE) - MINUTE
    first = max(int(after // MINUTE * MINUTE) + MINUTE, last - (MOST_MINUTES - 1) * MINUTE)
    if first > last:
        return []
    found: dict[int, dict[str, float]] = {at: {} for at in range(first, last + 1, MINUTE)}
    queries = {f"q{number}": query for number, query in enumerate(_queries())}
    period = round(MINUTE / speed)
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {
                        "Namespace": NAMESPACE,
                        "MetricName": metric,
                        "Dimensions": [
                            {"Name": "use_case", "Value": use_case},
                            {"Name": "service", "Value": os.environ["POWERTOOLS_SERVICE_NAME"]},
                        ],
                    },
                    "Period": period,
                    "Stat": _STATISTICS[statistic],
                },
            }
            for name, (metric, statistic) in queries.items()
        ],
        StartTime=datetime.fromtimestamp(first / speed, UTC),
        EndTime=datetime.fromtimestamp((last + MINUTE) / speed, UTC),
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            metric, statistic = queries[result["Id"]]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                row = found.get(round(at.timestamp() * speed / MINUTE) * MINUTE)
                if row is not None:
                    row[f"{metric}.{statistic}"] = value
    return [Minute(at, values) for at, values in sorted(found.items())]


def _queries() -> list[tuple[str, str]]:
    """The metrics and statistics that the detectors read."""
    wanted = {(signal.metric, signal.statistic) for signal in SIGNALS.values() if signal.kind is not Kind.SHAPE}
    wanted |= {(metric, "n") for metric, _ in wanted} | {(f"AnswerShape{shape}", "sum") for shape in range(SHAPES)}
    return sorted(wanted)
