"""ReportRetention: adds up what the units of a run did, keeps the report, and measures it for the alarms."""

import json

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import measurements, payloads
from adapters.clock import iso, now
from domain.governance.retention import report_of

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    # A child that failed as a whole gives null, or nothing.
    results = [result for result in event["results"] if result]
    report = report_of(event["units"], results, event["started_at"], iso(now()), event["dry_run"])
    if not event["dry_run"]:
        # Of the run's own name: two runs of a day keep two reports, and a repeat writes the same one.
        report["report"] = f"reports/retention/{event['started_at'][:10]}-{event['execution_name']}.json"
        payloads.put(report["report"], json.dumps(report).encode())
        _measure(report)
    logger.info("retention reported", **{name: report[name] for name in ("outcome", "dry_run", "deleted", "failures")})
    return report


def _measure(report: dict) -> None:
    for store, told in report["stores"].items():
        metrics = measurements.of_store(store)
        metrics.add_metric("RetentionDeleted", MetricUnit.Count, sum(told["deleted"].values()))
        metrics.add_metric("RetentionFailed", MetricUnit.Count, told["failures"])
        metrics.add_metric("RetentionBehindSeconds", MetricUnit.Seconds, told["behind_seconds"])
        metrics.flush_metrics()
