"""An audit log as files: made by the real functions, copied, and verified as an auditor does."""

import os
from collections.abc import Iterator

import boto3
from boto3.dynamodb.types import TypeSerializer
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from adapters.governance import audit_log
from domain.governance.audit_chain import DIGESTS, Findings, Head, verify

KEYS = {"requests": "request_key", "reviews": "review_id", "control": "control_key"}
T0 = "2027-01-15T08:00:00.000Z"
serialize = TypeSerializer().serialize


def change(source: str, new: dict | None, old: dict | None = None, number: int = 1, **more: object) -> dict:
    """A record of a table's stream."""
    images = {"NewImage": new, "OldImage": old}
    typed = {
        image: {name: serialize(value) for name, value in values.items()}
        for image, values in images.items()
        if values is not None
    }
    key = KEYS[source]
    return {
        "eventID": f"event-{source}-{number}",
        "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_800_000_000.0,
            "Keys": {key: serialize((new or old)[key])},
            "SequenceNumber": str(100 + number),
            **typed,
        },
        **more,
    }


def admitted(number: int) -> dict:
    return {
        "request_key": f"acme#r-{number}",
        "tenant": "acme",
        "request_id": f"r-{number}",
        "use_case": "general_question",
        "channel": "event",
        "status": "ADMITTED",
        "admitted_at": T0,
        "policy_version": "1",
    }


def files() -> dict[str, bytes]:
    """Everything in the bucket."""
    bucket = boto3.resource("s3").Bucket(os.environ["AUDIT_BUCKET"])
    return {each.key: each.get()["Body"].read() for each in bucket.objects.all()}


def signed_by(public_key: bytes):
    key = load_der_public_key(public_key)

    def is_signed(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    return is_signed


def public_key() -> bytes:
    return boto3.client("kms").get_public_key(KeyId=os.environ["AUDIT_KEY"])["PublicKey"]


def verified(log: dict[str, bytes], *heads: Head, key: bytes | None = None, **more: object) -> Findings:
    """Verify files under a key, the log's own by default, and by default against the head in the control table."""
    known = heads or [found for found in [audit_log.find_head()] if found]

    def read(names: list[str]) -> Iterator[bytes]:
        return (log[name] for name in names)

    return verify(
        {name: data for name, data in log.items() if name.startswith(DIGESTS)},
        {name: len(data) for name, data in log.items() if not name.startswith(DIGESTS)},
        read,
        signed_by(key or public_key()),
        heads=known,
        **more,
    )
