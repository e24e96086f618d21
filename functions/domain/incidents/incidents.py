"""Incidents: what is wrong with a use case, one per cause, however many signals show it and however long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.incidents.findings import Finding
from domain.policy import SYSTEM

MOST_KEPT = 12


class IncidentType(StrEnum):
    """In the order in which a cause is looked for: an earlier one explains what a later one would be seen by."""

    MODEL_ERRORS = "MODEL_ERRORS"
    RETRIEVAL_FAILURE = "RETRIEVAL_FAILURE"
    COST_SPIKE = "COST_SPIKE"
    HALLUCINATION_PATTERN = "HALLUCINATION_PATTERN"
    QUALITY_DEGRADATION = "QUALITY_DEGRADATION"
    MODEL_DRIFT = "MODEL_DRIFT"
    LATENCY = "LATENCY"
    REPORTED = "REPORTED"
    SYSTEM_ALARM = "SYSTEM_ALARM"


_TYPES = list(IncidentType)
# The signals that a cause is known by, and those that follow from it.
KNOWN_BY: dict[IncidentType, frozenset[str]] = {
    IncidentType.MODEL_ERRORS: frozenset({"ModelErrors", "EmptyAnswers"}),
    IncidentType.RETRIEVAL_FAILURE: frozenset({"RetrievalScore", "RetrievalEmpty"}),
    IncidentType.COST_SPIKE: frozenset({"CostUsd"}),
    IncidentType.HALLUCINATION_PATTERN: frozenset({"Interventions"}),
    IncidentType.QUALITY_DEGRADATION: frozenset({"Grounding", "Relevance", "Confidence", "Rejections"}),
    IncidentType.MODEL_DRIFT: frozenset({"AnswerShape", "OutputTokens", "ShortAnswers", "Hedges"}),
    IncidentType.LATENCY: frozenset({"Latency", "LatencyTail"}),
    IncidentType.REPORTED: frozenset(),
    IncidentType.SYSTEM_ALARM: frozenset(),
}
_FOLLOWS: dict[IncidentType, frozenset[str]] = {
    IncidentType.MODEL_ERRORS: frozenset({"Latency", "LatencyTail"}),
    IncidentType.RETRIEVAL_FAILURE: frozenset(
        {"Grounding", "Relevance", "Confidence", "Interventions", "Hedges", "Rejections", "AnswerShape", "ShortAnswers"}
    ),
    IncidentType.COST_SPIKE: frozenset({"OutputTokens", "AnswerShape", "Latency", "LatencyTail"}),
    IncidentType.HALLUCINATION_PATTERN: frozenset(
        {"Grounding", "Relevance", "Confidence", "Rejections", "AnswerShape", "OutputTokens"}
    ),
    IncidentType.QUALITY_DEGRADATION: frozenset(
        {"Interventions", "Hedges", "AnswerShape", "OutputTokens", "ShortAnswers"}
    ),
    IncidentType.MODEL_DRIFT: frozenset({"CostUsd", "Latency", "LatencyTail"}),
    IncidentType.LATENCY: frozenset(),
    IncidentType.REPORTED: frozenset(),
    IncidentType.SYSTEM_ALARM: frozenset(),
}
EXPLAINS = {type_: KNOWN_BY[type_] | _FOLLOWS[type_] for type_ in IncidentType}


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """The policy's section incidents.correlation."""

    retype_seconds: int = 600  # so long a better explanation may take the place of the first one
    quiet_seconds: int = 600  # without a finding or a mitigation, an incident is over
    reopen_seconds: int = 1800  # what comes back within this is the same incident
    support: float = 0.35  # a suspicion counts as a symptom from this share of the threshold on
    severe_harm: float = 0.7
    serious_harm: float = 0.3

    @classmethod
    def from_json(cls, raw: dict) -> "IncidentSettings":
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class Incident:
    incident_id: str
    use_case: str
    type: IncidentType
    severity: int  # 1 is the worst
    opened_at: int
    since: int  # when it seems to have begun
    seen_at: int
    closed_at: int | None = None
    reopened: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    reports: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, raw: dict) -> "Incident":
        findings = {name: Finding.from_json(each) for name, each in raw["findings"].items()}
        return cls(**raw | {"type": IncidentType(raw["type"]), "findings": findings, "reports": tuple(raw["reports"])})

    def to_json(self) -> dict:
        plain = {name: getattr(self, name) for name in self.__slots__}
        findings = {name: finding.to_json() for name, finding in self.findings.items()}
        return plain | {"type": str(self.type), "findings": findings, "reports": list(self.reports)}

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def symptoms(self) -> tuple[Finding, ...]:
        """What was found for sure, the surest first."""
        sure = (finding for finding in self.findings.values() if finding.sure)
        return tuple(sorted(sure, key=lambda finding: (-finding.evidence, finding.signal)))

    def explained(self) -> str:
        """In words, for a notification."""
        told = [finding.explained() for finding in self.symptoms] + [f"reported: {report}" for report in self.reports]
        return f"{self.type} in {self.use_case}, severity {self.severity}: " + ("; ".join(told) or "no symptom")


