"""Subject keys: each person's words are sealed under a key of their own, so that forgetting the key forgets the words.

An envelope in three layers: KMS wraps the root, the root wraps each subject's key, the subject's key seals texts. A
process asks KMS once (as AWS's hierarchical keyring does:
https://docs.aws.amazon.com/database-encryption-sdk/latest/devguide/use-hierarchical-keyring.html).
"""

import hmac
import os
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Iterable
from functools import cached_property

import boto3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters import clock
from adapters.clock import iso
from adapters.dynamodb import ATTEMPTS, client, get, get_many, put, update, updated
from domain.errors import SubjectClosed, SubjectErased, SubjectHeld, TableContended

KEY_BYTES = 32
NONCE_BYTES = 12
ROOT = "root"
SEALED = "sealed:1:"
# So many subjects a process remembers.
MOST_REMEMBERED = 10_000
# So long it opens words with what it remembers; after that it asks whether the key is still there.
OPENED_FROM_MEMORY_SECONDS = 60

kms = boto3.client("kms")
_root: tuple[str, bytes] | None = None  # of which table, and the key
_remembered: OrderedDict[str, tuple["SubjectKey", float]] = OrderedDict()  # with when it was seen last


class SubjectKey:
    """A subject's key in the clear: seals and opens texts, and makes digests that say nothing without it."""

    def __init__(self, ref: str, key: bytes, wrapped: str = ""):
        self.ref, self._key, self.wrapped = ref, key, wrapped

    def seal(self, text: str, place: str) -> str:
        """The text, to be read with this key and for the same place (what the text is, and whose) alone."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), place.encode())
        return SEALED + b64encode(nonce + sealed).decode()

    def open(self, sealed: str, place: str) -> str:
        """What was sealed; raises SubjectErased if it was under another key, which then is gone."""
        try:
            data = b64decode(sealed.removeprefix(SEALED))
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise SubjectErased(self.ref) from error

    def mac(self, text: str) -> str:
        """A digest (HMAC-SHA-256) that ties a record to a text, and tells nothing once the key is gone."""
        return hmac.digest(self._derived, text.encode(), "sha256").hex()

    @cached_property
    def mark(self) -> str:
        """What each record carries of its key: who was erased and came again has another one."""
        return self.mac("subject")

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._key)

    @cached_property
    def _derived(self) -> bytes:
        return hmac.digest(self._key, b"mac", "sha256")


def subject_ref(tenant: str, subject_id: str | None) -> str:
    """A subject's name in every store: the same for the same subject, and a guess at it proves nothing.

    A request without a subject belongs to its tenant.
    """
    named = f"{tenant}\0{subject_id or ''}".encode()
    return hmac.digest(hmac.digest(_root_key(), b"refs", "sha256"), named, "sha256").hex()[:32]


def create(ref: str, tenant: str, now: float) -> tuple[SubjectKey, dict]:
    """A new key for a subject, and the item that has to be put if the subject has none."""
    key = os.urandom(KEY_BYTES)
    wrapped = _wrapper().encrypt(nonce := os.urandom(NONCE_BYTES), key, ref.encode())
    item = {
        "subject_ref": ref,
        "tenant": tenant,
        "wrapped_key": b64encode(nonce + wrapped).decode(),
        "version": 1,
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
    data = b64decode(wrapped_key)
    try:
        key = _wrapper().decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], ref.encode())
    except InvalidTag as error:
        raise SubjectErased(ref) from error
    return SubjectKey(ref, key, wrapped_key)


def carried(subject: dict) -> SubjectKey:
    """The key that a request's plan carries with it, as `ref` and `wrapped_key`."""
    key = remembered(subject["ref"])
    return key if key and key.wrapped == subject["wrapped_key"] else unwrap(subject["ref"], subject["wrapped_key"])


def find(ref: str) -> dict | None:
    """A subject's item: its wrapped_key, version, and where they are so `hold` and `erasure`."""
    return get(_table(), {"subject_ref": ref})


def ref_of(record: dict) -> str:
    """Whose a record is: its subject's, or else its tenant's."""
    return record.get("subject_ref") or subject_ref(record["tenant"], None)


def of(record: dict) -> SubjectKey:
    """The key that a record's words are under; raises SubjectErased if it is gone."""
    if key := _seen_lately(record):
        return key
    ref = ref_of(record)
    item = find(ref)
    if item is None:
        forget(ref)
        raise SubjectErased(ref)
    return _met(item)


