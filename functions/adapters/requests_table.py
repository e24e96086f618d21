"""Requests table: one item per request, keyed by tenant and request id; the table decides who was first."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from adapters import payloads, subject_index, subject_keys
from adapters.clock import iso
from adapters.dynamodb import ConditionFailed, as_item, client, get, get_many, put, transact, update, updated
from adapters.paging import merged_page
from adapters.sealing import SubjectKey
from domain.errors import TableContended
from domain.inference.limits import LimitShard
from domain.policy import Policy, UseCase
from domain.requests import Reason, Request, RequestRefused, Status

# The sweeper's index is spread over partitions: one takes a thousand writes a second.
SWEEP_SHARDS = 8
# So are a tenant's outcomes, in the index that lists them.
OUTCOME_SHARDS = 4
# How long a held answer may wait for its review to open before the sweeper opens it.
REVIEW_START_SECONDS = 120
DAY_SECONDS = 86_400
# A subject's key is met anew at each: it was not known, it was erased, it came again.
KEY_ATTEMPTS = 4
# Behind every position, which begins with a moment.
LAST = "~"
_SWEEP = ("sweep", "sweep_at")
# Somebody has yet to end the request's review.
_REVIEWED, _NOT_ADMITTED = "attribute_exists(#sweep) AND #status <> :admitted", {"admitted": Status.ADMITTED}
# The status of what was never a request, but is shown to reviewers like one.
PLANTED = "PLANTED"
ERASED_MESSAGE = "The person it is about asked to be forgotten."
# Who decided on a request that its subject's erasure ended.
ERASURE = "erasure"
# Where an answer stands: itself while small, its place in the bucket above that; never both.
_ANSWER = {"answer", "answer_ref"}


@dataclass(frozen=True, slots=True)
class Claim:
    """Who holds a request id: this execution (`ours`), or an earlier delivery whose record this is."""

    ours: bool
    record: dict


class LimitReached(Exception):
    """A tenant's counter is full: `which` is rate or in_flight."""

    def __init__(self, which: str):
        super().__init__(which)
        self.which = which


def claim(
    request: Request,
    use_case: UseCase,
    shard: LimitShard,
    policy: Policy,
    execution_name: str,
    now: float,
    recorded: dict | None = None,
) -> Claim:
    """Claim a request id once and count it against its tenant's limits, in one transaction.

    What is `recorded` says how the request is to be answered (its guardrail, the event it came by).
    Raises LimitReached, or SubjectClosed while the request's subject is being erased.
    """
    record = {
        **(recorded or {}),
        **_identity(request),
        "execution_name": execution_name,
        "status": Status.ADMITTED,
        "admitted_at": iso(now),
        "policy_version": policy.version,
        "in_flight_key": shard.in_flight_key,
        "retention_class": use_case.retention.name,
        "expires_at": int(now) + use_case.request_days * DAY_SECONDS,
        **_sweep_attributes(request.key, now + policy.request_deadline_seconds),
    }
    if use_case.keeps_answers:
        record["cache_until"] = int(now) + use_case.retention.cache_days * DAY_SECONDS
    limits = os.environ["CONTROL_TABLE"]
    counted = [
        update(
            limits,
            {"control_key": shard.rate_key},
            "attribute_not_exists(#count) OR #count < :limit",
            {"limit": shard.rate_limit},
            set={"expires_at": int(now) + DAY_SECONDS},
            add={"count": 1},
        ),
        update(
            limits,
            {"control_key": shard.in_flight_key},
            "attribute_not_exists(#count) OR #count < :limit",
            {"limit": shard.in_flight_limit},
            add={"count": 1},
        ),
    ]
    try:
        return Claim(True, _put_sealed(request, record, {"payload": request.body}, counted, now))
    except ConditionFailed as failed:
        if failed.index == 0:
            return _claimed(failed.item, execution_name)
        raise LimitReached("rate" if failed.index == 1 else "in_flight") from failed


def _put_sealed(request: Request, record: dict, texts: dict[str, str], others: list[dict], now: float) -> dict:
    """Put a request's record with its texts sealed under its subject's key, and do the other actions; gives the record.

    Raises ConditionFailed with 0 if there is a record already, or with another action's number.
    """
    ref, is_person = record["subject_ref"], bool(request.subject_id)
    # A large text is put before the transaction that tells whether it is under the right key; and of a tenant's
    # requests without a subject, many at once would make their first key.
    if not is_person or not all(map(payloads.is_small, texts.values())):
        subject_keys.look_up(ref)
    for _ in range(KEY_ATTEMPTS):
        key, made_sure = subject_keys.to_seal_with(ref, request.tenant, is_person, now)
        sealed = record | _sealed(request, texts, key, record["expires_at"])
        try:
            transact([put(_table(), sealed, "request_key"), *others, *made_sure])
        except ConditionFailed as failed:
            if failed.index <= len(others):
                raise
            subject_keys.take_in(ref, failed.item)
        else:
            subject_keys.remember(key)
            return sealed
    raise TableContended(f"{KEY_ATTEMPTS} attempts met another key of the same subject")


