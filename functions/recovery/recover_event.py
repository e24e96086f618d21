"""RecoverEvent: takes what EventBridge could not deliver; restarts by reference what was only too large."""

import json
import uuid

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import dead_letters, payloads, workflows
from domain.foreign_json import NotJson, read_json

# StartExecution takes 262,144 bytes of input; only an event beyond that is refused for its size.
MAX_INPUT_BYTES = 262_144

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    failures = []
    for record in event["Records"]:
        try:
            _recover(record)
        except Exception:
            # The queue delivers it again, and after its last receive keeps it in the dead-letter queue.
            logger.exception("event not recovered", message_id=record["messageId"])
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def _recover(record: dict) -> None:
    body, attributes = record["body"], record.get("messageAttributes", {})
    reason = "; ".join(
        attributes[name]["stringValue"] for name in ("ERROR_CODE", "ERROR_MESSAGE") if name in attributes
    )
    if len(body.encode()) <= MAX_INPUT_BYTES:
        dead_letters.park("event", body, reason or "EventBridge could not deliver the event and did not say why")
        logger.error("event parked", message_id=record["messageId"], reason=reason)
        return
    try:
        event = read_json(body)
        detail = json.dumps(event["detail"], ensure_ascii=False)
        known = {name: event[name] for name in ("id", "account", "source")}
    except (NotJson, TypeError, KeyError) as error:
        what = str(error) if isinstance(error, NotJson) else "is no event"
        dead_letters.park("event", body, f"it can only fail: its body {what}")
        logger.error("event parked", message_id=record["messageId"], reason=what)
        return
    # Half a surrogate pair cannot be written as UTF-8; AdmitRequest refuses it by the field's name.
    reference = known | {"detail_ref": payloads.put_event(detail.encode(errors="surrogatepass"))}
    # Express runs a name as often as it is started, and who has a claim's name has the claim: no two may share one.
    workflows.start_inference(reference, f"recovered-{event['id']}-{uuid.uuid4().hex[:8]}")
    logger.info("large event restarted by reference", event_id=event["id"], bytes=len(body))
