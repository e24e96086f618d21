"""Incidents in the control table: per use case the watch (detectors' state, incidents), per incident its mitigation.

Each item is written only as the next version of what was read: two runs at once do one run's work.
"""

import json
import os
from dataclasses import dataclass, field

from adapters.dynamodb import ConditionFailed, client, get, get_many, transact
from domain.errors import Overtaken
from domain.incidents.incidents import Incident
from domain.incidents.mitigation import Mitigation

DAY_SECONDS = 86_400
WATCH_DAYS = 90
MOST_EVENTS = 200  # of a timeline; what is between its beginning and its end may be dropped


@dataclass(slots=True)
class Watch:
    """What is known of a use case from minute to minute."""

    use_case: str
    seen_to: float = 0.0
    state: dict | None = None
    incidents: list[Incident] = field(default_factory=list)
    modes: list[list] = field(default_factory=list)  # [moment, mode], as runs have met them
    taken_over: dict[str, float] = field(default_factory=dict)  # what mitigations have shown, by incident, and when
    release: str = ""  # code and policy as last met
    deployed_at: float | None = None  # when another one was met
    version: int = 0


@dataclass(slots=True)
class Case:
    """An incident with what is done about it and what was done."""

    incident: Incident
    mitigation: Mitigation | None = None
    timeline: list[dict] = field(default_factory=list)
    answer: str | None = None  # an operator's, not yet taken up
    version: int = 0
    keep_days: int = 90  # from its last change, by the policy that it was opened under

    def note(self, at: float, what: str, **more: object) -> None:
        """Add to the timeline what was seen or done."""
        self.timeline.append({"at": at, "what": what, **more})
        if len(self.timeline) > MOST_EVENTS:
            del self.timeline[MOST_EVENTS // 2]


def find_watch(use_case: str) -> Watch:
    item = get(_table(), {"control_key": f"watch#{use_case}"})
    if item is None:
        return Watch(use_case)
    return _watch(item)


def find_watches(use_cases: list[str]) -> list[Watch]:
    """The watches of several use cases, for whoever lists incidents."""
    items = get_many(_table(), [{"control_key": f"watch#{use_case}"} for use_case in use_cases])
    return [_watch(item) for item in items]


def keep_watch(watch: Watch, now: float) -> None:
    """Write the next version of a watch; raises Overtaken."""
    body = {
        "seen_to": watch.seen_to,
        "state": watch.state,
        "incidents": [incident.to_json() for incident in watch.incidents],
        "modes": watch.modes,
        "taken_over": watch.taken_over,
        "release": watch.release,
        "deployed_at": watch.deployed_at,
    }
    _put(f"watch#{watch.use_case}", body, watch.version, now, WATCH_DAYS, use_case=watch.use_case)
    watch.version += 1


def find_case(incident_id: str) -> Case | None:
    item = get(_table(), {"control_key": f"incident#{incident_id}"})
    if item is None:
        return None
    body = json.loads(item["body"])
    mitigation = body["mitigation"] and Mitigation.from_json(body["mitigation"])
    return Case(
        Incident.from_json(body["incident"]),
        mitigation,
        body["timeline"],
        body["answer"],
        int(item["version"]),
        body.get("keep_days", WATCH_DAYS),
    )


def keep_case(case: Case, now: float, *others: dict) -> None:
    """Write the next version of a case, with other actions; raises Overtaken."""
    body = {
        "incident": case.incident.to_json(),
        "mitigation": case.mitigation and case.mitigation.to_json(),
        "timeline": case.timeline,
        "answer": case.answer,
        "keep_days": case.keep_days,
    }
    key, use_case = f"incident#{case.incident.incident_id}", case.incident.use_case
    _put(key, body, case.version, now, case.keep_days, *others, use_case=use_case)
    case.version += 1


def _put(key: str, body: dict, version: int, now: float, keep_days: int, *others: dict, **more: str) -> None:
    item = {
        "control_key": key,
        "body": json.dumps(body, separators=(",", ":")),
        "version": version + 1,
        "expires_at": int(now) + keep_days * DAY_SECONDS,
        **more,
    }
    action = {
        "TableName": _table(),
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#version)" if not version else "#version = :seen",
        "ExpressionAttributeNames": {"#version": "version"},
        **({"ExpressionAttributeValues": {":seen": version}} if version else {}),
    }
    try:
        if others:
            transact([{"Put": action}, *others])
        else:
            client.put_item(**action)
    except (ConditionFailed, client.exceptions.ConditionalCheckFailedException) as error:
        raise Overtaken(key) from error


def _watch(item: dict) -> Watch:
    body = json.loads(item["body"])
    incidents = [Incident.from_json(raw) for raw in body.pop("incidents")]
    return Watch(item["use_case"], **body, incidents=incidents, version=int(item["version"]))


def _table() -> str:
    return os.environ["CONTROL_TABLE"]