def _sealed(request: Request, texts: dict[str, str], key: SubjectKey, expires_at: int) -> dict:
    """The texts as the record has them, and by what the audit log may prove them while the key is there."""
    kept = {"subject_mac": key.mark, "body_mac": key.mac(request.body)}
    for name, text in texts.items():
        kept |= payloads.keep(name, request.key, text, key, expires_at)
    return kept


def refuse(refusal: RequestRefused, record: dict, execution_name: str, now: float, keep_days: int) -> Claim:
    """Record that a request is refused before it was admitted; an id that is taken keeps its first record."""
    item = {
        **record,
        "execution_name": execution_name,
        "status": Status.REFUSED,
        "reason": refusal.reason,
        "message": refusal.message,
        "outcome_at": iso(now),
        "admitted_at": iso(now),
        "decided_by": "policy",
        "expires_at": int(now) + keep_days * DAY_SECONDS,
        **_listed(record["request_key"], iso(now)),
    }
    if refusal.field:
        item["field"] = refusal.field
    if refusal.retry_after_seconds:
        item["retry_after_seconds"] = refusal.retry_after_seconds
    try:
        client.put_item(**put(_table(), item, "request_key")["Put"])
    except client.exceptions.ConditionalCheckFailedException:
        return _claimed(find(item["request_key"]), execution_name)
    return Claim(True, item)


def plant(request: Request, review: dict, answer: str, keep_days: int, now: float) -> bool:
    """Record what a planted review is about: no outcome, so nobody hears of it; False if the id is taken."""
    record = {
        **_identity(request),
        "status": PLANTED,
        "admitted_at": iso(now),
        "review": as_item(review),
        "retention_class": review["retention_class"],
        "expires_at": int(now) + keep_days * DAY_SECONDS,
        **_sweep_attributes(request.key, now + REVIEW_START_SECONDS),
    }
    try:
        _put_sealed(request, record, {"payload": request.body, "answer": answer}, [], now)
    except ConditionFailed:
        return False
    return True


def refusal_record(request: Request) -> dict:
    """What a refusal keeps of a request: who and which, and no word of it."""
    return _identity(request)


def record_outcome(
    request_key: str,
    in_flight_key: str,
    status: Status,
    attributes: dict,
    sweep_at: float | None = None,
) -> dict | None:
    """Record an admitted request's one outcome and free its place; gives the record that was first, if one was."""
    sweep = _sweep_attributes(request_key, sweep_at) if sweep_at else {}
    outcome = update(
        _table(),
        {"request_key": request_key},
        "#status = :admitted",
        {"admitted": Status.ADMITTED},
        set={"status": status, **attributes, **sweep, **_listed(request_key, attributes["outcome_at"])},
        remove=() if sweep else _SWEEP,
    )
    free = update(os.environ["CONTROL_TABLE"], {"control_key": in_flight_key}, add={"count": -1})
    try:
        transact([outcome, free])
    except ConditionFailed as failed:
        return failed.item or {}
    return None


def find(request_key: str) -> dict | None:
    return get(_table(), {"request_key": request_key})


def ends_at(record: dict) -> int:
    """When a record's time is over; under a legal hold, when it would be."""
    return int(record.get("expires_at") or record["held_expires_at"])


def move_sweep(request_key: str, at: float) -> dict:
    """An action that has the sweeper look at a request under review at another time."""
    return update(
        _table(), {"request_key": request_key}, _REVIEWED, _NOT_ADMITTED, set=_sweep_attributes(request_key, at)
    )


def close_reviewed(request_key: str) -> dict:
    """An action that ends the review of a request whose outcome does not wait for it."""
    return update(_table(), {"request_key": request_key}, _REVIEWED, _NOT_ADMITTED, remove=_SWEEP)


def close_held(request_key: str, status: Status, attributes: dict) -> dict:
    """An action that ends a held request; an answer among the attributes takes the draft's place."""
    draft = _ANSWER - attributes.keys() if _ANSWER & attributes.keys() else ()
    # Why and until when it was held stays with its review.
    held = {"reason", "message", "due_at"} - attributes.keys()
    return update(
        _table(),
        {"request_key": request_key},
        "#status = :held",
        {"held": Status.HELD},
        set={"status": status, **attributes, **_listed(request_key, attributes["outcome_at"])},
        remove=(*_SWEEP, *draft, *held),
    )


