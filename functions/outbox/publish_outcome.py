"""PublishOutcome: announces every recorded outcome, off the requests table's stream, and measures it."""

from datetime import datetime

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.types import TypeDeserializer

from adapters import bus, dead_letters, measurements, payloads, requests_table, subject_keys
from adapters.inference import answers_table
from adapters.schemas import SchemaViolated
from adapters.sealing import SubjectKey
from domain.errors import PayloadGone, SubjectErased
from domain.incidents.measures import measures_of
from domain.outcomes import ANNOUNCED, DETAIL_TYPES, announcement_of
from domain.requests import Reason, Status

# Their use case is whatever the producer wrote: a dimension has to stay bounded.
_UNKNOWN_USE_CASE = {Reason.INVALID_REQUEST, Reason.UNKNOWN_TENANT, Reason.UNKNOWN_USE_CASE}

_UNITS = {"Latency": MetricUnit.Seconds}

logger = Logger()
_deserialize = TypeDeserializer().deserialize
# What of a record is announced and measured; the rest of an image, its words above all, is not even read.
_READ = (
    *ANNOUNCED,
    *"request_key subject_ref subject_mac status admitted_at deliver answer answer_ref answer_key "
    "cache_until expires_at held_expires_at "
    "signals findings output_tokens answer_characters attempts".split(),
)


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    """Takes a stream batch, or {"replay": [request_key]} from `bulwark replay-dlq`."""
    pending = _replayed(event["replay"]) if "replay" in event else _streamed(event["Records"])
    keys = subject_keys.of_many(record for _, record in pending if _is_delivered(record))
    ready = [(number, record, entry) for number, record in pending if (entry := _entry(record, keys))]
    errors = bus.publish([entry for _, _, entry in ready])
    published = [record for (_, record, _), error in zip(ready, errors, strict=True) if not error]
    failed = [number for (number, _, _), error in zip(ready, errors, strict=True) if error]
    _keep_answers(published)
    _measure(published)
    logger.info("outcomes published", request_ids=[record["request_id"] for record in published], failed=len(failed))
    # The stream comes back from the first one that failed; what follows it is announced again under the same id.
    return {"batchItemFailures": [{"itemIdentifier": failed[0]}] if failed else []}


def _replayed(request_keys: list[str]) -> list[tuple[str, dict]]:
    records = [requests_table.find(key) for key in request_keys]
    return [("", record) for record in records if record and record["status"] in DETAIL_TYPES]


def _streamed(changes: list[dict]) -> list[tuple[str, dict]]:
    """The outcomes among a batch's changes, each with its number in the stream."""
    images = [change["dynamodb"] for change in changes]
    return [(image["SequenceNumber"], _read(image["NewImage"])) for image in images if _is_outcome(image)]


def _is_outcome(change: dict) -> bool:
    """A status that is an outcome and was not there before: later touches of the record announce nothing."""
    new, old = (change.get(image, {}).get("status", {}).get("S") for image in ("NewImage", "OldImage"))
    return new in DETAIL_TYPES and new != old


def _read(image: dict) -> dict:
    return {name: _deserialize(image[name]) for name in _READ if name in image}


def _entry(record: dict, keys: dict[str, SubjectKey]) -> dict | None:
    """A record's event; None for a bad record, which is parked so that it does not keep back its neighbours."""
    try:
        return bus.entry(*announcement_of(record, _answer(record, keys)))
    except (SchemaViolated, KeyError, PayloadGone) as error:
        _park(record, error)
        return None


def _is_delivered(record: dict) -> bool:
    """Whether its use case has the answer delivered with the event."""
    return record["status"] == Status.COMPLETED and record.get("deliver") == "event"


def _answer(record: dict, keys: dict[str, SubjectKey]) -> str | None:
    """The answer, where it is delivered and fits; an erased subject's is not there any more."""
    if not _is_delivered(record) or (key := keys.get(subject_keys.ref_of(record))) is None:
        return None
    try:
        answer = payloads.text_of(record, "answer", key)
    except SubjectErased:
        return None
    return answer if answer and bus.fits({"answer": answer}) else None


def _keep_answers(records: list[dict]) -> None:
    """Let released answers be found again; what cannot be kept is not saved, and no more."""
    released = [record for record in records if record["status"] == Status.COMPLETED and "answer_key" in record]
    # What a person wrote may be about the one who asked, and is nobody else's answer.
    kept = [record for record in released if record["decided_by"] == "policy"]
    try:
        answers_table.keep(kept)
    except Exception:
        logger.exception("answers not kept", request_ids=[record["request_id"] for record in kept])


def _park(record: dict, error: Exception) -> None:
    dead_letters.park("outcome", {"request_key": record["request_key"]}, f"{type(error).__name__}: {error}")
    logger.error("outcome parked", request_id=record["request_id"], error=type(error).__name__)


def _measure(records: list[dict]) -> None:
    """Emit one metric document per use case and model, with the values of each of its records."""
    documents: dict[tuple[str, str | None], EphemeralMetrics] = {}
    # That a person is forgotten says nothing about a model: it is no failure, and how long they waited no latency.
    for record in (record for record in records if record.get("reason") != Reason.SUBJECT_ERASED):
        use_case = "-" if record.get("reason") in _UNKNOWN_USE_CASE else record["use_case"]
        model = record.get("model")
        if (metrics := documents.get((use_case, model))) is None:
            metrics = documents[use_case, model] = measurements.document(use_case, model)
        metrics.add_metric(record["status"].capitalize(), MetricUnit.Count, 1)
        # What a person or silence decided later was measured when it was held.
        if record["status"] == Status.HELD or record.get("decided_by", "policy") == "policy":
            latency = _seconds(record["admitted_at"], record["outcome_at"])
            for name, values in measures_of(record, latency).items():
                for value in values:
                    metrics.add_metric(name, _UNITS.get(name, MetricUnit.NoUnit), value)
    for metrics in documents.values():
        metrics.flush_metrics()


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
