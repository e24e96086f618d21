"""Erasures in the control table: who asked, how far each one is, and whom we have forgotten."""

import os

from adapters import workflows
from adapters.clock import iso
from adapters.dynamodb import ConditionFailed, client, get, put, transact, update
from domain.governance.erasures import ErasureStatus

# What was erased must not come back by a restored backup, and the record must outlive the longest of them.
KEPT_SECONDS = 400 * 86_400
LOCK_SECONDS = 120


def running(ref: str, again: bool = False) -> dict | None:
    """The erasure of a subject that has not ended: the one asked for, or the one done again after a restore."""
    found = get(_table(), {"control_key": _pointer(ref, again)})
    return find(found["erasure_id"]) if found else None


def _pointer(ref: str, again: bool) -> str:
    """Each has its own: what is done again spares what came since, which who asks wants forgotten too."""
    return f"erasing#{ref}#again" if again else f"erasing#{ref}"


def begin(record: dict, now: float, *also: dict) -> dict:
    """Keep a new erasure, and write what belongs to it, unless one of its kind is under way: then gives that one."""
    item = record | {
        "control_key": f"erasure#{record['erasure_id']}",
        "status": ErasureStatus.REQUESTED,
        "requested_at": iso(now),
        "erased": {},
        "residual": {},
    }
    pointer = {
        "control_key": _pointer(record["subject_ref"], "before" in record),
        "erasure_id": record["erasure_id"],
    }
    pointing = put(_table(), pointer, "control_key")
    while True:
        try:
            transact([pointing, put(_table(), item, "control_key"), *also])
            return item
        except ConditionFailed as failed:
            standing = failed.item or {}
        if "erasure_id" in standing and (found := find(standing["erasure_id"])):
            return found
        pointing = _instead_of(standing, pointer)


def _instead_of(standing: dict, pointer: dict) -> dict:
    """A Put action of a pointer in the place of one whose erasure is gone, or has ended meanwhile."""
    action = put(_table(), pointer, "control_key")
    if "erasure_id" in standing:
        action["Put"]["ConditionExpression"] += " OR erasure_id = :gone"
        action["Put"]["ExpressionAttributeValues"] = {":gone": standing["erasure_id"]}
    return action


def find(erasure_id: str) -> dict | None:
    return get(_table(), {"control_key": f"erasure#{erasure_id}"})


def forgotten(ref: str) -> dict | None:
    """When and by which erasure a subject was forgotten last."""
    return get(_table(), {"control_key": f"erased#{ref}"})


def change(erasure_id: str, remove: tuple[str, ...] = (), **values: object) -> None:
    """Set and remove attributes of an erasure that is there."""
    client.update_item(**_change(erasure_id, remove, **values)["Update"])


def _change(erasure_id: str, remove: tuple[str, ...] = (), **values: object) -> dict:
    key = {"control_key": f"erasure#{erasure_id}"}
    return update(_table(), key, "attribute_exists(control_key)", set=values, remove=remove)


def advance(erasure_id: str, store: str, position: str | None, erased: int) -> None:
    """Keep where the erasure of a store goes on, and count what went."""
    clauses = ["REMOVE #at"] if position is None else ["SET #at = :at"]
    client.update_item(
        TableName=_table(),
        Key={"control_key": f"erasure#{erasure_id}"},
        UpdateExpression=f"{clauses[0]} ADD erased.#store :erased",
        ConditionExpression="attribute_exists(control_key)",
        ExpressionAttributeNames={"#at": f"at_{store}", "#store": store},
        ExpressionAttributeValues={":erased": erased} | ({":at": position} if position else {}),
    )


def keep_trace(erasure_id: str, name: str, sealed: str, now: float) -> None:
    """Keep, sealed, what was found under which keys, so that it can be searched for once it is gone."""
    client.put_item(
        TableName=_table(),
        Item={
            "control_key": f"erasure#{erasure_id}#{name}",
            "sealed": sealed,
            "expires_at": int(now) + 30 * 86_400,
        },
    )
    client.update_item(
        TableName=_table(),
        Key={"control_key": f"erasure#{erasure_id}"},
        UpdateExpression="ADD traces :names",
        ConditionExpression="attribute_exists(control_key)",
        ExpressionAttributeValues={":names": {name}},
    )


def trace(erasure_id: str, name: str) -> str | None:
    return (get(_table(), {"control_key": f"erasure#{erasure_id}#{name}"}) or {}).get("sealed")


def finish(record: dict, values: dict, now: float) -> None:
    """End an erasure for good: remember that the subject was forgotten, and forget how to find them."""
    ref, erasure_id = record["subject_ref"], record["erasure_id"]
    working = tuple(name for name in record if name.startswith("at_"))
    values = values | {"status": ErasureStatus.DONE, "expires_at": int(now) + KEPT_SECONDS}
    actions = [
        _change(erasure_id, ("sealed_subject", "task_token", "traces", *working), **values),
        {"Delete": {"TableName": _table(), "Key": {"control_key": _pointer(ref, "before" in record)}}},
    ]
    if "before" not in record:
        register = {
            "control_key": f"erased#{ref}",
            "tenant": record["tenant"],
            "subject_ref": ref,
            "erasure_id": erasure_id,
            "erased_at": record["erased_at"],
            "expires_at": int(now) + KEPT_SECONDS,
        }
        actions.append({"Put": {"TableName": _table(), "Item": register}})
    for name in record.get("traces", ()):
        client.delete_item(TableName=_table(), Key={"control_key": f"erasure#{erasure_id}#{name}"})
    transact(actions)


def waiting_token(ref: str) -> str | None:
    """The token on which a subject's erasure waits for a hold to be lifted."""
    return (running(ref) or {}).get("task_token")


def go_on(ref: str) -> bool:
    """Let a subject's erasures go on after a hold, anew if an execution has failed; False if there are none."""
    records = [record for again in (False, True) if (record := running(ref, again))]
    for record in records:
        if "task_token" not in record or not workflows.resume(record["task_token"], {}):
            workflows.start_erasure({name: record[name] for name in ("erasure_id", "subject_ref", "tenant")})
    return bool(records)


def lock(name: str, owner: str, now: float) -> bool:
    """Be the only one at work on something, for LOCK_SECONDS at most."""
    try:
        client.put_item(
            TableName=_table(),
            Item={
                "control_key": f"lock#{name}",
                "owner": owner,
                "until": int(now) + LOCK_SECONDS,
                "expires_at": int(now) + 86_400,
            },
            ConditionExpression="attribute_not_exists(control_key) OR #until < :now OR #owner = :owner",
            ExpressionAttributeNames={"#until": "until", "#owner": "owner"},
            ExpressionAttributeValues={":now": int(now), ":owner": owner},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def unlock(name: str, owner: str) -> None:
    try:
        client.delete_item(
            TableName=_table(),
            Key={"control_key": f"lock#{name}"},
            ConditionExpression="#owner = :owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": owner},
        )
    except client.exceptions.ConditionalCheckFailedException:
        pass  # it took too long, and is another's now


def _table() -> str:
    return os.environ["CONTROL_TABLE"]
