"""Words as the stores have them, sealed under their subject's key, and as a reader has them."""

from adapters import payloads, subject_keys
from adapters.dynamodb import client
from adapters.sealing import SubjectKey
from adapters.subject_keys import subject_ref

NOW = 1_800_000_000.0
EXPIRES_AT = NOW + 30 * 86_400


def key_of(tenant: str = "acme", subject_id: str | None = "user-17") -> SubjectKey:
    """A subject's key, made if they have none."""
    ref = subject_ref(tenant, subject_id)
    if item := subject_keys.find(ref):
        return subject_keys.unwrap(ref, item["wrapped_key"])
    key, item = subject_keys.create(ref, tenant, NOW)
    client.put_item(TableName="keys", Item=item)
    return key


def carried_by(key: SubjectKey) -> dict:
    """What a plan says of its subject."""
    return {"ref": key.ref, "wrapped_key": key.wrapped}


def sealed(name: str, request_key: str, text: str, subject_id: str | None = "user-17") -> dict:
    """The attributes of a record that hold a text, and say whose it is."""
    key = key_of(request_key.partition("#")[0], subject_id)
    return {"subject_ref": key.ref, "subject_mac": key.mark, **payloads.keep(name, request_key, text, key, EXPIRES_AT)}


def text_of(record: dict, name: str) -> str | None:
    """A text of a record, as whoever may read it does."""
    return payloads.text_of(record, name, subject_keys.of(record))


def said_in(review: dict, verdict: dict, name: str) -> str | None:
    """A text of a verdict on a review."""
    return payloads.text_of(verdict, name, subject_keys.of(review), review["request_key"])
