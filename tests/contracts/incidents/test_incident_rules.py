"""Holds the policy's section on incidents, the modes and the runbooks to the rules that read them."""

import dataclasses
import json
import re

import pytest
from machines import ROOT

from bulwark.cli import incidents as commands
from domain.incidents.evidence import DetectorSettings
from domain.incidents.incidents import IncidentSettings, IncidentType
from domain.incidents.ladders import Rung
from domain.incidents.mitigation import MitigationSettings
from domain.modes import Mode


@pytest.fixture(scope="module")
def section() -> dict:
    schema = json.loads((ROOT / "policies/runtime.schema.json").read_text())
    return schema["properties"]["incidents"]["properties"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("detection", DetectorSettings), ("correlation", IncidentSettings), ("mitigation", MitigationSettings)],
)
def test_the_schema_knows_each_setting_and_no_other(section, name, settings):
    fields = {field.name for field in dataclasses.fields(settings) if field.init}

    assert section[name]["properties"].keys() == fields
    assert section[name]["additionalProperties"] is False


def test_each_rung_is_a_mode_in_the_same_order():
    assert [mode for mode in Mode if mode in set(Rung)] == list(Rung)


def test_each_rung_can_be_set_by_hand():
    assert list(commands.Mode) == list(Rung)


def test_each_type_of_incident_has_a_ladder_of_known_rungs(section, policy_document):
    ladders = policy_document["incidents"]["mitigation"]["ladders"]
    known = section["mitigation"]["properties"]["ladders"]

    assert set(ladders) == set(IncidentType) == set(known["propertyNames"]["enum"])
    assert set(known["additionalProperties"]["items"]["enum"]) == set(Rung)
    MitigationSettings.from_json(policy_document["incidents"]["mitigation"])


def test_each_type_of_incident_has_a_runbook():
    for type_ in IncidentType:
        text = (ROOT / f"docs/runbooks/{type_.lower().replace('_', '-')}.md").read_text()
        assert text.startswith("# ") and "bulwark incident" in text


def test_each_alarm_links_its_runbook(template, observability, use_case_alarms):
    resources = {**template["Resources"], **observability["Resources"], **use_case_alarms["Resources"]}
    alarms = {name: one for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}

    assert len(alarms) >= 10
    for name, alarm in alarms.items():
        [runbook] = re.findall(r"docs/runbooks/[a-z-]+\.md", alarm["Properties"]["AlarmDescription"])
        assert (ROOT / runbook).read_text().startswith("# "), name
