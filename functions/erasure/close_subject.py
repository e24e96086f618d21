"""CloseSubject: has a subject's new requests held back until it is forgotten, unless a legal hold stands."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import bus, subject_keys
from adapters.clock import iso, now
from adapters.governance import audit_notes, erasures_table
from domain.errors import SubjectHeld
from domain.governance.erasures import ErasureStatus

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    moment, erasure_id, ref = now(), event["erasure_id"], event["subject_ref"]
    record = erasures_table.find(erasure_id) or {}
    # Done again, it is for what a backup brought back: the subject may have a new life, which goes on.
    again = "before" in record
    if "key_dropped_at" in record and not again:
        # A run before this one forgot the subject, who may have come again; what is left is to say so.
        return {"held": False, "dropped": True}
    try:
        if again:
            _refuse_if_held(ref)
        else:
            subject_keys.begin_erasure(ref, erasure_id, moment)
    except SubjectHeld:
        _delay(record, moment)
        return {"held": True, "dropped": False}
    erasures_table.change(erasure_id, ("task_token",), status=ErasureStatus.ERASING)
    if not again:
        _note_closed(record, moment)
    return {"held": False, "dropped": False}


def _refuse_if_held(ref: str) -> None:
    if subject_keys.is_held(subject_keys.find(ref) or {}):
        raise SubjectHeld(ref)


def _note_closed(record: dict, moment: float) -> None:
    erasure_id, facts = record["erasure_id"], {name: record[name] for name in ("erasure_id", "tenant", "subject_ref")}
    audit_notes.leave("SUBJECT_CLOSED", "bulwark", moment, f"{erasure_id}-closed", **facts)
    logger.info("subject closed", erasure_id=erasure_id)


def _delay(record: dict, moment: float) -> None:
    """Say once that the erasure waits; kept before and told after, so that it is told at least once."""
    erasure_id, since = record["erasure_id"], record.get("delayed_at") or iso(moment)
    erasures_table.change(erasure_id, status=ErasureStatus.WAITING, delayed_at=since)
    if record.get("delay_told"):
        return
    detail = {
        "event_id": bus.event_id("ErasureDelayed", erasure_id),
        **{name: record[name] for name in ("erasure_id", "tenant", "subject_ref")},
        "reason": "HELD",
        "at": since,
    }
    bus.announce("ErasureDelayed", detail)
    audit_notes.leave(
        "ERASURE_DELAYED",
        "bulwark",
        moment,
        f"{erasure_id}-delayed",
        **{name: detail[name] for name in ("erasure_id", "tenant", "subject_ref", "reason")},
    )
    erasures_table.change(erasure_id, delay_told=True)
    logger.info("erasure delayed", erasure_id=erasure_id)
