"""Verdicts: what fresh traffic says of a mitigation, by the symptoms that its incident is known by."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from domain.incidents.findings import Finding, weigh
from domain.incidents.incidents import KNOWN_BY, Incident, IncidentType
from domain.incidents.mitigation import Mitigation, MitigationSettings, Phase
from domain.incidents.signals import MINUTE, Minute

MOST_NATS = 30.0
# What tells whether a cause is gone: what it is known by, and nothing that merely follows and may have other reasons.
_TOLD_BY = KNOWN_BY | {IncidentType.HALLUCINATION_PATTERN: KNOWN_BY[IncidentType.HALLUCINATION_PATTERN] | {"Grounding"}}


class Verdict(StrEnum):
    WELL = "WELL"
    ILL = "ILL"
    UNSURE = "UNSURE"
    NO_DATA = "NO_DATA"


def verdict(mitigation: Mitigation, settings: MitigationSettings) -> Verdict:
    """Ill if any symptom surely is still there, well if none is."""
    told = [(nats, samples) for nats, samples in mitigation.evidence.values() if samples]
    if not told:
        return Verdict.NO_DATA
    if any(nats >= settings.ill_nats for nats, _ in told):
        return Verdict.ILL
    enough = max(samples for _, samples in told) >= settings.min_samples
    if enough and all(nats <= -settings.well_nats for nats, _ in told):
        return Verdict.WELL
    return Verdict.UNSURE


def leans_ill(mitigation: Mitigation) -> bool:
    return max((nats for nats, _ in mitigation.evidence.values()), default=0.0) > 0


def judged(mitigation: Mitigation, rows: Sequence[Minute]) -> Mitigation:
    """Weigh the rows that lie wholly in the time that is judged, each once."""
    if mitigation.phase is Phase.HOLDING:
        return mitigation
    end = mitigation.fresh_until
    evidence, judged_to = dict(mitigation.evidence), mitigation.judged_to
    for row in sorted(rows, key=lambda each: each.at):
        if row.at <= judged_to or row.at < mitigation.fresh_from or (end is not None and row.at + MINUTE > end):
            continue
        judged_to = row.at
        for name, finding in mitigation.findings.items():
            if weighed := weigh(finding, row):
                nats, samples = evidence.get(name, (0.0, 0))
                nats = min(nats + weighed[0], MOST_NATS)
                # Restored operation may fall ill again: what went well before does not count against that (CUSUM).
                least = 0.0 if mitigation.phase is Phase.WATCHING else -MOST_NATS
                evidence[name] = (max(nats, least), samples + weighed[1])
    return replace(mitigation, evidence=evidence, judged_to=judged_to)


def telling(incident: Incident) -> dict[str, Finding]:
    """The symptoms that later traffic is judged by; all, where none of those that tell was found for sure."""
    symptoms = {finding.signal: finding for finding in incident.symptoms}
    told_by = _TOLD_BY[IncidentType(incident.type)]
    return {name: finding for name, finding in symptoms.items() if name in told_by} or symptoms