class ChangeKind(StrEnum):
    OPENED = "OPENED"
    REOPENED = "REOPENED"
    RETYPED = "RETYPED"  # a better explanation was found
    WORSE = "WORSE"  # its severity rose
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """What is worth a notification; everything else is an update of what is shown."""

    kind: ChangeKind
    incident: Incident


def review(
    incidents: Sequence[Incident],
    findings: Iterable[Finding],
    use_case: str,
    now: int,
    settings: IncidentSettings,
    mitigated: Iterable[str] = (),
    traffic_share: float = 1.0,
) -> tuple[list[Incident], list[IncidentChange]]:
    """A use case's incidents after a minute's findings; `mitigated` names those that something is still done about."""
    usable = [f for f in findings if f.sure or f.evidence >= settings.support * f.threshold]
    mitigated = frozenset(mitigated)
    found, changes = [], []
    for incident in incidents:
        if not incident.is_open:
            if now - incident.closed_at < settings.reopen_seconds:
                found.append(incident)
            continue
        updated, usable = _take_up(incident, usable, now, settings, traffic_share)
        if updated.type is not incident.type:
            changes.append(IncidentChange(ChangeKind.RETYPED, updated))
        elif updated.severity < incident.severity:
            changes.append(IncidentChange(ChangeKind.WORSE, updated))
        if updated.incident_id not in mitigated and now - updated.seen_at >= settings.quiet_seconds:
            updated = replace(updated, closed_at=now)
            changes.append(IncidentChange(ChangeKind.CLOSED, updated))
        found.append(updated)
    for type_, group in explain(usable):
        known = next((each for each in found if each.type is type_ and not each.is_open), None)
        opened = _open(known, type_, group, use_case, now, settings, traffic_share)
        found = [each for each in found if each is not known] + [opened]
        changes.append(IncidentChange(ChangeKind.REOPENED if known else ChangeKind.OPENED, opened))
    found.sort(key=lambda each: (each.is_open, each.seen_at))
    return found[-MOST_KEPT:], changes


def report(
    incidents: Sequence[Incident], words: str, use_case: str, now: int, severity: int = 3
) -> tuple[list[Incident], list[IncidentChange]]:
    """A person or an alarm says that something is wrong: a symptom of the incident that is open, or one of its own."""
    words = words[:500]
    for place, incident in enumerate(incidents):
        if incident.is_open:
            told = replace(
                incident,
                reports=(*incident.reports, words)[-5:],
                seen_at=now,
                severity=min(severity, incident.severity),
            )
            worse = [IncidentChange(ChangeKind.WORSE, told)] if told.severity < incident.severity else []
            return [*incidents[:place], told, *incidents[place + 1 :]], worse
    type_ = IncidentType.SYSTEM_ALARM if use_case == SYSTEM else IncidentType.REPORTED
    opened = Incident(name_of(use_case, type_, now), use_case, type_, severity, now, now, now, reports=(words,))
    return [*incidents, opened][-MOST_KEPT:], [IncidentChange(ChangeKind.OPENED, opened)]


