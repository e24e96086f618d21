"""Incidents end to end: metrics fall, an incident opens, the ladder is gone down and up again, and nobody is needed."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from jsonschema import Draft202012Validator

from .conftest import ROOT, Bulwark, wait_for

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
            data += [datum(name, value, at) for name, value in values.items()]
        cloudwatch = self._bulwark.cloud.client("cloudwatch")
        for start in range(0, len(data), 500):
            cloudwatch.put_metric_data(Namespace="Bulwark", MetricData=data[start : start + 500])


def datum(name: str, value: float, at: float) -> dict:
    dimensions = [{"Name": "use_case", "Value": USE_CASE}, {"Name": "service", "Value": "bulwark"}]
    return {"MetricName": name, "Value": value, "Timestamp": at, "Dimensions": dimensions}


def mode_of(bulwark: Bulwark) -> str:
    item = bulwark.item("ControlTable", {"control_key": f"mode#-#{USE_CASE}"}) or {}
    now = time.time()
    modes = [entry["mode"] for name, entry in item.items() if name.startswith("by_") and entry["until"] > now]
    return modes[0] if modes else "normal"


def detect(bulwark: Bulwark) -> None:
    """What the schedule starts every minute."""
    bulwark.cloud.client("stepfunctions").start_execution(
        stateMachineArn=bulwark.outputs["IncidentDetectionStateMachineArn"], input="{}"
    )


def changes(bulwark: Bulwark, detail_type: str) -> list[dict]:
    bulwark._drain()
    found = [event["detail"] for event in bulwark.seen if event["detail-type"] == detail_type]
    return list({one["event_id"]: one for one in found if one["use_case"] == USE_CASE}.values())


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
    from . import conftest

    monkeypatch.setattr(conftest, "PATIENCE_SECONDS", 180)
    patient.begin(minutes=55)
    until(bulwark, lambda: bulwark.item("ControlTable", {"control_key": f"watch#{USE_CASE}"}), "the history to be read")
    assert changes(bulwark, "IncidentChanged") == []

    patient.is_ill = True
    [opened] = until(bulwark, lambda: changes(bulwark, "IncidentChanged"), "the incident")
    assert (opened["type"], opened["change"]) == ("QUALITY_DEGRADATION", "OPENED")
    assert "Grounding is 0." in opened["explanation"] and "by chance at most once in" in opened["explanation"]
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


def phase(bulwark: Bulwark, opened: dict) -> str:
    item = bulwark.item("ControlTable", {"control_key": f"incident#{opened['incident_id']}"})
    return json.loads(item["body"])["mitigation"]["phase"]
