"""Opens what a running stack has sealed, as whoever may ask KMS and read the keys' table can."""

from base64 import b64decode

import pytest

from adapters import subject_keys
from adapters.subject_keys import SubjectKey
from local.cloud import Cloud


def key_of(cloud: Cloud, subject_ref: str) -> SubjectKey:
    """A subject's key."""
    context = subject_keys._context()
    wrapped_root = b64decode(_wrapped(cloud, subject_keys.ROOT))
    root = cloud.client("kms").decrypt(CiphertextBlob=wrapped_root, EncryptionContext=context)["Plaintext"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KEYS_TABLE", "here")
        patched.setattr(subject_keys, "_root", ("here", root))
        return subject_keys.unwrap(subject_ref, _wrapped(cloud, subject_ref))


def _wrapped(cloud: Cloud, subject_ref: str) -> str:
    key = {"subject_ref": {"S": subject_ref}}
    found = cloud.client("dynamodb").get_item(TableName=cloud.outputs["KeysTable"], Key=key, ConsistentRead=True)
    return found["Item"]["wrapped_key"]["S"]
