"""Subject keys: each person's words are sealed under a key of their own, so that forgetting the key forgets the words.

An envelope in three layers: KMS wraps the root (root_key.py), the root wraps each subject's key, the subject's key
seals texts (sealing.py). Which key is whose, and whether it may be used or forgotten, is the table's to say; a process
remembers what the table said last (key_memory.py).
"""

import hmac
import os
from collections.abc import Iterable

from adapters import root_key
from adapters.clock import iso
from adapters.dynamodb import ATTEMPTS, client, get, get_many, put, update, updated
from adapters.key_memory import forget, remember, remembered, seen_lately
from adapters.sealing import KEY_BYTES, SubjectKey
from domain.errors import SubjectClosed, SubjectErased, SubjectHeld, TableContended


def subject_ref(tenant: str, subject_id: str | None) -> str:
    """A subject's name in every store: the same for the same subject, and a guess at it proves nothing.

    A request without a subject belongs to its tenant.
    """
    named = f"{tenant}\0{subject_id or ''}".encode()
    return hmac.digest(root_key.derived(b"refs"), named, "sha256").hex()[:32]


def create(ref: str, tenant: str, now: float) -> tuple[SubjectKey, dict]:
    """A new key for a subject, and the item that has to be put if the subject has none."""
    key = os.urandom(KEY_BYTES)
    item = {
        "subject_ref": ref,
        "tenant": tenant,
        "wrapped_key": root_key.wrap(ref, key),
        "created_at": iso(now),
    }
    return SubjectKey(ref, key, item["wrapped_key"]), item


def make(ref: str, tenant: str, now: float) -> SubjectKey:
    """A subject's key, made now unless somebody was first."""
    key, item = create(ref, tenant, now)
    try:
        client.put_item(TableName=_table(), Item=item, ConditionExpression="attribute_not_exists(subject_ref)")
    except client.exceptions.ConditionalCheckFailedException:
        found = find(ref)
        if found is None:
            raise SubjectErased(ref) from None
        return unwrap(ref, found["wrapped_key"])
    return key


def unwrap(ref: str, wrapped_key: str) -> SubjectKey:
    """The key in the clear; raises SubjectErased where it is not this subject's."""
    return SubjectKey(ref, root_key.unwrap(ref, wrapped_key), wrapped_key)


def carried(subject: dict) -> SubjectKey:
    """The key that a request's plan carries with it, as `ref` and `wrapped_key`."""
    key = remembered(subject["ref"])
    return key if key and key.wrapped == subject["wrapped_key"] else unwrap(subject["ref"], subject["wrapped_key"])


def find(ref: str) -> dict | None:
    """A subject's item: its wrapped_key, and where they are so `hold` and `erasure`."""
    return get(_table(), {"subject_ref": ref})


def ref_of(record: dict) -> str:
    """Whose a record is: its subject's, or else its tenant's."""
    return record.get("subject_ref") or subject_ref(record["tenant"], None)


def of(record: dict) -> SubjectKey:
    """The key that a record's words are under; raises SubjectErased if it is gone."""
    ref = ref_of(record)
    if key := seen_lately(ref, record.get("subject_mac")):
        return key
    item = find(ref)
    if item is None:
        forget(ref)
        raise SubjectErased(ref)
    return _met(item)


def of_many(records: Iterable[dict]) -> dict[str, SubjectKey]:
    """The keys that records' words are under, by ref_of() each, read together; without those that are gone."""
    known, unknown = {}, set()
    for record in records:
        ref = ref_of(record)
        if key := seen_lately(ref, record.get("subject_mac")):
            known[ref] = key
        else:
            unknown.add(ref)
    items = get_many(_table(), [{"subject_ref": ref} for ref in sorted(unknown)], consistent=True)
    return {ref: key for ref, key in known.items() if ref not in unknown} | {
        item["subject_ref"]: _met(item) for item in items
    }


def to_seal_with(ref: str, tenant: str, is_person: bool, now: float) -> tuple[SubjectKey, list[dict]]:
    """A key for new words, and what has to be written with them so that they are under the subject's own one.

    Costs no call. If that action's condition fails, take_in() what stood there, seal anew, and try again.
    """
    if key := remembered(ref):
        # Nobody erases a tenant, whose requests without a subject would all meet at the one item.
        return key, [_still_there(key)] if is_person else []
    key, item = create(ref, tenant, now)
    return key, [put(_table(), item, "subject_ref")]


def take_in(ref: str, item: dict | None) -> None:
    """Remember what a subject's item is now, if there is one; raises SubjectClosed while they are being erased."""
    forget(ref)
    if item is None:
        return
    if is_being_erased(item):
        raise SubjectClosed(ref)
    _met(item)


def look_up(ref: str) -> None:
    """Know a subject's key before sealing, where sealing under a wrong one would be dear; raises SubjectClosed."""
    if remembered(ref) is None:
        take_in(ref, find(ref))


def _met(item: dict) -> SubjectKey:
    key = remembered(item["subject_ref"])
    if key is None or key.wrapped != item["wrapped_key"]:
        key = unwrap(item["subject_ref"], item["wrapped_key"])
    remember(key)
    return key


