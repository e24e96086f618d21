"""replay-dlq: sends once more what nobody could process, each in the way that fits what it is."""

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from bulwark.cli import render
from bulwark.cli.exits import Problem, command
from bulwark.cli.records import plain, typed
from bulwark.cli.target import EndpointOption, FunctionFailed, JsonOption, StackOption, Target, reach
from bulwark.rules import NotJson, is_broken, read_json

MAX_INPUT_BYTES = 262_144  # of StartExecution
MAX_PAYLOAD_BYTES = 5_000_000  # Lambda takes 6 MB in one invocation
HIDDEN_SECONDS = 120


class NotReplayed(Exception):
    """The message stays in the queue; says why."""


class CanOnlyFail(NotReplayed):
    """No replay of this message will ever go better; says why."""


def register(app: typer.Typer) -> None:
    command(app, "replay-dlq")(replay_dlq)


def replay_dlq(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is there and why, and change nothing.")] = False,
    drop: Annotated[
        bool, typer.Option("--drop-unreadable", help="Delete what can only fail, and say of each what it was.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many messages.")] = 1000,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Replay the dead-letter queue: what could not be processed, with the reason, is sent again.

    An event that was not admitted starts inference again; an outcome that was not announced is announced
    again, under the same event id; so are outcomes whose stream batch was given up. What the audit log lacks is
    recorded. A message is deleted only
    when that was accepted. What fails once more comes back to the queue with its new reason. What can only fail,
    since it cannot be read or is nothing of ours, is named and stays until --drop-unreadable takes it away.

    \b
    bulwark replay-dlq --dry-run
    bulwark replay-dlq
    bulwark replay-dlq --drop-unreadable
    bulwark replay-dlq --stack bulwark-prod --json | jq '.[] | select(.replayed | not)'

    Ends with 1 if a message could not be replayed, or was in somebody else's hands.
    """
    target, told = reach(stack, endpoint), list[dict]()
    in_flight = _in_flight(target)
    try:
        for one in replay(target, limit, dry_run, drop):
            told.append(one)
    finally:
        _show(told, dry_run, as_json)
    if in_flight:
        hint = f"Whoever received them has them for up to {HIDDEN_SECONDS} s; run it again then."
        raise Problem(f"Messages in flight when this began, and not looked at: {in_flight}.", hint)
    if not told and not as_json:
        render.say("The dead-letter queue is empty.")
    left = [one for one in told if not one["replayed"] and not one["dropped"]]
    if left and not dry_run:
        hopeless = any(one["can_only_fail"] for one in left)
        hint = "Look at what can only fail, and take it away with --drop-unreadable." if hopeless else ""
        raise Problem("Some messages could not be replayed; they are still in the queue.", hint)


def _show(told: list[dict], dry_run: bool, as_json: bool) -> None:
    if as_json:
        render.print_json(told)
        return
    rows = [(one["kind"], one["about"], one["reason"], one["result"]) for one in told]
    render.table(("kind", "about", "reason it is here", "would be" if dry_run else "result"), rows)


def replay(target: Target, limit: int = 1000, dry_run: bool = False, drop: bool = False) -> Iterator[dict]:
    """Replay each message that is in the queue now; gives what it was, why it was there and its result."""
    sqs, queue, kept = target.client("sqs"), target.outputs["DeadLetterQueueUrl"], list[dict]()
    try:
        for message in _messages(sqs, queue, limit, target.is_local, kept):
            letter = _read(message)
            told = {name: letter[name] for name in ("kind", "about", "reason")}
            told |= _planned(letter, drop) if dry_run else _replayed(letter, target)
            told["dropped"] = told["can_only_fail"] and drop and not dry_run
            if told["dropped"]:
                told["result"] = f"dropped {_mark(message)}: {told['result']}"
            if not (told["replayed"] or told["dropped"]):
                kept.append(message)
            elif not _is_deleted(sqs, queue, message):
                told["result"] += "; it could not be deleted, and comes again"
            yield told
    finally:
        for message in kept:
            with suppress(sqs.exceptions.ClientError):
                sqs.change_message_visibility(
                    QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )


def _planned(letter: dict, drop: bool) -> dict:
    hopeless = letter["hopeless"]
    plan = letter["plan"].replace("kept", "dropped", 1) if hopeless and drop else letter["plan"]
    return {"result": plan, "replayed": False, "can_only_fail": hopeless}


def _replayed(letter: dict, target: Target) -> dict:
    """What became of one message; whatever is wrong with it keeps back no other."""
    try:
        return {"result": letter["replay"](target), "replayed": True, "can_only_fail": False}
    except CanOnlyFail as error:
        return {"result": f"kept, and can only fail: {error}", "replayed": False, "can_only_fail": True}
    except Exception as error:
        said = str(error) if isinstance(error, NotReplayed) else f"{type(error).__name__}: {error}"
        return {"result": f"kept: {' '.join(said.split())[:300]}", "replayed": False, "can_only_fail": False}


def _mark(message: dict) -> str:
    """What tells afterwards which message it was: its id, its size and its digest."""
    body = message["Body"].encode(errors="surrogatepass")
    return f"{message['MessageId']}, {len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"


def _is_deleted(sqs: Any, queue: str, message: dict) -> bool:
    try:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    except sqs.exceptions.ClientError:
        return False
    return True


def _in_flight(target: Target) -> int:
    """How many messages somebody else has received, and has not given back yet."""
    name = "ApproximateNumberOfMessagesNotVisible"
    found = target.client("sqs").get_queue_attributes(
        QueueUrl=target.outputs["DeadLetterQueueUrl"], AttributeNames=[name]
    )
    return int(found["Attributes"][name])


def _messages(sqs: Any, queue: str, limit: int, is_local: bool, later: list[dict]) -> Iterator[dict]:
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
                later.append(message)
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
        "hopeless": False,
    }
    try:
        return letter | _recognised(read_json(message["Body"]), attributes.get("kind"))
    except NotJson as error:
        return letter | _hopeless(f"its body {error}")
    except (AttributeError, KeyError, TypeError, ValueError):
        return letter | _hopeless("it begins like one of ours and lacks what those have")


def _recognised(body: Any, kind: str | None) -> dict:
    """What is known of a message by its body; raises what any of Python's look-ups does where the body is odd."""
    if not isinstance(body, dict):
        return _hopeless("its body is no JSON object")
    if batch := body.get("DDBStreamBatchInfo"):
        return _batch(batch, body.get("requestContext", {}))
    if kind == "outcome" and "request_key" in body:
        key = _text(body["request_key"])
        return {"about": key, "plan": "announced", "replay": lambda target: _announce(target, {"replay": [key]})}
    if kind == "audit" and "new" in body.get("audit", {}):
        change = body["audit"]
        plan = {"plan": "recorded", "replay": lambda target: _record(target, {"replay": [change]})}
        return {"about": _text(change["event_id"])} | plan
    # One that EventBridge could not deliver, or that the function gave up on.
    asked = body.get("requestPayload") if isinstance(body.get("requestPayload"), dict) else body
    if asked.get("detail-type") == "ErasureRequested":
        # Its subject is a person's name, which is not for the screen.
        plan = {"plan": "asked for again", "replay": lambda target: _erase(target, asked)}
        return {"kind": "erasure", "about": str(asked.get("id", "-"))} | plan
    if "detail" in body or "detail_ref" in body:
        for name in {"id", "account", "source", "detail_ref"} & body.keys():
            _text(body[name])
        about = (body.get("detail") or {}).get("request_id") if isinstance(body.get("detail"), dict) else None
        plan = {"plan": "started", "replay": lambda target: _start(target, body)}
        return {"kind": "event", "about": str(about or body.get("id", "-"))[:60]} | plan
    return _hopeless("it is neither an event, nor an outcome, nor a stream's batch")


def _batch(batch: dict, context: dict) -> dict:
    for name in ("streamArn", "shardId", "startSequenceNumber", "endSequenceNumber"):
        _text(batch[name])
    reader = str(context.get("functionArn", ""))
    return {
        "kind": "stream",
        "about": f"{batch.get('batchSize', '?')} records from {batch['startSequenceNumber']}",
        "reason": str(context.get("condition", "not said")),
        "plan": "read from the stream and handed over again",
        "replay": lambda target: _replay_batch(target, batch, reader),
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _hopeless(why: str) -> dict:
    def refuse(_: Target) -> str:
        raise CanOnlyFail(why)

    return {"plan": f"kept, and can only fail: {why}", "replay": refuse, "hopeless": True}


def _start(target: Target, event: dict) -> str:
    """Start inference with the event, by reference where it is too large for an execution's input."""
    bucket, s3 = target.outputs["PayloadBucket"], target.client("s3")
    if "detail_ref" in event:
        _require_body(s3, bucket, event["detail_ref"])
    # Half a surrogate pair stays an escape; AdmitRequest refuses it by the field's name.
    text, how = json.dumps(event, ensure_ascii=False), "started"
    text = json.dumps(event) if is_broken(text) else text
    if len(text.encode()) > MAX_INPUT_BYTES:
        ref = f"events/{uuid.uuid4()}.json"
        detail = json.dumps(event["detail"], ensure_ascii=False)
        s3.put_object(Bucket=bucket, Key=ref, Body=detail.encode(errors="surrogatepass"))
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
        raise CanOnlyFail(f"refused: {said['refused']}")
    return f"on its way as {said['erasure_id']}"


def _require_body(s3: Any, bucket: str, ref: str) -> None:
    try:
        s3.head_object(Bucket=bucket, Key=ref)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey"):
            raise
        raise CanOnlyFail(f"its body {ref} has expired from the payload bucket") from error


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
