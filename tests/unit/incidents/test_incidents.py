"""domain/incidents/incidents.py: one incident for one cause, told once, however many signals show it and for however
long.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.incidents.findings import Finding
from domain.incidents.incidents import (
    EXPLAINS,
    MOST_KEPT,
    ChangeKind,
    Incident,
    IncidentSettings,
    IncidentType,
    explain,
    report,
    review,
    severity_of,
)
from domain.incidents.signals import SIGNALS

NOW = 1_800_000_000
SETTINGS = IncidentSettings()
THRESHOLD = 13.0


def finding(signal: str, evidence: float = 20.0, harm: float = 0.5, at: int = NOW) -> Finding:
    """Sure if its evidence is beyond the threshold."""
    shares = signal == "AnswerShape"
    baseline, now = ([0.125] * 8, [0.5] + [0.5 / 7] * 7) if shares else (1.0, 2.0)
    return Finding(signal, at, at - 120, baseline, now, 40, evidence, THRESHOLD, harm, 0.2, evidence >= THRESHOLD)


def after(incidents: list[Incident], *found: Finding, at: int = NOW, mitigated: tuple = (), share: float = 1.0):
    return review(incidents, found, "support", at, SETTINGS, mitigated, share)


def kinds(changes) -> list[tuple[str, str]]:
    return [(change.kind, change.incident.type) for change in changes]


@pytest.mark.parametrize(
    ("signals", "types"),
    [
        (["Grounding"], ["QUALITY_DEGRADATION"]),
        (["Grounding", "Confidence", "Rejections"], ["QUALITY_DEGRADATION"]),
        (["RetrievalScore", "Grounding", "Relevance", "Hedges", "AnswerShape"], ["RETRIEVAL_FAILURE"]),
        (["RetrievalEmpty"], ["RETRIEVAL_FAILURE"]),
        (["Interventions", "Grounding"], ["HALLUCINATION_PATTERN"]),
        (["CostUsd", "OutputTokens", "Latency", "AnswerShape"], ["COST_SPIKE"]),
        (["OutputTokens", "Latency"], ["MODEL_DRIFT"]),
        (["AnswerShape", "Hedges", "ShortAnswers"], ["MODEL_DRIFT"]),
        (["ModelErrors", "Latency", "LatencyTail"], ["MODEL_ERRORS"]),
        (["LatencyTail"], ["LATENCY"]),
        (["CostUsd", "Grounding"], ["COST_SPIKE", "QUALITY_DEGRADATION"]),
        (["ModelErrors", "RetrievalScore", "Grounding"], ["MODEL_ERRORS", "RETRIEVAL_FAILURE"]),
        ([], []),
    ],
)
def test_findings_have_the_fewest_causes(signals, types):
    assert [type_ for type_, _ in explain([finding(signal) for signal in signals])] == types


def test_a_suspicion_names_the_cause_but_opens_nothing():
    known, changes = after([], finding("RetrievalScore", 5.0))
    assert (known, changes) == ([], [])

    known, changes = after([], finding("Grounding"), finding("RetrievalScore", 5.0))
    assert kinds(changes) == [("OPENED", "RETRIEVAL_FAILURE")]

    known, changes = after([], finding("Grounding"), finding("RetrievalScore", 4.0))
    assert kinds(changes) == [("OPENED", "QUALITY_DEGRADATION")]


def test_an_incident_is_told_once_and_then_kept_up_to_date():
    known, changes = after([], finding("Grounding"))
    assert kinds(changes) == [("OPENED", "QUALITY_DEGRADATION")]

    for minute in range(1, 60):
        at = NOW + 60 * minute
        known, changes = after(known, finding("Grounding", at=at), finding("Confidence", at=at), at=at)
        assert changes == []

    [incident] = known
    assert incident.seen_at == NOW + 59 * 60
    assert {found.signal for found in incident.symptoms} == {"Grounding", "Confidence"}
    assert incident.since == NOW - 120


def test_a_better_explanation_takes_the_place_of_the_first_for_a_while():
    known, _ = after([], finding("Grounding"))

    later, changes = after(known, finding("RetrievalScore"), finding("Grounding"), at=NOW + 60)
    assert kinds(changes) == [("RETYPED", "RETRIEVAL_FAILURE")]
    assert [each.incident_id for each in later] == [known[0].incident_id]

    at = NOW + SETTINGS.retype_seconds + 1
    later, changes = after(known, finding("RetrievalScore"), at=at, mitigated=(known[0].incident_id,))
    assert kinds(changes) == [("OPENED", "RETRIEVAL_FAILURE")]


def test_what_an_open_incident_does_not_explain_is_another_one():
    known, _ = after([], finding("Latency"))

    mitigated = (known[0].incident_id,)
    known, changes = after(known, finding("CostUsd"), finding("Grounding"), at=NOW + 900, mitigated=mitigated)

    assert kinds(changes) == [("OPENED", "COST_SPIKE"), ("OPENED", "QUALITY_DEGRADATION")]
    assert sum(incident.is_open for incident in known) == 3


def test_an_incident_is_over_when_it_was_quiet_and_nothing_is_done_about_it():
    known, _ = after([], finding("Grounding"))
    name, quiet = known[0].incident_id, NOW + SETTINGS.quiet_seconds

    assert after(known, at=quiet - 1)[1] == []
    assert after(known, at=quiet, mitigated=(name,))[1] == []
    assert after(known, finding("Grounding", 5.0), at=quiet)[1][0].kind is ChangeKind.CLOSED
    assert kinds(after(known, at=quiet)[1]) == [("CLOSED", "QUALITY_DEGRADATION")]


@pytest.mark.parametrize(
    ("wait", "kind"), [(SETTINGS.reopen_seconds - 1, "REOPENED"), (SETTINGS.reopen_seconds, "OPENED")]
)
def test_what_comes_back_soon_is_the_same_incident(wait, kind):
    known, _ = after([], finding("Grounding"))
    closed, _ = after(known, at=NOW + 600)

    back, changes = after(closed, finding("Grounding"), at=NOW + 600 + wait)

    assert kinds(changes) == [(kind, "QUALITY_DEGRADATION")]
    assert (back[-1].incident_id == known[0].incident_id) is (kind == "REOPENED")
    assert back[-1].is_open


@pytest.mark.parametrize(
    ("harm", "share", "severity"), [(0.29, 1, 3), (0.3, 1, 2), (0.69, 1, 2), (0.7, 1, 1), (1, 0.3, 2), (1, 0.29, 3)]
)
def test_severity_is_of_the_worst_symptom_and_its_share_of_traffic(harm, share, severity):
    assert severity_of([finding("Grounding", harm=harm), finding("Latency", harm=0.1)], share, SETTINGS) == severity
    assert severity_of([finding("Grounding", 5.0, harm=1)], 1, SETTINGS) == 3


def test_severity_rises_and_is_told_but_does_not_fall():
    known, _ = after([], finding("Grounding", harm=0.2))

    known, changes = after(known, finding("Grounding", 25.0, harm=0.8), at=NOW + 60)
    assert [(change.kind, change.incident.severity) for change in changes] == [("WORSE", 1)]

    known, changes = after(known, finding("Grounding", 14.0, harm=0.1), at=NOW + 120)
    assert (known[0].severity, known[0].findings["Grounding"].harm, changes) == (1, 0.8, [])


def test_a_symptom_is_shown_at_its_surest_until_it_comes_anew():
    known, _ = after([], finding("Grounding", 25.0, harm=0.8))
    fading = finding("Grounding", 14.0, harm=0.3, at=NOW + 60)
    anew = finding("Grounding", 14.0, harm=0.4, at=NOW + 600)

    assert after(known, fading, at=NOW + 60)[0][0].findings["Grounding"].harm == 0.8
    assert after(known, anew, at=NOW + 600)[0][0].findings["Grounding"] == anew


def test_a_report_opens_an_incident_or_is_a_symptom_of_the_open_one():
    known, changes = report([], "answers are rude", "support", NOW)
    assert kinds(changes) == [("OPENED", "REPORTED")]
    assert "reported: answers are rude" in known[0].explained()

    known, _ = after([], finding("Grounding", harm=0.1))
    told, changes = report(known, "x" * 9999, "support", NOW + 60, severity=1)
    assert [(change.kind, change.incident.severity) for change in changes] == [("WORSE", 1)]
    assert len(told) == 1 and len(told[0].reports[0]) == 500


def test_the_same_minute_opens_the_same_incident():
    assert after([], finding("Grounding"), at=NOW)[0][0].incident_id == "support-quality-degradation-1800000000"
    assert after([], finding("Grounding"), at=NOW + 59)[0] != after([], finding("Grounding"), at=NOW)[0]
    assert after([], finding("Grounding"), at=NOW + 19)[0][0].incident_id == "support-quality-degradation-1800000000"


def test_an_incident_explains_itself():
    known, _ = after([], finding("CostUsd"))

    assert known[0].explained().startswith("COST_SPIKE in support, severity 2: CostUsd is 2 where 1 is usual, over 40")


FINDINGS = st.lists(
    st.builds(finding, st.sampled_from(sorted(SIGNALS)), st.floats(3, 25), st.floats(0, 1)),
    max_size=6,
    unique_by=lambda each: each.signal,
)


@given(st.lists(st.tuples(st.integers(60, 4000), FINDINGS, st.booleans()), max_size=30))
@settings(max_examples=100, deadline=None)
def test_whatever_is_found_each_open_incident_has_a_cause_of_its_own(minutes):
    known: list[Incident] = []
    at, told = NOW, set()
    for seconds, found, mitigate in minutes:
        at += seconds
        before = {each.incident_id for each in known if each.is_open}
        known, changes = review(known, found, "support", at, SETTINGS, before if mitigate else ())

        assert len(known) <= MOST_KEPT
        opened = [each for each in known if each.is_open]
        assert len({each.incident_id for each in opened}) == len(opened)
        for change in changes:
            if change.kind is ChangeKind.OPENED:
                assert change.incident.incident_id not in told
                told.add(change.incident.incident_id)
        sure = {each.signal for each in found if each.sure}
        assert all(any(signal in EXPLAINS[each.type] for each in opened) for signal in sure)
        stored = [each.to_json() for each in known]
        assert [Incident.from_json(raw) for raw in json.loads(json.dumps(stored))] == known


def test_every_signal_has_a_cause():
    assert set(SIGNALS) == set().union(*EXPLAINS.values())
    told = {IncidentType.REPORTED, IncidentType.SYSTEM_ALARM}
    assert {type_ for signal in SIGNALS for type_, _ in explain([finding(signal)])} == set(IncidentType) - told