def _still_there(key: SubjectKey) -> dict:
    """An action that holds if this very key is the subject's: who was erased and came again has another one."""
    return {
        "ConditionCheck": {
            "TableName": _table(),
            "Key": {"subject_ref": key.ref},
            "ConditionExpression": "wrapped_key = :mine AND attribute_not_exists(erasure)",
            "ExpressionAttributeValues": {":mine": key.wrapped},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def is_held(item: dict) -> bool:
    return "hold" in item


def is_being_erased(item: dict) -> bool:
    return "erasure" in item


def hold(ref: str, tenant: str, by: str, reason: str, now: float) -> dict:
    """Hold a subject's data: neither retention nor erasure may take it. Gives the item; one with a hold keeps it."""
    _, item = create(ref, tenant, now)
    try:
        return client.update_item(
            TableName=_table(),
            Key={"subject_ref": ref},
            # A subject may be held before anything of theirs came: then it gets its key now.
            UpdateExpression=(
                "SET #hold = :hold, #held = :held, #tenant = :tenant, "
                "wrapped_key = if_not_exists(wrapped_key, :key), created_at = if_not_exists(created_at, :now)"
            ),
            ConditionExpression="attribute_not_exists(#hold) AND attribute_not_exists(erasure)",
            ExpressionAttributeNames={f"#{name}": name for name in ("hold", "held", "tenant")},
            ExpressionAttributeValues={
                ":hold": {"by": by, "reason": reason, "at": iso(now)},
                ":held": "HELD",
                ":tenant": tenant,
                ":key": item["wrapped_key"],
                ":now": iso(now),
            },
            ReturnValues="ALL_NEW",
        )["Attributes"]
    except client.exceptions.ConditionalCheckFailedException:
        return find(ref) or {}


def begin_lift(ref: str, by: str, reason: str, now: float) -> dict | None:
    """Begin to lift a hold, which stands until its records are released; gives the item, or None without a hold."""
    try:
        return client.update_item(
            TableName=_table(),
            Key={"subject_ref": ref},
            # Who began first began it.
            UpdateExpression="SET #hold.#lifting = if_not_exists(#hold.#lifting, :lifting)",
            ConditionExpression="attribute_exists(#hold)",
            ExpressionAttributeNames={"#hold": "hold", "#lifting": "lifting"},
            ExpressionAttributeValues={":lifting": {"by": by, "reason": reason, "at": iso(now)}},
            ReturnValues="ALL_NEW",
        )["Attributes"]
    except client.exceptions.ConditionalCheckFailedException:
        return None


def hold_stands(ref: str, lifting: bool) -> dict:
    """An action that changes nothing, and fails where a hold is gone, or is being lifted where it should not be."""
    begun = "attribute_exists" if lifting else "attribute_not_exists"
    return {
        "ConditionCheck": {
            "TableName": _table(),
            "Key": {"subject_ref": ref},
            "ConditionExpression": f"attribute_exists(#hold) AND {begun}(#hold.#lifting)",
            "ExpressionAttributeNames": {"#hold": "hold", "#lifting": "lifting"},
        }
    }


def lift(ref: str, hold: dict) -> bool:
    """Lift the very hold whose lifting was begun, and keep who set it and why; False if it is not there any more."""
    action = update(
        _table(),
        {"subject_ref": ref},
        "#hold.#lifting.#at = :begun",
        {"begun": hold["lifting"]["at"]},
        set={"last_hold": hold},
        remove=("hold", "held"),
    )
    return updated(action)


def held() -> list[dict]:
    """The items of all held subjects."""
    pages = client.get_paginator("query").paginate(
        TableName=_table(),
        IndexName="held-index",
        KeyConditionExpression="#held = :held",
        ExpressionAttributeNames={"#held": "held"},
        ExpressionAttributeValues={":held": "HELD"},
    )
    return [item for page in pages for item in page["Items"]]


def begin_erasure(ref: str, erasure_id: str, now: float) -> dict | None:
    """Close a subject: its requests are held back from now on. Gives its item, or None if there is none.

    Raises SubjectHeld while a legal hold stands.
    """
    action = update(
        _table(),
        {"subject_ref": ref},
        "attribute_exists(#wrapped_key) AND attribute_not_exists(#hold)",
        set={"erasure": {"erasure_id": erasure_id, "at": iso(now)}},
    )["Update"]
    for _ in range(ATTEMPTS):
        try:
            found = client.update_item(**action, ReturnValues="ALL_NEW")["Attributes"]
        except client.exceptions.ConditionalCheckFailedException as error:
            item = find(ref)
            if item is None:
                return None
            if is_held(item):
                raise SubjectHeld(ref) from error
            # Its hold was lifted just now.
        else:
            forget(ref)
            return found
    raise TableContended(f"{ATTEMPTS} attempts met a hold that was not there")


def drop(ref: str, erasure_id: str) -> None:
    """Forget a subject's key for good: whatever is sealed under it is noise from now on."""
    try:
        client.delete_item(
            TableName=_table(),
            Key={"subject_ref": ref},
            ConditionExpression="attribute_not_exists(subject_ref) OR erasure.erasure_id = :mine",
            ExpressionAttributeValues={":mine": erasure_id},
        )
    except client.exceptions.ConditionalCheckFailedException as error:
        raise SubjectHeld(ref) from error
    forget(ref)


def drop_older(ref: str, moment: str) -> bool:
    """Forget a key that a backup brought back: one made before a moment at which the subject was forgotten."""
    try:
        client.delete_item(
            TableName=_table(),
            Key={"subject_ref": ref},
            ConditionExpression="created_at < :moment AND attribute_not_exists(#hold)",
            ExpressionAttributeNames={"#hold": "hold"},
            ExpressionAttributeValues={":moment": moment},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    forget(ref)
    return True


def _table() -> str:
    return os.environ["KEYS_TABLE"]
