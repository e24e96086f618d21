"""PublishReview: announces what happens to reviews, off the reviews table's stream, and measures it."""

import os

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.types import TypeDeserializer

from adapters import bus, dead_letters, measurements
from adapters.schemas import SchemaViolated
from domain.reviews.reviews import announcements_of

logger = Logger()
_deserialize = TypeDeserializer().deserialize
# What of a review is announced; its token and the words of its verdicts are not even read.
_READ = (
    "review_id tenant use_case request_id risk_class tier status kind blind reason opened_at due_at due_noticed_at "
    "overdue_at decision decided_at"
).split()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    numbers, entries = [], []
    for change in event["Records"]:
        images = change["dynamodb"]
        new, old = (_read(images.get(image, {})) for image in ("NewImage", "OldImage"))
        for detail_type, detail in announcements_of(new, old):
            detail |= {
                "event_id": bus.event_id(detail_type, detail["review_id"], detail["at"]),
                "link": _link(new["review_id"]),
            }
            try:
                entry = bus.entry(detail_type, detail)
            except SchemaViolated as error:
                # One bad review must not keep back its neighbours.
                dead_letters.park("notice", detail, f"{type(error).__name__}: {error}")
                logger.error("notice parked", review_id=new["review_id"], error=type(error).__name__)
                continue
            numbers.append(images["SequenceNumber"])
            entries.append((detail_type, detail["use_case"], entry))
    errors = bus.publish([entry for _, _, entry in entries])
    _measure([each[:2] for each, error in zip(entries, errors, strict=True) if not error])
    failed = [number for number, error in zip(numbers, errors, strict=True) if error]
    logger.info("notices published", published=len(entries) - len(failed), failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": failed[0]}] if failed else []}


def _read(image: dict) -> dict:
    return {name: _deserialize(image[name]) for name in _READ if name in image}


def _link(review_id: str) -> str:
    return f"{os.environ['DESK_URL']}/#/reviews/{review_id}"


def _measure(published: list[tuple[str, str]]) -> None:
    for use_case in sorted({use_case for _, use_case in published}):
        metrics = measurements.document(use_case)
        for detail_type, where in published:
            if where == use_case:
                metrics.add_metric(detail_type, MetricUnit.Count, 1)
        metrics.flush_metrics()
