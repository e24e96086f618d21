"""What operators are asked about incidents, in the control table, and the token that the answer goes to."""

import os

from adapters.dynamodb import client, get

KEPT_SECONDS = 86_400


def keep(incident_id: str, task_token: str, ask: str, now: float) -> None:
    item = {
        "control_key": f"operator#{incident_id}",
        "task_token": task_token,
        "ask": ask,
        "expires_at": int(now) + KEPT_SECONDS,
    }
    client.put_item(TableName=os.environ["CONTROL_TABLE"], Item=item)


def find(incident_id: str) -> str | None:
    """The token that waits for an answer about an incident, if one does."""
    item = get(os.environ["CONTROL_TABLE"], {"control_key": f"operator#{incident_id}"})
    return item and item["task_token"]
