"""The audit bucket: objects of records and signed digests, each written once; and the head of the digests' chain."""

import hashlib
import os
from collections.abc import Iterator

import boto3
from botocore.exceptions import ClientError

from adapters.dynamodb import get, update, updated
from domain.governance.audit_chain import RECORDS, Digest, Head, digest_name, open_digest, pack, seal, signed_message

# Of an index that holds no counter, so that the stream's filter lets nothing of it through.
HEAD = "audit-head"

s3 = boto3.client("s3")
kms = boto3.client("kms")


def write_records(source: str, hour: str, first: str, records: list[dict]) -> str:
    """Write an object of records; the same one is written once. Gives its name."""
    name, data = pack(source, hour, first, records)
    _put(name, data)
    return name


def objects_of(source: str, hour: str) -> list[tuple[str, int]]:
    """Names and sizes of the objects that a source wrote in an hour, or at all."""
    prefix = f"{RECORDS}{source}/{hour}/" if hour else f"{RECORDS}{source}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=_bucket(), Prefix=prefix)
    return [(each["Key"], each["Size"]) for page in pages for each in page.get("Contents", ())]


def find_head() -> Head | None:
    item = get(os.environ["CONTROL_TABLE"], {"control_key": HEAD})
    return Head(int(item["number"]), item["sha256"]) if item else None


def move_head(head: Head) -> None:
    """Say which digest is the last; one that is later already stays."""
    action = update(
        os.environ["CONTROL_TABLE"],
        {"control_key": HEAD},
        "attribute_not_exists(#number) OR #number < :number",
        set={"number": head.number, "sha256": head.sha256},
    )
    updated(action)


def find_digest(number: int) -> tuple[Digest, Head] | None:
    """A digest and its place in the chain, if it was written."""
    try:
        data = s3.get_object(Bucket=_bucket(), Key=digest_name(number))["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
    return open_digest(data)[0], Head(number, hashlib.sha256(data).hexdigest())


def write_digest(digest: Digest) -> Head | None:
    """Sign a digest and write it; None if another run has written this number."""
    signed = kms.sign(
        KeyId=os.environ["AUDIT_KEY"],
        Message=signed_message(digest.text()),
        MessageType="RAW",
        SigningAlgorithm="ECDSA_SHA_256",
    )
    data = seal(digest, signed["Signature"])
    return Head(digest.number, hashlib.sha256(data).hexdigest()) if _put(digest_name(digest.number), data) else None


def digests_back_from(head: Head | None) -> Iterator[Digest]:
    """The digests of the chain, the last one first."""
    number = head.number if head else 0
    while number and (found := find_digest(number)):
        yield found[0]
        number -= 1


def _put(name: str, data: bytes) -> bool:
    """Write an object that must be new; False if it is there."""
    try:
        # A locked bucket wants a checksum, and S3 refuses what does not fit it.
        s3.put_object(Bucket=_bucket(), Key=name, Body=data, IfNoneMatch="*", ChecksumAlgorithm="SHA256")
    except ClientError as error:
        if error.response["Error"]["Code"] == "PreconditionFailed":
            return False
        raise
    return True


def _bucket() -> str:
    return os.environ["AUDIT_BUCKET"]
