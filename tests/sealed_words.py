"""Opens what a running stack has sealed, as whoever may ask KMS and read the keys' table can."""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters import root_key, subject_keys
from adapters.sealing import SubjectKey
from bulwark.local.cloud import Cloud


def key_of(cloud: Cloud, subject_ref: str) -> SubjectKey:
    """A subject's key."""
    with _as_whoever_may(cloud):
        return subject_keys.unwrap(subject_ref, _wrapped(cloud, subject_ref))


def new_key(cloud: Cloud, subject_ref: str, tenant: str) -> tuple[SubjectKey, dict]:
    """A key for a subject, and the item that has to be put for it."""
    with _as_whoever_may(cloud):
        return subject_keys.create(subject_ref, tenant, 1_795_426_200)


@contextmanager
def _as_whoever_may(cloud: Cloud) -> Iterator[None]:
    wrapped_root = b64decode(_wrapped(cloud, root_key.ROOT))
    context = root_key._context()
    root = cloud.client("kms").decrypt(CiphertextBlob=wrapped_root, EncryptionContext=context)["Plaintext"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KEYS_TABLE", "here")
        patched.setattr(root_key, "_root", ("here", root))
        yield


def _wrapped(cloud: Cloud, subject_ref: str) -> str:
    key = {"subject_ref": {"S": subject_ref}}
    found = cloud.client("dynamodb").get_item(TableName=cloud.outputs["KeysTable"], Key=key, ConsistentRead=True)
    return found["Item"]["wrapped_key"]["S"]
