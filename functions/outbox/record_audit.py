"""RecordAudit: writes what the tables' streams tell of decisions into the audit log, one object for each batch."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from boto3.dynamodb.types import TypeDeserializer

from adapters import dead_letters
from adapters.clock import iso, now
from adapters.governance import audit_log
from domain.governance.audit import CONTROL, REQUESTS, REVIEWS, Change, readable, records_of
from domain.governance.audit_chain import hour_of

_SOURCE_OF_KEY = {"request_key": REQUESTS, "review_id": REVIEWS, "control_key": CONTROL}
_IMAGES = ("NewImage", "OldImage")
_TTL = "dynamodb.amazonaws.com"

logger = Logger()
_deserialize = TypeDeserializer().deserialize


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> None:
    """Takes a stream's batch, or {"replay": [change]} from `bulwark replay-dlq`.

    A batch that comes twice writes the same object, or one with the same record ids in another hour.
    """
    moment, found = now(), dict[str, list[tuple[Change, list[dict]]]]()
    for change, records in _replayed(event["replay"]) if "replay" in event else _streamed(event["Records"]):
        if records:
            found.setdefault(change.source, []).append((change, records))
    for source, changes in found.items():
        records = [record for _, each in changes for record in each]
        name = audit_log.write_records(source, hour_of(iso(moment)), changes[0][0].sequence, records)
        logger.info("decisions recorded", object=name, records=len(records))


def _replayed(changes: list[dict]) -> list[tuple[Change, list[dict]]]:
    return [(change, records_of(change)) for change in map(Change.from_json, changes)]


def _streamed(batch: list[dict]) -> list[tuple[Change, list[dict]]]:
    """Each change of a batch with its records; a bad one is parked so that it does not keep back its neighbours."""
    told = []
    for raw in batch:
        change = None
        try:
            change = _read(raw)
            told.append((change, records_of(change)))
        except Exception as error:
            _park(raw, change, error)
    return told


def _read(record: dict) -> Change:
    stream = record["dynamodb"]
    [key] = stream["Keys"]
    new, old = ({name: _deserialize(value) for name, value in stream.get(image, {}).items()} for image in _IMAGES)
    return Change(
        event_id=record["eventID"],
        sequence=stream["SequenceNumber"],
        source=_SOURCE_OF_KEY[key],
        at=iso(stream["ApproximateCreationDateTime"]),
        new=readable(_SOURCE_OF_KEY[key], new),
        old=readable(_SOURCE_OF_KEY[key], old),
        moment=float(stream["ApproximateCreationDateTime"]),
        expired=record.get("userIdentity", {}).get("principalId") == _TTL,
    )


def _park(record: dict, change: Change | None, error: Exception) -> None:
    known = change.to_json() if change else {"event_id": record.get("eventID")}
    dead_letters.park("audit", {"audit": known}, type(error).__name__)
    logger.error("change parked", event_id=known["event_id"], error=type(error).__name__)
