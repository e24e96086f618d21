"""Receipts of erasures: signed by KMS, kept in the payload bucket, to be checked by whoever has the key's name."""

import base64
import hashlib
import json
import os

import boto3

from adapters import payloads
from domain.requests import canonical

ALGORITHM = "ECDSA_SHA_256"

kms = boto3.client("kms")


def ref_of(erasure_id: str) -> str:
    return f"receipts/{erasure_id}.json"


def issue(receipt: dict) -> str:
    """Sign a receipt and keep it; gives its reference. Done twice, the later signature is as good."""
    key = os.environ["RECEIPT_KEY"]
    signature = kms.sign(KeyId=key, Message=_signed(receipt), MessageType="RAW", SigningAlgorithm=ALGORITHM)
    document = {
        "receipt": receipt,
        "signature": base64.b64encode(signature["Signature"]).decode(),
        "key": key,
        "algorithm": ALGORITHM,
    }
    return payloads.put(ref_of(receipt["erasure_id"]), json.dumps(document, indent=2).encode())


def _signed(receipt: dict) -> bytes:
    """What is signed: KMS takes 4 KiB at most, so it is the digest of the receipt's one JSON text."""
    return hashlib.sha256(canonical(receipt).encode()).hexdigest().encode()
