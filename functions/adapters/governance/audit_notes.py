"""Notes for the audit log of what no table shows by itself; RecordAudit takes them from the control table's stream."""

import os
import uuid

from adapters.clock import iso
from adapters.dynamodb import client, put, update
from domain.governance import audit


def note(action: str, actor: str, now: float, note_id: str = "", **facts: object) -> dict:
    """An action that leaves a note: `action` is what was done (ERASURE_REQUESTED), `actor` who did it.

    Facts are ids, numbers and words of the policy: never a word of a request, a subject's name or a token. The same
    `note_id` leaves one note, and must then be left outside of transactions that may be repeated.
    """
    item = audit.note(note_id or str(uuid.uuid4()), action, actor, facts, iso(now), now)
    return put(os.environ["CONTROL_TABLE"], item, "control_key")


def leave(action: str, actor: str, now: float, note_id: str = "", **facts: object) -> None:
    """Leave a note; one that was left already stands."""
    try:
        client.put_item(**note(action, actor, now, note_id, **facts)["Put"])
    except client.exceptions.ConditionalCheckFailedException:
        pass


def policy_in_force(version: str, digest: str, now: float) -> None:
    """Note which policy was met, if it is not the one that was met last."""
    action = update(
        os.environ["CONTROL_TABLE"],
        {"control_key": "policy#current"},
        "attribute_not_exists(#digest) OR #digest <> :digest",
        set={"version": version, "digest": digest, "at": iso(now)},
    )["Update"]
    try:
        client.update_item(**action)
    except client.exceptions.ConditionalCheckFailedException:
        pass
