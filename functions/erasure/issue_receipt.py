"""IssueReceipt: signs and keeps what was done, announces it, and ends the erasure."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import bus
from adapters.clock import now
from adapters.governance import audit_notes, erasures_table, receipts
from domain.governance.erasures import ErasureStatus, receipt_of

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    moment, erasure_id = now(), event["erasure_id"]
    record = erasures_table.find(erasure_id) or {}
    receipt = receipt_of(record)
    done = record["status"] == ErasureStatus.DONE
    if not done:
        receipts.issue(receipt)
    _tell(receipt, moment)
    # Last, so that an erasure whose end could not be told has not ended, and can be asked for again.
    if not done:
        values = {"receipt_ref": receipts.ref_of(erasure_id), "outcome": receipt["outcome"]}
        erasures_table.finish(record, values, moment)
    logger.info("erasure ended", erasure_id=erasure_id, outcome=receipt["outcome"])
    return {"outcome": receipt["outcome"]}


def _tell(receipt: dict, moment: float) -> None:
    """Note the erasure for the audit log, and announce it."""
    erasure_id = receipt["erasure_id"]
    facts = {name: receipt[name] for name in ("erasure_id", "tenant", "subject_ref", "outcome")}
    audit_notes.leave("SUBJECT_ERASED", "bulwark", moment, f"{erasure_id}-erased", **facts)
    detail = {
        "event_id": bus.event_id("SubjectErased", erasure_id),
        **facts,
        "receipt_ref": receipts.ref_of(erasure_id),
        "at": receipt["erased_at"],
    }
    bus.announce("SubjectErased", detail)
