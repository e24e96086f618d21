"""replay-dlq: sends once more what nobody could process, each in the way that fits what it is."""

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bulwark.cli import render
from bulwark.cli.exits import Problem, command
from bulwark.cli.records import plain, typed
from bulwark.cli.target import EndpointOption, FunctionFailed, JsonOption, StackOption, Target, reach

MAX_INPUT_BYTES = 262_144  # of StartExecution
MAX_PAYLOAD_BYTES = 5_000_000  # Lambda takes 6 MB in one invocation
HIDDEN_SECONDS = 120


class NotReplayed(Exception):
    """The message stays in the queue; says why."""


def register(app: typer.Typer) -> None:
    command(app, "replay-dlq")(replay_dlq)


def replay_dlq(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is there and why, and change nothing.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many messages.")] = 1000,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Replay the dead-letter queue: what could not be processed, with the reason, is sent again.

    An event that was not admitted starts inference again; an outcome that was not announced is announced
    again, under the same event id; so are outcomes whose stream batch was given up. What the audit log lacks is
    recorded. A message is deleted only
    when that was accepted. What fails once more comes back to the queue with its new reason.

    \b
    bulwark replay-dlq --dry-run
    bulwark replay-dlq
    bulwark replay-dlq --stack bulwark-prod --json | jq '.[] | select(.replayed | not)'

    Ends with 1 if a message could not be replayed.
    """
    target = reach(stack, endpoint)
    told = list(replay(target, limit, dry_run))
    if as_json:
        render.print_json(told)
    else:
        rows = [(one["kind"], one["about"], one["reason"], one["result"]) for one in told]
        render.table(("kind", "about", "reason it is here", "would be" if dry_run else "result"), rows)
        if not told:
            render.say("The dead-letter queue is empty.")
    if not dry_run and any(not one["replayed"] for one in told):
        raise Problem("Some messages could not be replayed; they are still in the queue.")


def replay(target: Target, limit: int = 1000, dry_run: bool = False) -> Iterator[dict]:
    """Replay each message that is in the queue now; gives what it was, why it was there and its result."""
    sqs, queue, kept = target.client("sqs"), target.outputs["DeadLetterQueueUrl"], []
    try:
        for message in _messages(sqs, queue, limit, target.is_local):
            letter = _read(message)
            about = {name: letter[name] for name in ("kind", "about", "reason")}
            if dry_run:
                kept.append(message)
                yield about | {"result": letter["plan"], "replayed": False}
                continue
            try:
                result = letter["replay"](target)
            except Exception as error:
                # One message that cannot be replayed keeps back no other.
                kept.append(message)
                yield about | {"result": f"kept: {error}", "replayed": False}
            else:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                yield about | {"result": result, "replayed": True}
    finally:
        for message in kept:
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)


def _messages(sqs: Any, queue: str, limit: int, is_local: bool) -> Iterator[dict]:
    """Each message once: a replay that fails again comes back as a new one, and is left for the next time."""
    begun, seen = datetime.now().timestamp() * 1000, set[str]()
    # On AWS a queue's hosts are asked a few at a time: one empty answer does not mean an empty queue.
    (enough, wait), empty = (1, 0) if is_local else (3, 1), 0
    while len(seen) < limit and empty < enough:
        received = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=min(10, limit - len(seen)),
            VisibilityTimeout=HIDDEN_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
            WaitTimeSeconds=wait,
        ).get("Messages", [])
        new = 0
        for message in received:
            ours = int(message["Attributes"]["SentTimestamp"]) <= begun and message["MessageId"] not in seen
            if not ours:
                sqs.change_message_visibility(
                    QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=5
                )
                continue
            new += 1
            seen.add(message["MessageId"])
            yield message
        empty = 0 if new else empty + 1


def _read(message: dict) -> dict:
    """What a message is, why it is here, and how it is replayed."""
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    said = [attributes[name] for name in ("reason", "ERROR_CODE", "ERROR_MESSAGE") if attributes.get(name)]
    letter = {
        "kind": attributes.get("kind") or "unknown",
        "about": "-",
        "reason": "; ".join(said) or "not said",
    }
    try:
        body = json.loads(message["Body"])
    except ValueError as error:
        return letter | _irreparable(f"its body is no JSON: {error}")
    if not isinstance(body, dict):
        return letter | _irreparable("its body is no JSON object")
    if batch := body.get("DDBStreamBatchInfo"):
        condition = body.get("requestContext", {}).get("condition", "not said")
        about = f"{batch.get('batchSize', '?')} records from {batch.get('startSequenceNumber')}"
        reader = str(body.get("requestContext", {}).get("functionArn", ""))
        plan = {
            "plan": "read from the stream and handed over again",
            "replay": lambda target: _replay_batch(target, batch, reader),
        }
        return letter | {"kind": "stream", "about": about, "reason": condition} | plan
    if attributes.get("kind") == "outcome" and "request_key" in body:
        key = body["request_key"]
        plan = {"plan": "announced", "replay": lambda target: _announce(target, {"replay": [key]})}
        return letter | {"about": key} | plan
    if attributes.get("kind") == "audit" and "new" in body.get("audit", {}):
        change = body["audit"]
        plan = {"plan": "recorded", "replay": lambda target: _record(target, {"replay": [change]})}
        return letter | {"about": change["event_id"]} | plan
    # One that EventBridge could not deliver, or that the function gave up on.
    asked = body.get("requestPayload") if isinstance(body.get("requestPayload"), dict) else body
    if asked.get("detail-type") == "ErasureRequested":
        # Its subject is a person's name, which is not for the screen.
        plan = {"plan": "asked for again", "replay": lambda target: _erase(target, asked)}
        return letter | {"kind": "erasure", "about": str(asked.get("id", "-"))} | plan
    if "detail" in body or "detail_ref" in body:
        about = (body.get("detail") or {}).get("request_id") if isinstance(body.get("detail"), dict) else None
        plan = {"plan": "started", "replay": lambda target: _start(target, body)}
        return letter | {"kind": "event", "about": str(about or body.get("id", "-"))[:60]} | plan
    return letter | _irreparable("it is neither an event, nor an outcome, nor a stream's batch")


def _irreparable(why: str) -> dict:
    def refuse(_: Target) -> str:
        raise NotReplayed(why)

    return {"plan": f"kept: {why}", "replay": refuse}


def _start(target: Target, event: dict) -> str:
    """Start inference with the event, by reference where it is too large for an execution's input."""
    bucket, s3 = target.outputs["PayloadBucket"], target.client("s3")
    if "detail_ref" in event:
        _require_body(s3, bucket, event["detail_ref"])
    text, how = json.dumps(event, ensure_ascii=False), "started"
    if len(text.encode()) > MAX_INPUT_BYTES:
        ref = f"events/{uuid.uuid4()}.json"
        s3.put_object(Bucket=bucket, Key=ref, Body=json.dumps(event["detail"], ensure_ascii=False).encode())
        known = {name: event[name] for name in ("id", "account", "source") if name in event}
        text, how = json.dumps(known | {"detail_ref": ref}), "started by reference"
    started = target.client("stepfunctions").start_execution(
        stateMachineArn=target.outputs["InferenceStateMachineArn"],
        name=f"replayed-{uuid.uuid4()}",
        input=text,
    )
    return f"{how} as {started['executionArn'].split(':')[7]}"


def _erase(target: Target, event: dict) -> str:
    try:
        said = target.invoke(target.outputs["RequestErasureFunctionName"], event)
    except FunctionFailed as failed:
        raise NotReplayed(f"RequestErasure failed: {failed.kind}") from failed
    if not said["erasure_id"]:
        raise NotReplayed(f"refused: {said['refused']}")
    return f"on its way as {said['erasure_id']}"


def _require_body(s3: Any, bucket: str, ref: str) -> None:
    try:
        s3.head_object(Bucket=bucket, Key=ref)
    except s3.exceptions.ClientError as error:
        raise NotReplayed(f"its body {ref} has expired from the payload bucket") from error


def _replay_batch(target: Target, batch: dict, reader: str) -> str:
    """Hand over a batch that its reader gave up on, from the stream while it has it.

    Later, outcomes are announced from the table, and the audit log is told that it has a gap.
    """
    is_audit = f":{target.outputs['RecordAuditFunctionName']}" in reader
    streams = target.client("dynamodbstreams")
    try:
        records = list(_records(streams, batch))
    except streams.exceptions.TrimmedDataAccessException:
        if is_audit:
            return _tell_gap(target, batch)
        keys = _ended_between(target, batch)
        for start in range(0, len(keys), 100):
            _announce(target, {"replay": keys[start : start + 100]})
        return f"no longer in the stream (24 h): {len(keys)} outcomes of that time announced from the table"
    for chunk in _chunks(records):
        _invoke(target, reader or target.outputs["PublishOutcomeFunctionName"], {"Records": chunk})
    return f"{len(records)} records {'recorded' if is_audit else 'announced'}"


def _tell_gap(target: Target, batch: dict) -> str:
    """Leave a note that the log lacks a batch for good; the same batch leaves one."""
    from adapters.clock import iso, now
    from domain.governance import audit

    facts = {
        "source": batch["streamArn"].split("/")[1],
        "changes": str(batch.get("batchSize", "?")),
        "first": batch["approximateArrivalOfFirstRecord"],
        "last": batch["approximateArrivalOfLastRecord"],
    }
    moment = now()
    note = audit.note(f"gap-{batch['startSequenceNumber']}", "AUDIT_GAP", audit.SYSTEM, facts, iso(moment), moment)
    target.client("dynamodb").put_item(TableName=target.outputs["ControlTable"], Item=typed(note))
    return f"no longer in the stream (24 h): the audit log says that it lacks {facts['changes']} changes"


def _records(streams: Any, batch: dict) -> Iterator[dict]:
    iterator = streams.get_shard_iterator(
        StreamArn=batch["streamArn"],
        ShardId=batch["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=batch["startSequenceNumber"],
    )["ShardIterator"]
    last = int(batch["endSequenceNumber"])
    while iterator:
        page = streams.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > last:
                return
            yield json.loads(json.dumps(record, default=_as_event))
            if int(record["dynamodb"]["SequenceNumber"]) == last:
                return
        if not page["Records"]:
            return
        iterator = page.get("NextShardIterator")


def _as_event(value: Any) -> Any:
    """Moments and bytes as Lambda writes them into a stream's event."""
    if isinstance(value, datetime):
        return value.timestamp()
    return base64.b64encode(value).decode()


def _chunks(records: list[dict]) -> Iterator[list[dict]]:
    chunk, size = [], 0
    for record in records:
        bytes_ = len(json.dumps(record))
        if chunk and size + bytes_ > MAX_PAYLOAD_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += bytes_
    if chunk:
        yield chunk


def _ended_between(target: Target, batch: dict) -> list[str]:
    """Keys of the requests that got their outcome while the batch's records arrived."""
    pages = (
        target.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=target.outputs["RequestsTable"],
            ProjectionExpression="request_key",
            FilterExpression="outcome_at BETWEEN :first AND :last AND #status <> :admitted",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                # A record reaches the stream moments after the outcome it carries.
                ":first": {"S": _minutes_off(batch["approximateArrivalOfFirstRecord"], -1)},
                ":last": {"S": _minutes_off(batch["approximateArrivalOfLastRecord"], 1)},
                ":admitted": {"S": "ADMITTED"},
            },
        )
    )
    return [plain(item)["request_key"] for page in pages for item in page["Items"]]


def _minutes_off(moment: str, minutes: int) -> str:
    from datetime import timedelta

    moved = datetime.fromisoformat(moment).astimezone(UTC) + timedelta(minutes=minutes)
    return moved.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _announce(target: Target, payload: dict) -> str:
    _invoke(target, target.outputs["PublishOutcomeFunctionName"], payload)
    return "announced"


def _record(target: Target, payload: dict) -> str:
    _invoke(target, target.outputs["RecordAuditFunctionName"], payload)
    return "recorded"


def _invoke(target: Target, name: str, payload: dict) -> None:
    try:
        said = target.invoke(name, payload) or {}
    except FunctionFailed as failed:
        raise NotReplayed(f"{name} failed: {failed}") from failed
    if said.get("batchItemFailures"):
        raise NotReplayed(f"{name} could not take it now; its log says why")
