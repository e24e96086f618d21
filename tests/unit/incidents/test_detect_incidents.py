"""DetectIncidents and StepMitigation: what is told to whom, and what detectors are told of a minute."""

import json
from dataclasses import replace

import pytest

from adapters import modes_table
from adapters.incidents import incidents_table
from adapters.incidents.incidents_table import Case
from domain.incidents import detectors
from domain.incidents.course import begin
from domain.incidents.findings import Finding
from domain.incidents.incidents import Incident, IncidentType
from domain.incidents.mitigation import OPERATOR_RESTORED, MitigationSettings, Phase
from domain.incidents.signals import SIGNALS
from incident_detection import detect_incidents
from incident_mitigation import step_mitigation

NOW = 1_800_000_000.0
USE_CASE = "product_support"


@pytest.fixture
def look(rules, stores, bus, clock, context):
    """Run detection, with a report or without; gives what was announced, by incident."""

    def run(report: dict | None = None) -> list[dict]:
        detect_incidents.handler({"report": report}, context)
        return [event["detail"] for event in bus() if event["detail-type"] == "IncidentChanged"]

    return run


@pytest.fixture
def minutes(monkeypatch) -> list[dict]:
    """What detectors are told of each minute of the use case."""
    told, observe = [], detectors.observe

    def spy(state, row, settings, disturbed=(), **more):
        told.append({"at": row.at, "disturbed": frozenset(disturbed), **more})
        return observe(state, row, settings, disturbed, **more)

    monkeypatch.setattr(detectors, "observe", spy)
    return told


def modes() -> set[str]:
    places = [("acme", name) for name in ("general_question", "product_support", "policy_advice", "system")]
    return {one["use_case"] for one in modes_table.in_force(places)}


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"words": "bulwark-DeadLetters: threshold crossed"}, "bulwark-DeadLetters: threshold crossed"),
        ({"use_case": "prodcut_support", "words": "rude"}, "there is no use case 'prodcut_support'; rude"),
        ({"use_case": "system", "words": "rude"}, "there is no use case 'system'; rude"),
    ],
)
def test_what_no_use_case_is_to_blame_for_degrades_none(look, report, words):
    [told] = look(report)

    assert (told["use_case"], told["type"], told["change"]) == ("system", "SYSTEM_ALARM", "OPENED")
    assert words in told["explanation"]
    assert modes() == set()
    assert look(report) == [], "the same again is no second incident"


@pytest.mark.parametrize(
    "report",
    [
        "rude",
        ["rude"],
        7,
        {"use_case": ["product_support"], "words": "rude"},
        {"use_case": {"name": "product_support"}, "words": "rude"},
        {"use_case": "system", "words": ["rude"]},
        {"use_case": "system", "words": "rude", "severity": "worst"},
        {"use_case": "system", "words": "rude", "severity": True},
        {"use_case": "system", "words": "\x1b]0;rude\x07\u202e", "severity": 10**30},
    ],
)
def test_a_report_that_makes_no_sense_is_shown_and_not_lost(look, report):
    [told] = look(report)

    assert (told["use_case"], told["change"]) == ("system", "OPENED")
    assert told["explanation"].isprintable()


def test_a_system_incident_ends_by_itself(look, clock, context, rules):
    look({"words": "bulwark-DeadLetters"})
    [incident] = incidents_table.find_watch("system").incidents
    for _ in range(20):
        clock(60)
        step_mitigation.handler({"incident_id": incident.incident_id}, context)
        closed = look()
        if closed:
            break

    assert [one["change"] for one in closed] == ["CLOSED"]


def test_a_report_on_a_use_case_is_about_that_one_alone(look):
    [told] = look({"use_case": USE_CASE, "words": "rude"})

    assert (told["use_case"], told["type"]) == (USE_CASE, "REPORTED")
    assert modes() == {USE_CASE}


