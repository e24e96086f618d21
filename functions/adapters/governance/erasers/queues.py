"""Queues, gone through message by message: what could not be delivered or processed names its subject in the clear."""

import os
import random
import re
import time
from functools import cache
from typing import Any

import boto3

from adapters import payloads, policy, requests_table
from adapters.clock import epoch, now
from adapters.governance import erasures_table
from adapters.governance.erasers import objects
from adapters.governance.erasers.cases import Case, Hurry, Progress
from adapters.governance.erasers.references import can_be_key
from domain.errors import PayloadGone, SubjectClosed
from domain.foreign_json import NotJson, read_json
from domain.governance.erasures import event_of, names

# While a queue is searched, what was looked at is hidden for so long; it is shown again at once when all is seen.
HIDDEN_SECONDS = 120
# A long poll asks all of a queue's hosts: nothing then means that there is nothing.
LONG_POLL_SECONDS = 1
BUSY_SECONDS = 5
# So long an erasure waits for its turn at a queue before it comes again.
TURN_SECONDS = 20
# What makes an id another one where it stands beside it.
_OF_AN_ID = r"[\w.:@+-]"


@cache
def client() -> Any:
    """The client of SQS, made for the first queue: of those who erase, few come to one."""
    return boto3.client("sqs")


def erase_undelivered(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["UNDELIVERED_QUEUE"], case, hurry, True)


def erase_dead_letters(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["DEAD_LETTER_QUEUE"], case, hurry, True)


def search_undelivered(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["UNDELIVERED_QUEUE"], case, hurry, False)


def search_dead_letters(case: Case, position: str | None, hurry: Hurry) -> Progress:
    return _through(os.environ["DEAD_LETTER_QUEUE"], case, hurry, False)


def _through(queue: str, case: Case, hurry: Hurry, deletes: bool) -> Progress:
    """Go through all messages of a queue; those that are not the subject's are shown again at once."""
    if case.subject_id is None:
        return Progress(0)
    name = queue.rpartition("/")[2]
    # Whoever searches hides messages from others who do.
    if not _take_turn(name, case, hurry):
        return Progress(0, False, None, BUSY_SECONDS)
    kept, count, seen_all = [], 0, False
    try:
        while not hurry():
            answer = client().receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=10,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=LONG_POLL_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["reason"],
            )
            received = answer.get("Messages", [])
            if not received:
                seen_all = True
                break
            for message in received:
                if _is_held_back(case, message) or not _is_message_of(case, message["Body"], deletes):
                    kept.append(message["ReceiptHandle"])
                    continue
                count += 1
                if deletes:
                    client().delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                else:
                    kept.append(message["ReceiptHandle"])
        if seen_all and _hidden(queue) > len(kept):
            # Somebody else has messages in hand: they come back, or go elsewhere, and have to be looked at then.
            return Progress(count, False, None, BUSY_SECONDS)
        return Progress(count, seen_all)
    finally:
        if seen_all:
            _show(queue, kept)
        erasures_table.unlock(name, case.erasure_id)


def _take_turn(name: str, case: Case, hurry: Hurry) -> bool:
    until = time.monotonic() + TURN_SECONDS
    while not erasures_table.lock(name, case.erasure_id, now()):
        if hurry() or time.monotonic() > until:
            return False
        time.sleep(random.uniform(0.1, 0.3))
    return True


def _hidden(queue: str) -> int:
    name = "ApproximateNumberOfMessagesNotVisible"
    return int(client().get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])


def _show(queue: str, handles: list[str]) -> None:
    for start in range(0, len(handles), 10):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + 10])
        ]
        client().change_message_visibility_batch(QueueUrl=queue, Entries=entries)


def _is_held_back(case: Case, message: dict) -> bool:
    """Whether it is a request that waits for the erasure's end: what was asked since is the person's new life."""
    reason = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
    sent = int(message["Attributes"]["SentTimestamp"]) / 1000
    return reason == SubjectClosed.__name__ and sent >= epoch(case.record["requested_at"])


def _is_message_of(case: Case, text: str, deletes: bool) -> bool:
    try:
        body = read_json(text)
    except NotJson:
        # Nobody can replay it; it is somebody's all the same.
        return re.search(rf"(?<!{_OF_AN_ID}){re.escape(case.subject_id)}(?!{_OF_AN_ID})", text) is not None
    event = event_of(body)
    if can_be_key(event.get("request_key")):
        return (requests_table.find(event["request_key"]) or {}).get("subject_ref") == case.ref
    if _tenant_of(case, event) != case.tenant:
        return False
    detail = event.get("detail")
    if can_be_key(ref := event.get("detail_ref")):
        try:
            detail = read_json(payloads.get(ref))
        except (PayloadGone, NotJson):
            return False
        if mine := names(detail, case.subject_id):
            if deletes:
                objects.delete([ref])
        return mine
    return names(detail, case.subject_id)


def _tenant_of(case: Case, event: dict) -> str | None:
    if "tenant" in event:
        return event["tenant"]
    account, source = event.get("account"), event.get("source")
    if not isinstance(account, str) or not isinstance(source, str):
        return None
    tenant = policy.current().tenant_of(account, source, case.own_account)
    return tenant.name if tenant else None