def of_many(records: Iterable[dict]) -> dict[str, SubjectKey]:
    """The keys that records' words are under, by ref_of() each, read together; without those that are gone."""
    known, unknown = {}, set()
    for record in records:
        if key := _seen_lately(record):
            known[key.ref] = key
        else:
            unknown.add(ref_of(record))
    items = get_many(_table(), [{"subject_ref": ref} for ref in sorted(unknown)], consistent=True)
    return {ref: key for ref, key in known.items() if ref not in unknown} | {
        item["subject_ref"]: _met(item) for item in items
    }


def to_seal_with(tenant: str, subject_id: str | None, now: float) -> tuple[SubjectKey, list[dict]]:
    """A key for new words, and what has to be written with them so that they are under the subject's own one.

    Costs no call. If that action's condition fails, take_in() what stood there, seal anew, and try again.
    """
    ref = subject_ref(tenant, subject_id)
    if key := remembered(ref):
        # Nobody erases a tenant, whose requests without a subject would all meet at the one item.
        return key, [_still_there(key)] if subject_id else []
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


def remembered(ref: str) -> SubjectKey | None:
    """The key as this process saw it last; who seals with it has to check that it is still there."""
    if found := _remembered.get(ref):
        _remembered.move_to_end(ref)
        return found[0]
    return None


def remember(key: SubjectKey) -> None:
    _remembered[key.ref] = (key, clock.now())
    _remembered.move_to_end(key.ref)
    if len(_remembered) > MOST_REMEMBERED:
        _remembered.popitem(last=False)


def forget(ref: str) -> None:
    """What this process remembers of a subject is not so any more."""
    _remembered.pop(ref, None)


def _seen_lately(record: dict) -> SubjectKey | None:
    key = remembered(ref_of(record))
    if key is None or clock.now() - _remembered[key.ref][1] >= OPENED_FROM_MEMORY_SECONDS:
        return None
    return key if record.get("subject_mac", key.mark) == key.mark else None


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
                "wrapped_key = if_not_exists(wrapped_key, :key), created_at = if_not_exists(created_at, :now) "
                "ADD #version :one"
            ),
            ConditionExpression="attribute_not_exists(#hold) AND attribute_not_exists(erasure)",
            ExpressionAttributeNames={f"#{name}": name for name in ("hold", "held", "tenant", "version")},
            ExpressionAttributeValues={
                ":hold": {"by": by, "reason": reason, "at": iso(now)},
                ":held": "HELD",
                ":tenant": tenant,
                ":key": item["wrapped_key"],
                ":now": iso(now),
                ":one": 1,
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
            UpdateExpression="SET #hold.#lifting = if_not_exists(#hold.#lifting, :lifting) ADD #version :one",
            ConditionExpression="attribute_exists(#hold)",
            ExpressionAttributeNames={"#hold": "hold", "#lifting": "lifting", "#version": "version"},
            ExpressionAttributeValues={":lifting": {"by": by, "reason": reason, "at": iso(now)}, ":one": 1},
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
        add={"version": 1},
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
        add={"version": 1},
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


def _wrapper() -> AESGCM:
    return AESGCM(hmac.digest(_root_key(), b"wrap", "sha256"))


def _root_key() -> bytes:
    """The root in the clear, asked of KMS once by each process; the first process of all makes it."""
    global _root
    if _root is None or _root[0] != _table():
        _root = (_table(), _load_root())
    return _root[1]


def _load_root() -> bytes:
    item = get(_table(), {"subject_ref": ROOT})
    if item is None:
        made = kms.generate_data_key(KeyId=_kms_key(), NumberOfBytes=KEY_BYTES, EncryptionContext=_context())
        item = {"subject_ref": ROOT, "wrapped_key": b64encode(made["CiphertextBlob"]).decode(), "version": 1}
        try:
            client.put_item(TableName=_table(), Item=item, ConditionExpression="attribute_not_exists(subject_ref)")
            return made["Plaintext"]
        except client.exceptions.ConditionalCheckFailedException:
            item = get(_table(), {"subject_ref": ROOT})
    wrapped = b64decode(item["wrapped_key"])
    return kms.decrypt(KeyId=_kms_key(), CiphertextBlob=wrapped, EncryptionContext=_context())["Plaintext"]


def _context() -> dict[str, str]:
    return {"purpose": "bulwark-subject-keys"}


def _kms_key() -> str:
    return os.environ["SUBJECTS_KEY"]


def _table() -> str:
    return os.environ["KEYS_TABLE"]