def explain(findings: Iterable[Finding]) -> list[tuple[IncidentType, dict[str, Finding]]]:
    """The fewest causes that explain everything found for sure: a single one, or one after the other as types go."""
    left = {finding.signal: finding for finding in findings}
    if alone := _sole_cause(left.values(), _TYPES):
        return [(alone, {name: finding for name, finding in left.items() if name in EXPLAINS[alone]})]
    causes = []
    for type_ in _TYPES:
        group = {name: finding for name, finding in left.items() if name in EXPLAINS[type_]}
        if KNOWN_BY[type_] & group.keys() and any(finding.sure for finding in group.values()):
            causes.append((type_, group))
            left = {name: finding for name, finding in left.items() if name not in group}
    return causes


def _sole_cause(findings: Iterable[Finding], types: Sequence[IncidentType]) -> IncidentType | None:
    """The first of these types that is known by one of the findings and explains all that are sure."""
    names = {finding.signal for finding in findings}
    sure = {finding.signal for finding in findings if finding.sure}
    return next((type_ for type_ in types if sure and sure <= EXPLAINS[type_] and KNOWN_BY[type_] & names), None)


def severity_of(findings: Iterable[Finding], traffic_share: float, settings: IncidentSettings) -> int:
    """1 to 3, from the worst symptom and how much of all traffic has it."""
    harm = max((finding.harm for finding in findings if finding.sure), default=0.0) * traffic_share
    return 1 if harm >= settings.severe_harm else 2 if harm >= settings.serious_harm else 3


def name_of(use_case: str, type_: IncidentType, opened_at: int) -> str:
    """The same for the same minute, so that a repeated run opens no second one."""
    return f"{use_case}-{type_.lower().replace('_', '-')}-{opened_at // 60 * 60}"


def _take_up(
    incident: Incident, findings: list[Finding], now: int, settings: IncidentSettings, traffic_share: float
) -> tuple[Incident, list[Finding]]:
    """The incident with the findings that belong to it, and those that do not."""
    type_ = incident.type
    if now - incident.opened_at <= settings.retype_seconds and incident.findings:
        type_ = _better_explanation(incident, findings)
    own = {finding.signal: finding for finding in findings if finding.signal in EXPLAINS[type_]}
    if not own:
        return incident, findings
    # A symptom is shown as it was when it was surest, for it fades by what is done about it; until it comes anew.
    merged = dict(incident.findings)
    for name, finding in own.items():
        known = merged.get(name)
        if known is None or finding.evidence > known.evidence or (finding.sure and finding.since > known.at):
            merged[name] = finding
    sure = any(finding.sure for finding in own.values())
    severity = min(incident.severity, severity_of(own.values(), traffic_share, settings))
    since = min([incident.since, *(finding.since for finding in own.values() if finding.sure)])
    taken = replace(
        incident,
        type=type_,
        severity=severity,
        since=since,
        seen_at=now if sure else incident.seen_at,
        findings=merged,
    )
    return taken, [finding for finding in findings if finding.signal not in own]


def _better_explanation(incident: Incident, findings: list[Finding]) -> IncidentType:
    """A cause that explains the incident's symptoms and, for sure, more; or one that is looked for before it."""
    sure = [finding for finding in findings if finding.sure]
    if not sure:
        return incident.type
    unexplained = any(finding.signal not in EXPLAINS[incident.type] for finding in sure)
    types = _TYPES if unexplained else _TYPES[: _TYPES.index(incident.type)]
    known_anew = [type_ for type_ in types if any(finding.signal in KNOWN_BY[type_] for finding in sure)]
    return _sole_cause([*incident.symptoms, *sure], known_anew) or incident.type


def _open(
    known: Incident | None,
    type_: IncidentType,
    group: dict[str, Finding],
    use_case: str,
    now: int,
    settings: IncidentSettings,
    traffic_share: float,
) -> Incident:
    severity = severity_of(group.values(), traffic_share, settings)
    since = min(finding.since for finding in group.values() if finding.sure)
    if known:
        return replace(
            known, severity=severity, seen_at=now, closed_at=None, reopened=known.reopened + 1, findings=group
        )
    return Incident(name_of(use_case, type_, now), use_case, type_, severity, now, since, now, findings=group)