def test_a_deploy_is_marked_in_the_minute_in_which_it_was_met(look, minutes, clock, deploy_policy, policy_document):
    look()
    assert not any(each["deployed"] for each in minutes), "the first run of all knows no other release"
    policy_document["version"] = "the-next"
    deploy_policy(policy_document)
    minutes.clear()
    for _ in range(6):
        clock(60)
        look()

    marked = sorted({each["at"] for each in minutes if each["deployed"]})
    assert marked == [NOW + 60]


def test_nothing_is_learned_or_found_in_a_planned_maintenance(look, minutes, control, clock):
    control.put_item(Item={"control_key": f"maintenance#{USE_CASE}", "since": int(NOW) - 1000, "until": int(NOW) - 400})
    look()

    during = {each["at"] for each in minutes if each["disturbed"] == frozenset(SIGNALS)}
    assert during == {at for at in range(int(NOW) - 3600, int(NOW), 60) if NOW - 1060 < at < NOW - 400}
    assert len(minutes) > len(during)


def incident(type_: IncidentType = IncidentType.QUALITY_DEGRADATION, signal: str = "Grounding") -> Incident:
    at = int(NOW)
    found = Finding(signal, at, at - 300, 0.9, 0.6, 100, 20.0, 14.0, 0.8, 0.2, True)
    return Incident(f"{USE_CASE}-{type_}", USE_CASE, type_, 2, at, since=at - 300, seen_at=at, findings={signal: found})


def keep(*cases: Case) -> None:
    watch = incidents_table.find_watch(USE_CASE)
    watch.incidents = [case.incident for case in cases]
    incidents_table.keep_watch(watch, NOW)
    for case in cases:
        incidents_table.keep_case(case, NOW)


def test_what_an_operator_restored_is_learned_anew_once(look, rules, monkeypatch):
    relearned = []
    monkeypatch.setattr(detectors, "relearn", lambda state, names: relearned.append(set(names)) or state)
    known = incident()
    begun = begin(known, NOW, MitigationSettings.from_json(rules.incidents["mitigation"]))
    keep(Case(known, replace(begun, phase=Phase.WATCHING, outcome=OPERATOR_RESTORED)))

    look()
    look()

    assert len(relearned) == 1 and "Grounding" in relearned[0]


def test_a_probe_that_another_mitigation_hides_proves_nothing(look, rules, clock, context, monkeypatch):
    """Its own mode is normal; but all requests are answered from the cache for another incident."""
    settings = MitigationSettings.from_json(rules.incidents["mitigation"])
    own, other = incident(), incident(IncidentType.MODEL_ERRORS, "ModelErrors")
    probing = replace(
        begin(own, NOW, settings), phase=Phase.PROBING, phase_at=NOW, fresh_from=NOW + 30, fresh_until=NOW + 180
    )
    stopped = begin(other, NOW, settings)
    keep(Case(own, probing), Case(other, replace(stopped, rung=1)))
    assert stopped.ladder[1] == "cache_only"

    clock(60)
    step_mitigation.handler({"incident_id": own.incident_id}, context)

    stepped = incidents_table.find_case(own.incident_id).mitigation
    assert stepped.phase is Phase.PROBING and stepped.fresh_from == NOW + 60 + settings.settle_seconds


def test_a_stored_watch_is_the_watch(look):
    look({"use_case": USE_CASE, "words": "rude"})
    watch = incidents_table.find_watch(USE_CASE)
    incidents_table.keep_watch(watch, NOW)

    again = incidents_table.find_watch(USE_CASE)
    assert json.dumps(again.state) == json.dumps(watch.state)
    assert (again.release, again.incidents, again.version) == (watch.release, watch.incidents, watch.version)


def test_what_changes_about_an_incident_leaves_a_note_for_the_audit_log_once(look, control):
    look({"words": "bulwark-DeadLetters"})
    look({"words": "bulwark-DeadLetters"})

    [note] = [item for item in control.scan()["Items"] if item["control_key"].startswith("audit#")]
    assert (note["action"], note["actor"]) == ("INCIDENT_OPENED", "bulwark")
    assert note["facts"].keys() == {"incident_id", "use_case", "type", "severity"}
