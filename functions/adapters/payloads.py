"""Large texts: kept beside their record while small, in the payload bucket above that."""

import hashlib
import os
import uuid

import boto3
from botocore.exceptions import ClientError

# An item is written and read whole at a unit per KiB; from some 32 KiB on an object is cheaper.
INLINE_BYTES = 32 * 1024

# Who may not list a bucket is told AccessDenied of what is not in it.
GONE = ("NoSuchKey", "AccessDenied")

client = boto3.client("s3")


# As many as one call lists, or deletes.
MOST_LISTED = 1000


class NotDeleted(Exception):
    """S3 kept objects that were to go; they are tried again."""


class PayloadGone(Exception):
    """The object a record refers to is not there, and no later try will find it."""


def keep(name: str, request_key: str, text: str) -> dict[str, str]:
    """The attributes that hold a text: itself under `name`, or where it was put under `name`_ref."""
    data = text.encode()
    if len(data) <= INLINE_BYTES:
        return {name: text}
    # The digest makes a repeat write the same object; the hash keeps ids, which a tenant chose, out of the key.
    digest = hashlib.sha256(data).hexdigest()
    return {f"{name}_ref": put(f"requests/{owner_of(request_key)}/{name}-{digest[:16]}.json", data)}


def text_of(record: dict, name: str) -> str | None:
    """The text that keep() kept in a record."""
    if ref := record.get(f"{name}_ref"):
        return get(ref).decode()
    return record.get(name)


def put_event(body: bytes) -> str:
    """Put a body that is too large for an execution's input; gives its reference."""
    return put(f"events/{uuid.uuid4()}.json", body)


def owner_of(request_key: str) -> str:
    """A request's name in the names of its objects."""
    return hashlib.sha256(request_key.encode()).hexdigest()


def put(key: str, data: bytes) -> str:
    client.put_object(Bucket=os.environ["PAYLOAD_BUCKET"], Key=key, Body=data)
    return key


def get(key: str) -> bytes:
    try:
        return client.get_object(Bucket=os.environ["PAYLOAD_BUCKET"], Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            raise PayloadGone(key) from error
        raise


def listed(prefix: str, after: str = "", limit: int = MOST_LISTED) -> list[str]:
    """Names of objects, in order, behind one of them."""
    found = client.list_objects_v2(Bucket=os.environ["PAYLOAD_BUCKET"], Prefix=prefix, StartAfter=after, MaxKeys=limit)
    return [one["Key"] for one in found.get("Contents", [])]


def delete(keys: list[str]) -> None:
    """Delete objects; one that is gone already is no failure."""
    for start in range(0, len(keys), MOST_LISTED):
        batch = [{"Key": key} for key in keys[start : start + MOST_LISTED]]
        result = client.delete_objects(Bucket=os.environ["PAYLOAD_BUCKET"], Delete={"Objects": batch, "Quiet": True})
        if errors := result.get("Errors"):
            raise NotDeleted(f"{len(errors)} objects: {errors[0]['Code']}")
