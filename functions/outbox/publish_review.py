"""PublishReview: announces what happens to reviews, off the reviews table's stream, and measures it."""

import os
from collections.abc import Iterator

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.types import TypeDeserializer

from adapters import bus, dead_letters, measurements
from adapters.schemas import SchemaViolated
from domain.reviews.notices import announcements_of

logger = Logger()
_deserialize = TypeDeserializer().deserialize
# What of a review is announced; its token and the words of its verdicts are not even read.
_READ = (
    "review_id tenant use_case request_id risk_class tier status kind blind reason opened_at due_at due_noticed_at "
    "overdue_at decision decided_at"
).split()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    notices = [notice for change in event["Records"] for notice in _notices(change["dynamodb"])]
    ready = [(*notice, entry) for notice in notices if (entry := _entry(*notice[1:]))]
    errors = bus.publish([entry for *_, entry in ready])
    published = [(name, detail) for (_, name, detail, _), error in zip(ready, errors, strict=True) if not error]
    _measure(published)
    failed = [number for (number, *_), error in zip(ready, errors, strict=True) if error]
    logger.info("notices published", published=len(published), failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": failed[0]}] if failed else []}


def _notices(change: dict) -> Iterator[tuple[str, str, dict]]:
    """What a change tells of a review: its number in the stream, the event's detail-type and its detail."""
    new, old = (_read(change.get(image, {})) for image in ("NewImage", "OldImage"))
    for detail_type, detail in announcements_of(new, old):
        event_id = bus.event_id(detail_type, detail["review_id"], detail["at"])
        yield change["SequenceNumber"], detail_type, detail | {"event_id": event_id, "link": _link(new["review_id"])}


def _entry(detail_type: str, detail: dict) -> dict | None:
    """A notice's event; None for a bad one, which is parked so that it does not keep back its neighbours."""
    try:
        return bus.entry(detail_type, detail)
    except SchemaViolated as error:
        dead_letters.park("notice", detail, f"{type(error).__name__}: {error}")
        logger.error("notice parked", review_id=detail["review_id"], error=type(error).__name__)
        return None


def _read(image: dict) -> dict:
    return {name: _deserialize(image[name]) for name in _READ if name in image}


def _link(review_id: str) -> str:
    return f"{os.environ['DESK_URL']}/#/reviews/{review_id}"


def _measure(published: list[tuple[str, dict]]) -> None:
    for use_case in sorted({detail["use_case"] for _, detail in published}):
        metrics = measurements.document(use_case)
        for detail_type, detail in published:
            if detail["use_case"] == use_case:
                metrics.add_metric(detail_type, MetricUnit.Count, 1)
        metrics.flush_metrics()