def due_for_sweep(now: float) -> Iterator[dict]:
    """Keys of the requests whose time has come, all shards, oldest first in each."""
    for shard in range(SWEEP_SHARDS):
        pages = client.get_paginator("query").paginate(
            TableName=_table(),
            IndexName="sweep-index",
            KeyConditionExpression="#sweep = :sweep AND #sweep_at <= :now",
            ExpressionAttributeNames={"#sweep": "sweep", "#sweep_at": "sweep_at"},
            ExpressionAttributeValues={":sweep": f"OPEN#{shard}", ":now": int(now)},
        )
        for page in pages:
            yield from page["Items"]


def of_subject(ref: str, index: str, after: str | None, limit: int) -> tuple[list[dict], str | None]:
    """Records that an index lists under a subject's name, and the key to go on behind if there may be more."""
    keys = list(subject_index.keys(_table(), "request_key", ref, index=index, after=after, limit=limit))
    records = get_many(_table(), [{"request_key": key} for key in keys], consistent=True)
    return records, keys[-1] if len(keys) == limit else None


def close_erased(record: dict, token: str | None, now: float) -> dict:
    """An action that leaves a request nothing to wait for, and tells its producer if it waited for a person.

    The token of the workflow that waited stays with it, until that has been told.
    """
    outcome = {"erase_token": token} if token else {}
    if record["status"] == Status.HELD:
        outcome |= {"status": Status.FAILED, "reason": Reason.SUBJECT_ERASED, "message": ERASED_MESSAGE}
        outcome |= {"decided_by": ERASURE, "outcome_at": iso(now), **_listed(record["request_key"], iso(now))}
    return update(
        _table(),
        {"request_key": record["request_key"]},
        "#status = :seen",
        {"seen": record["status"]},
        set=outcome,
        remove=(*_SWEEP, "due_at"),
    )


def forget_user(request_key: str) -> None:
    """Take the user out of a request that is about somebody else, unless a legal hold keeps it as it is."""
    action = update(
        _table(),
        {"request_key": request_key},
        "attribute_exists(request_key) AND attribute_not_exists(held_expires_at)",
        remove=("user_id", "user_ref", "session_id"),
    )
    updated(action)  # or else it is erased meanwhile, with the person it is about, or held


def delete(request_key: str) -> None:
    client.delete_item(TableName=_table(), Key={"request_key": request_key})


def outcomes_before(
    tenants: list[str], before: str, limit: int, filters: Mapping[str, str], sees: Callable[[str, str], bool]
) -> tuple[list[dict], str | None]:
    """Outcomes of tenants, the latest first, and where to go on from if there may be more."""
    shards = [f"{tenant}#{shard}" for tenant in tenants for shard in range(OUTCOME_SHARDS)]

    def accept(record: dict) -> bool:
        wanted = all(filters.get(name, record[name]) == record[name] for name in ("status", "use_case"))
        return wanted and sees(record["tenant"], record["use_case"])

    fetches = [partial(_outcomes_page, shard) for shard in shards]
    return merged_page(fetches, "outcome_position", before or LAST, limit, accept, descending=True)


def _outcomes_page(shard: str, before: str, limit: int) -> list[dict]:
    return client.query(
        TableName=_table(),
        IndexName="outcome-index",
        KeyConditionExpression="#shard = :shard AND #position < :before",
        ExpressionAttributeNames={"#shard": "outcome_shard", "#position": "outcome_position"},
        ExpressionAttributeValues={":shard": shard, ":before": before},
        ScanIndexForward=False,
        Limit=limit,
    )["Items"]


def _listed(request_key: str, outcome_at: str) -> dict:
    """The attributes by which an outcome is listed: a shard of its tenant's, and a position that is its own."""
    digest = hashlib.sha256(request_key.encode()).hexdigest()[:16]
    shard = int(digest, 16) % OUTCOME_SHARDS
    return {
        "outcome_shard": f"{request_key.partition('#')[0]}#{shard}",
        "outcome_position": f"{outcome_at}#{digest}",
    }


def _claimed(record: dict | None, execution_name: str) -> Claim:
    record = record or {}
    return Claim(record.get("execution_name") == execution_name, record)


def _identity(request: Request) -> dict:
    known = {
        "request_key": request.key,
        "tenant": request.tenant,
        "request_id": request.request_id,
        "use_case": request.use_case,
        "channel": request.channel,
        "body_digest": request.body_digest,
        "user_id": request.user_id,
        "session_id": request.session_id,
        "subject_id": request.subject_id,
        "subject_ref": subject_keys.subject_ref(request.tenant, request.subject_id),
    }
    if request.user_id and request.user_id != request.subject_id:
        # Who asks about somebody else is a person to be found, too.
        known["user_ref"] = subject_keys.subject_ref(request.tenant, request.user_id)
    return {name: value for name, value in known.items() if value is not None}


def _sweep_attributes(request_key: str, at: float) -> dict:
    shard = sum(request_key.encode()) % SWEEP_SHARDS
    return {"sweep": f"OPEN#{shard}", "sweep_at": int(at) + 1}


def _table() -> str:
    return os.environ["REQUESTS_TABLE"]
