"""Words: sealed under their subject's key, beside their record while small, in the payload bucket above that."""

import hashlib
import os
import uuid
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

from adapters.sealing import SubjectKey
from domain.errors import PayloadGone

# An item is written and read whole at a unit per KiB; from some 32 KiB on, which is what this much is once sealed, an
# object is cheaper.
INLINE_BYTES = 24 * 1024

# Whoever reads may list the bucket, so AccessDenied is never said of what is not there. A HEAD has no body to say more
# than its status in.
_GONE = ("NoSuchKey", "404")

# As many as one call lists, or deletes: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
MOST_LISTED = MOST_DELETED = 1000


class NotDeleted(Exception):
    """S3 kept objects that were to go; they are tried again."""


@cache
def client() -> Any:
    """The client of S3, made for the first text that needs it: its model is a tenth of a function's cold start."""
    return boto3.client("s3")


def is_small(text: str) -> bool:
    """Whether a text is kept beside its record."""
    return len(text.encode()) <= INLINE_BYTES


def keep(name: str, request_key: str, text: str, key: SubjectKey, expires_at: float) -> dict[str, str]:
    """The attributes that hold a text: itself, sealed, under `name`, or where it was put under `name`_ref."""
    if is_small(text):
        return {name: key.seal(text, _place(name, request_key))}
    return {f"{name}_ref": keep_apart(name, request_key, text, key, expires_at)}


def answer(request_key: str, text: str, key: SubjectKey, expires_at: float) -> dict[str, str]:
    """The attributes that hold an answer, and prove to the audit log which one it was."""
    return {"answer_mac": key.mac(text), **keep("answer", request_key, text, key, expires_at)}


def keep_apart(name: str, request_key: str, text: str, key: SubjectKey, expires_at: float) -> str:
    """Put a text, sealed, into the bucket, whatever its size; gives its reference."""
    day = datetime.fromtimestamp(int(expires_at), UTC).date()
    # The hash keeps ids, which a tenant chose, out of the name. The digest, which tells nothing without the key, lets
    # a repeat write the same object.
    sealed = key.seal(text, _place(name, request_key))
    return put(f"requests/{day}/{owner_of(request_key)}/{name}-{key.mac(text)[:16]}.json", sealed.encode())


def text_of(record: dict, name: str, key: SubjectKey, request_key: str = "") -> str | None:
    """The text that keep() kept in a record, or in a part of one that does not name its request itself.

    Raises PayloadGone or SubjectErased.
    """
    ref = record.get(f"{name}_ref")
    sealed = get(ref).decode() if ref else record.get(name)
    if sealed is None:
        return None
    return key.open(sealed, _place(name, request_key or record["request_key"]))


def _place(name: str, request_key: str) -> str:
    # A draft is the answer that it was before an edit took its place.
    return f"{request_key}/{'answer' if name == 'draft' else name}"


def put_event(body: bytes) -> str:
    """Put a body that is too large for an execution's input; gives its reference."""
    return put(f"events/{uuid.uuid4()}.json", body)


def owner_of(request_key: str) -> str:
    """A request's name in the names of its objects."""
    return hashlib.sha256(request_key.encode()).hexdigest()


def put(key: str, data: bytes) -> str:
    client().put_object(Bucket=os.environ["PAYLOAD_BUCKET"], Key=key, Body=data)
    return key


def get(key: str) -> bytes:
    """An object's bytes; raises PayloadGone if it is not there."""
    try:
        return client().get_object(Bucket=os.environ["PAYLOAD_BUCKET"], Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            raise PayloadGone(key) from error
        raise


def listed(prefix: str, after: str = "", limit: int = MOST_LISTED) -> list[str]:
    """Names of objects, in order, behind one of them."""
    return [name for name, _ in page(prefix, after, limit)[0]]


def folders(prefix: str) -> list[str]:
    """The folders whose names begin so."""
    pages = (
        client()
        .get_paginator("list_objects_v2")
        .paginate(Bucket=os.environ["PAYLOAD_BUCKET"], Prefix=prefix, Delimiter="/")
    )
    return [folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", ())]


def page(prefix: str, after: str, limit: int = MOST_LISTED) -> tuple[list[tuple[str, float]], str]:
    """Names behind one, each with when it was put, and the last of them if there are more."""
    start = {"StartAfter": after} if after else {}
    found = client().list_objects_v2(Bucket=os.environ["PAYLOAD_BUCKET"], Prefix=prefix, MaxKeys=limit, **start)
    names = [(each["Key"], each["LastModified"].timestamp()) for each in found.get("Contents", ())]
    return names, names[-1][0] if found["IsTruncated"] else ""


def delete(keys: list[str]) -> dict[str, str]:
    """Delete objects, if they are there; gives those that failed, with the error's name."""
    failed = {}
    for start in range(0, len(keys), MOST_DELETED):
        named = [{"Key": key} for key in keys[start : start + MOST_DELETED]]
        told = client().delete_objects(Bucket=os.environ["PAYLOAD_BUCKET"], Delete={"Objects": named, "Quiet": True})
        failed |= {error["Key"]: error["Code"] for error in told.get("Errors", ())}
    return failed


def copy(source: str, key: str) -> bool:
    """Copy an object; False if it is not there."""
    bucket = os.environ["PAYLOAD_BUCKET"]
    try:
        client().copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": source})
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True


def exists(key: str) -> bool:
    try:
        client().head_object(Bucket=os.environ["PAYLOAD_BUCKET"], Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return False
        raise
    return True
