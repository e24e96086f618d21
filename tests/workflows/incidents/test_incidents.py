"""Incidents end to end: metrics fall, an incident opens, the ladder is gone down and up again, and nobody is needed."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from jsonschema import Draft202012Validator

from workflows.conftest import ROOT, Bulwark, wait_for

SPEED = 30
PER_MINUTE = 60
USE_CASE = "ailing"


class Patient:
    """What CloudWatch would say of a use case that may fall ill: a minute of theirs takes 60 / SPEED seconds."""

    def __init__(self, bulwark: Bulwark) -> None:
        self.is_ill, self._bulwark, self._chance = False, bulwark, random.Random(7)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def begin(self, minutes: int) -> None:
        """Go on from a history of so many minutes that was well."""
        self._put(time.time() - minutes * 60 / SPEED, minutes * 60 / SPEED)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(5)

    def _live(self) -> None:
        until = time.time()
        while not self._over.wait(0.25):
            self._put(until, time.time() - until)
            until = time.time()

    def _put(self, since: float, seconds: float) -> None:
        ill = self.is_ill and mode_of(self._bulwark) == "normal"
        data = []
        for _ in range(round(PER_MINUTE * seconds * SPEED / 60)):
            at = since + seconds * self._chance.random()
            grounding = sum(self._chance.random() < (0.5 if ill else 0.9) for _ in range(5)) / 5
            values = {"Grounding": grounding, "Relevance": 0.8, "Confidence": 0.8, "CostUsd": 0.001, "Latency": 1.0}
            data += [datum(self._bulwark, name, value, at) for name, value in values.items()]
        cloudwatch = self._bulwark.cloud.client("cloudwatch")
        for start in range(0, len(data), 500):
            cloudwatch.put_metric_data(Namespace="Bulwark", MetricData=data[start : start + 500])


def datum(bulwark: Bulwark, name: str, value: float, at: float) -> dict:
    service = bulwark.outputs["MetricsService"]
    dimensions = [{"Name": "use_case", "Value": USE_CASE}, {"Name": "service", "Value": service}]
    return {"MetricName": name, "Value": value, "Timestamp": at, "Dimensions": dimensions}


def mode_of(bulwark: Bulwark, use_case: str = USE_CASE) -> str:
    item = bulwark.item("ControlTable", {"control_key": f"mode#-#{use_case}"}) or {}
    now = time.time()
    modes = [entry["mode"] for name, entry in item.items() if name.startswith("by_") and entry["until"] > now]
    return modes[0] if modes else "normal"


def detect(bulwark: Bulwark) -> None:
    """What the schedule starts every minute."""
    bulwark.cloud.client("stepfunctions").start_execution(
        stateMachineArn=bulwark.outputs["IncidentDetectionStateMachineArn"], input="{}"
    )


def changes(bulwark: Bulwark, detail_type: str, use_case: str = USE_CASE) -> list[dict]:
    bulwark._drain()
    found = [event["detail"] for event in bulwark.seen if event["detail-type"] == detail_type]
    return list({one["event_id"]: one for one in found if one["use_case"] == use_case}.values())


def until(bulwark: Bulwark, found: Callable[[], object], what: str) -> object:
    """Run detection every minute of theirs until something is so."""

    def look() -> object:
        detect(bulwark)
        time.sleep(60 / SPEED)
        return found()

    return wait_for(look, what)


@pytest.fixture
def patient(bulwark: Bulwark) -> Iterator[Patient]:
    patient = Patient(bulwark)
    yield patient
    patient.stop()


def test_a_use_case_falls_ill_is_helped_by_the_fallback_and_is_well_again(bulwark, patient, monkeypatch):
    from workflows import conftest

    monkeypatch.setattr(conftest, "PATIENCE_SECONDS", 180)
    patient.begin(minutes=55)
    until(bulwark, lambda: bulwark.item("ControlTable", {"control_key": f"watch#{USE_CASE}"}), "the history to be read")
    assert changes(bulwark, "IncidentChanged") == []

    patient.is_ill = True
    [opened] = until(bulwark, lambda: changes(bulwark, "IncidentChanged"), "the incident")
    assert (opened["type"], opened["change"]) == ("QUALITY_DEGRADATION", "OPENED")
    assert "Grounding is 0." in opened["explanation"] and "by chance once in" in opened["explanation"]
    wait_for(lambda: mode_of(bulwark) == "fallback_model", "the fallback")
    time.sleep(5.1)  # as old as a mode may be
    helped = bulwark.outcome(bulwark.send(USE_CASE), "COMPLETED")
    assert (helped["model"], helped["mode"]) == ("nova-pro", "fallback_model")

    patient.is_ill = False
    until(bulwark, lambda: mode_of(bulwark) == "normal" and phase(bulwark, opened) in ("WATCHING", "DONE"), "normal")
    until(bulwark, lambda: phase(bulwark, opened) == "DONE", "the end of watching")
    until(bulwark, lambda: changes(bulwark, "IncidentChanged")[-1]["change"] == "CLOSED", "the incident's end")

    modes = [one["mode"] for one in changes(bulwark, "ModeChanged")]
    assert modes[0] == "fallback_model" and modes[-1] == "normal"
    for detail_type in ("IncidentChanged", "ModeChanged"):
        schema = json.loads((ROOT / f"events/schemas/{detail_type}.json").read_text())
        for detail in changes(bulwark, detail_type):
            Draft202012Validator(schema).validate(detail)
    _, listed = bulwark.call("GET", "/incidents", user="Operator")
    assert listed["incidents"][0]["incident_id"] == opened["incident_id"]
    status, told = bulwark.call("GET", f"/incidents/{opened['incident_id']}", user="Operator")
    assert status == 200 and [entry["what"] for entry in told["timeline"]][0] == "OPENED"
    assert told["timeline"][-1]["what"] in ("CLOSED", "DONE")
    assert bulwark.call("GET", f"/incidents/{opened['incident_id']}", user="Reviewer")[0] == 403


def report(bulwark: Bulwark, use_case: str = USE_CASE) -> str:
    """Have a person report the use case; gives the incident's id once its mode is in force."""
    known = {one["incident_id"] for one in changes(bulwark, "IncidentChanged", use_case)}
    entry = {"EventBusName": bulwark.outputs["EventBusName"], "Source": "acme.app", "DetailType": "IncidentReported"}
    detail = {"use_case": use_case, "words": "answers sound rude"}
    bulwark.cloud.client("events").put_events(Entries=[entry | {"Detail": json.dumps(detail)}])

    def opened() -> str | None:
        found = [one["incident_id"] for one in changes(bulwark, "IncidentChanged", use_case)]
        return next((one for one in found if one not in known), None)

    incident_id = wait_for(opened, "the report to be an incident")
    wait_for(lambda: mode_of(bulwark, use_case) == "stricter_review", "its mode")
    return incident_id


