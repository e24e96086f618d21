"""DropKey: keeps what the search found, and forgets the subject's key, with all that is sealed under it."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import subject_keys
from adapters.clock import iso, now
from adapters.governance import erasures_table
from domain.errors import SubjectHeld

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> None:
    moment, erasure_id, ref = iso(now()), event["erasure_id"], event["subject_ref"]
    record = erasures_table.find(erasure_id) or {}
    residual = {one["store"]: one["found"] for one in event["searched"]}
    values = {"residual": residual, "round": event["round"], "erased_at": record.get("erased_at", moment)}
    if "before" in record:
        subject_keys.drop_older(ref, record["before"])
    else:
        if "key_dropped_at" not in record:
            _drop(ref, record)
        values["key_dropped_at"] = record.get("key_dropped_at", moment)
    erasures_table.change(erasure_id, **values)
    logger.info("key dropped", erasure_id=erasure_id, residual=sum(residual.values()))


def _drop(ref: str, record: dict) -> None:
    try:
        subject_keys.drop(ref, record["erasure_id"])
    except SubjectHeld:
        item = subject_keys.find(ref)
        if item and item["created_at"] <= record["requested_at"]:
            raise
        # It was dropped by a run that died here, and the key that is there now is a new one.
        logger.info("key was dropped before", erasure_id=record["erasure_id"])
