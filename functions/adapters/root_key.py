"""The root key: wraps every subject's key, and is itself wrapped by KMS.

A process asks KMS once (as AWS's hierarchical keyring does:
https://docs.aws.amazon.com/database-encryption-sdk/latest/devguide/use-hierarchical-keyring.html).
"""

import hmac
import os
from base64 import b64decode, b64encode
from functools import lru_cache

import boto3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.dynamodb import client, get
from adapters.sealing import KEY_BYTES, NONCE_BYTES
from domain.errors import SubjectErased

# Where it lies among the subjects' keys.
ROOT = "root"

kms = boto3.client("kms")
_root: tuple[str, bytes] | None = None  # of which table, and the key


def derived(purpose: bytes) -> bytes:
    """A key for one purpose, made of the root; the first process of all makes the root."""
    global _root
    if _root is None or _root[0] != _table():
        _root = (_table(), _load())
    return _derived(_root[1], purpose)


def wrap(ref: str, key: bytes) -> str:
    """A subject's key as it is stored, to be unwrapped as that subject's alone."""
    nonce = os.urandom(NONCE_BYTES)
    return b64encode(nonce + _wrapper().encrypt(nonce, key, ref.encode())).decode()


def unwrap(ref: str, wrapped: str) -> bytes:
    """The key in the clear; raises SubjectErased where it is not this subject's."""
    data = b64decode(wrapped)
    try:
        return _wrapper().decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], ref.encode())
    except InvalidTag as error:
        raise SubjectErased(ref) from error


@lru_cache(maxsize=8)
def _derived(root: bytes, purpose: bytes) -> bytes:
    return hmac.digest(root, purpose, "sha256")


def _wrapper() -> AESGCM:
    return AESGCM(derived(b"wrap"))


def _load() -> bytes:
    item = get(_table(), {"subject_ref": ROOT})
    if item is None:
        made = kms.generate_data_key(KeyId=_kms_key(), NumberOfBytes=KEY_BYTES, EncryptionContext=_context())
        item = {"subject_ref": ROOT, "wrapped_key": b64encode(made["CiphertextBlob"]).decode()}
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