def running(bulwark: Bulwark) -> list[str]:
    found = bulwark.cloud.client("stepfunctions").list_executions(
        stateMachineArn=bulwark.outputs["IncidentMitigationStateMachineArn"], statusFilter="RUNNING"
    )
    return [execution["executionArn"] for execution in found["executions"]]


def restore(bulwark: Bulwark, incident_id: str) -> None:
    body = {"answer": "restore", "reason": "it was another system's"}
    assert bulwark.call("POST", f"/incidents/{incident_id}/answer", body, user="Operator")[0] == 200


def test_a_mitigation_whose_machine_vanished_expires_and_is_taken_up_again(bulwark):
    incident_id = report(bulwark)
    for execution in wait_for(lambda: running(bulwark), "its machine"):
        bulwark.cloud.client("stepfunctions").stop_execution(executionArn=execution)

    wait_for(lambda: mode_of(bulwark) == "normal", "the mode to end by itself")
    detect(bulwark)
    wait_for(lambda: running(bulwark), "another machine")

    restore(bulwark, incident_id)
    wait_for(lambda: phase(bulwark, {"incident_id": incident_id}) in ("WATCHING", "DONE"), "the operator's word")
    assert mode_of(bulwark) == "normal"


def test_whatever_dies_in_a_mitigation_the_next_run_finishes_it(bulwark):
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.4):
            bulwark.cloud.functions.kill_workers()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        incident_id = report(bulwark, "one_model")
        restore_until_taken(bulwark, incident_id)
        until(bulwark, lambda: phase(bulwark, {"incident_id": incident_id}) in ("WATCHING", "DONE"), "its end")
    finally:
        over.set()
        killer.join()

    wait_for(lambda: mode_of(bulwark, "one_model") == "normal", "normal operation")


def test_a_long_mitigation_goes_on_in_another_execution(bulwark):
    """Before its history is full; here after its first step."""
    states, arn = bulwark.cloud.client("stepfunctions"), bulwark.outputs["IncidentMitigationStateMachineArn"]
    whole = states.describe_state_machine(stateMachineArn=arn)["definition"]
    states.update_state_machine(stateMachineArn=arn, definition=whole.replace("$steps >= 2000", "$steps >= 1"))
    try:
        incident_id = report(bulwark, "delivered")
        entered = wait_for(lambda: started_anew(bulwark), "an execution to have begun another one")
        assert entered[-2:] == ["StartAnew", "ReturnRestored"]
    finally:
        states.update_state_machine(stateMachineArn=arn, definition=whole)
    wait_for(lambda: running(bulwark), "the last of them")
    restore(bulwark, incident_id)
    wait_for(lambda: mode_of(bulwark, "delivered") == "normal", "the operator's word")


def started_anew(bulwark: Bulwark) -> list[str] | None:
    """The states of a mitigation's execution that has handed on to another one."""
    states = bulwark.cloud.client("stepfunctions")
    found = states.list_executions(
        stateMachineArn=bulwark.outputs["IncidentMitigationStateMachineArn"], statusFilter="SUCCEEDED"
    )
    for execution in found["executions"]:
        history = states.get_execution_history(executionArn=execution["executionArn"], maxResults=1000)["events"]
        entered = [e["stateEnteredEventDetails"]["name"] for e in history if "stateEnteredEventDetails" in e]
        if "StartAnew" in entered:
            return entered
    return None


def restore_until_taken(bulwark: Bulwark, incident_id: str) -> None:
    """An operator who sends it again while the API's workers die."""
    body = {"answer": "restore", "reason": "it was another system's"}
    path = f"/incidents/{incident_id}/answer"
    wait_for(lambda: bulwark.call("POST", path, body, user="Operator")[0] in (200, 409), "the answer to be taken")


def phase(bulwark: Bulwark, opened: dict) -> str:
    item = bulwark.item("ControlTable", {"control_key": f"incident#{opened['incident_id']}"})
    return json.loads(item["body"])["mitigation"]["phase"]
