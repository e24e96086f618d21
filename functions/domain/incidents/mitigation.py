"""Mitigation: one incident's way down a ladder of modes and back, as rules over a state and the time.

A mitigation sets a rung, looks at fresh traffic, and climbs if that did not help. Every rung hides what it protects
from, so from time to time normal operation is tried for a short while (half-open, as a circuit breaker does: Nygard
2007). If that went well it is restored and watched. What never comes to an end by evidence does so by time.

`step` may be called at any time, late or twice. Its rung is void unless it is renewed before `until`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.incidents.findings import Finding, weigh
from domain.incidents.incidents import KNOWN_BY, Incident, IncidentType
from domain.incidents.signals import MINUTE, SIGNALS, Minute

NORMAL = "normal"
MOST_NATS = 30.0
# Outcomes: shown to be well; let be although it may be ill, and then what it is like has to be learned anew.
RESTORED, TOLERATED, OPERATOR_RESTORED = "RESTORED", "TOLERATED", "OPERATOR_RESTORED"
LET_BE = frozenset({TOLERATED, OPERATOR_RESTORED})
MOST_TRANSITIONS = 8


class Rung(StrEnum):
    """In the order of strictness."""

    STRICTER_REVIEW = "stricter_review"
    FALLBACK_MODEL = "fallback_model"
    NO_RETRIEVAL = "no_retrieval"
    CHEAPER = "cheaper"
    CACHE_ONLY = "cache_only"
    REFUSE = "refuse"


# Signals that are otherwise in a mode by itself, and thus say nothing of what is wrong.
DISTURBS: dict[str, frozenset[str]] = {
    NORMAL: frozenset(),
    Rung.STRICTER_REVIEW: frozenset({"Rejections"}),
    Rung.FALLBACK_MODEL: frozenset(
        {"CostUsd", "OutputTokens", "ShortAnswers", "Latency", "LatencyTail", "AnswerShape", "Hedges"}
    ),
    Rung.NO_RETRIEVAL: frozenset(SIGNALS) - {"ModelErrors", "EmptyAnswers"},
    Rung.CHEAPER: frozenset(SIGNALS) - {"ModelErrors", "EmptyAnswers", "RetrievalScore", "RetrievalEmpty"},
    Rung.CACHE_ONLY: frozenset(SIGNALS),
    Rung.REFUSE: frozenset(SIGNALS),
}
# What tells whether a cause is gone: what it is known by, and nothing that merely follows and may have other reasons.
_TOLD_BY = KNOWN_BY | {IncidentType.HALLUCINATION_PATTERN: KNOWN_BY[IncidentType.HALLUCINATION_PATTERN] | {"Grounding"}}
# What answers are like in any other mode says nothing of what they would be like in normal operation.
_HIDES_NOTHING = frozenset({NORMAL, Rung.STRICTER_REVIEW})
# Nothing is answered afresh there: whatever is seen says nothing of the cause.
WITHOUT_EVIDENCE = frozenset({Rung.CACHE_ONLY, Rung.REFUSE})


class Phase(StrEnum):
    VERIFYING = "VERIFYING"  # the rung is set; does fresh traffic say that it helps?
    HOLDING = "HOLDING"  # on the rung, until the next probe
    PROBING = "PROBING"  # normal operation for a short while
    JUDGING = "JUDGING"  # on the rung again, until the probe's metrics are in
    WATCHING = "WATCHING"  # restored; does it stay well?
    DONE = "DONE"


ON_RUNG = frozenset({Phase.VERIFYING, Phase.HOLDING, Phase.JUDGING})


class Ask(StrEnum):
    """What an operator is asked about; nothing waits for the answer but the next rung."""

    APPROVE_RUNG = "APPROVE_RUNG"  # the next rung needs a person's word
    EXHAUSTED = "EXHAUSTED"  # there is no further rung
    SEVERE = "SEVERE"
    FLAPPING = "FLAPPING"  # it came back too often: held for long
    REPORTED = "REPORTED"  # no metric shows it, only a person can say that it is over


class Answer(StrEnum):
    APPROVE = "approve"  # the next rung
    RESTORE = "restore"  # normal operation, whatever metrics say
    HOLD = "hold"  # stay on this rung, without probes


class Verdict(StrEnum):
    WELL = "WELL"
    ILL = "ILL"
    UNSURE = "UNSURE"
    NO_DATA = "NO_DATA"


@dataclass(frozen=True, slots=True)
class MitigationSettings:
    """The policy's section incidents.mitigation."""

    ladders: dict[str, tuple[Rung, ...]]
    needs_operator: tuple[Rung, ...] = (Rung.REFUSE,)
    severe_skips: tuple[Rung, ...] = (Rung.STRICTER_REVIEW,)  # at severity 1, where another rung is left
    settle_seconds: int = 30  # a mode is cached for 5 s, and requests are on their way
    metric_delay_seconds: int = 180  # by then a minute's row is in
    verify_seconds: int = 600
    ill_nats: float = 3.0  # evidence that a rung does not help, or a probe went wrong
    well_nats: float = 5.0  # more is asked of what leads back: a wrong restoration is a flap
    min_samples: int = 15
    probe_after_seconds: int = 300
    probe_after_most: int = 1800
    probe_seconds: int = 150
    probe_most: int = 1200
    watch_seconds: int = 900
    relapse_nats: float = 10.0
    flap_limit: int = 2
    mild_types: tuple[str, ...] = (IncidentType.MODEL_DRIFT,)  # answers that are other, not worse
    mild_seconds: int = 5400  # these, and severity 3, are not degraded for longer: that costs more than it saves
    hold_seconds: int = 5400  # after too many relapses, an operator's word, or a report
    expiry_seconds: int = 600
    renew_seconds: int = 60
    operator_seconds: int = 900  # at severity 1, silence approves after this

    @classmethod
    def from_json(cls, raw: dict) -> "MitigationSettings":
        lists = {name: tuple(map(Rung, raw[name])) for name in ("needs_operator", "severe_skips") if name in raw}
        lists |= {"mild_types": tuple(raw["mild_types"])} if "mild_types" in raw else {}
        ladders = {name: tuple(map(Rung, rungs)) for name, rungs in raw["ladders"].items()}
        return cls(**raw | lists | {"ladders": ladders})


@dataclass(frozen=True, slots=True)
class Mitigation:
    incident_id: str
    type: str
    severity: int
    ladder: tuple[Rung, ...]
    rung: int  # place in the ladder
    began_at: float
    phase: Phase
    phase_at: float
    stepped_at: float
    until: float  # the rung is void from then on
    next_at: float
    fresh_from: float  # rows that begin earlier say nothing
    fresh_until: float | None = None
    judged_to: float = 0.0
    evidence: dict[str, tuple[float, int]] = field(default_factory=dict)  # nats that it is still so, samples
    findings: dict[str, Finding] = field(default_factory=dict)
    probe_at: float = 0.0
    is_firm: bool = False  # held for long: no other mitigation's probe is joined
    probe_seconds: float = 0.0
    backoff: int = 0
    relapses: int = 0
    ask: Ask | None = None
    asked_at: float = 0.0
    overruled: bool = False  # restored in spite of what metrics say; they do not take that back
    outcome: str | None = None

    @classmethod
    def from_json(cls, raw: dict) -> "Mitigation":
        return cls(
            **raw
            | {
                "ladder": tuple(map(Rung, raw["ladder"])),
                "phase": Phase(raw["phase"]),
                "ask": Ask(raw["ask"]) if raw["ask"] else None,
                "evidence": {name: (nats, samples) for name, (nats, samples) in raw["evidence"].items()},
                "findings": {name: Finding.from_json(each) for name, each in raw["findings"].items()},
            }
        )

    def to_json(self) -> dict:
        return {name: getattr(self, name) for name in self.__slots__} | {
            "ladder": [str(rung) for rung in self.ladder],
            "phase": str(self.phase),
            "ask": str(self.ask) if self.ask else None,
            "evidence": {name: list(each) for name, each in self.evidence.items()},
            "findings": {name: finding.to_json() for name, finding in self.findings.items()},
        }

    @property
    def is_done(self) -> bool:
        return self.phase is Phase.DONE

    def mode(self, now: float) -> str:
        """The mode that this mitigation wants now; one that nobody renewed is void."""
        if self.phase in ON_RUNG and self.ladder and now < self.until:
            return self.ladder[self.rung]
        return NORMAL


def begin(incident: Incident, now: float, settings: MitigationSettings) -> Mitigation:
    """The first rung of the incident's ladder; a severe one passes over those that only take care."""
    ladder = settings.ladders.get(incident.type, ())
    fresh = Mitigation(
        incident_id=incident.incident_id,
        type=incident.type,
        severity=incident.severity,
        ladder=ladder,
        rung=_first(ladder, incident.severity, settings),
        began_at=now,
        phase=Phase.HOLDING,
        phase_at=now,
        stepped_at=now,
        until=now + settings.expiry_seconds,
        next_at=now,
        fresh_from=now,
        findings=_telling(incident),
        relapses=incident.reopened,
        probe_seconds=settings.probe_seconds,
    )
    if not ladder:
        told = replace(fresh, ask=Ask.EXHAUSTED, asked_at=now)
        return _due(_enter(told, Phase.WATCHING, now), settings)
    if not fresh.findings:
        held = _hold(fresh, now, now + settings.hold_seconds, firm=True)
        return _due(replace(held, ask=Ask.REPORTED, asked_at=now), settings)
    if incident.severity == 1:
        fresh = replace(fresh, ask=Ask.SEVERE, asked_at=now)
    return _due(_set_rung(fresh, fresh.rung, now, settings), settings)


def follow(mitigation: Mitigation, incident: Incident, now: float, settings: MitigationSettings) -> Mitigation:
    """Take up what became known of the incident: another cause has another ladder; what is known of its symptoms."""
    if mitigation.is_done:
        return mitigation
    if mitigation.phase is not Phase.WATCHING:
        # Rows from before the first rung tell best how bad it was; later ones are of probes, partly healed.
        known, told = mitigation.findings, _telling(incident)
        kept = {name: known.get(name, f) if f.at >= mitigation.began_at else f for name, f in told.items()}
        mitigation = replace(mitigation, findings=kept or known)
    if incident.type != mitigation.type:
        ladder = settings.ladders.get(incident.type, ()) or mitigation.ladder
        mode = mitigation.ladder[mitigation.rung] if mitigation.ladder else None
        rung = ladder.index(mode) if mode in ladder else _first(ladder, incident.severity, settings)
        moved = replace(mitigation, type=incident.type, ladder=ladder, rung=rung)
        if ladder and ladder[rung] != mode and mitigation.phase in ON_RUNG:
            moved = _set_rung(moved, rung, now, settings)
        mitigation = moved
    if incident.severity < mitigation.severity:
        mitigation = replace(mitigation, severity=incident.severity)
        if incident.severity == 1 and mitigation.ask is None:
            mitigation = replace(mitigation, ask=Ask.SEVERE, asked_at=now)
    return _due(mitigation, settings)


def step(
    mitigation: Mitigation,
    now: float,
    rows: Sequence[Minute],
    settings: MitigationSettings,
    answer: Answer | None = None,
    found_again: bool = False,
    others: Iterable[Mitigation] = (),
) -> Mitigation:
    """The mitigation as it is now, given the latest rows; an earlier moment than the last one changes nothing.

    `found_again` says that the detectors find the incident in rows of restored operation. `others` are the same use
    case's: what their modes hide is no evidence, and probes are made together. An answer belongs to one step only.
    """
    if mitigation.is_done or now < mitigation.stepped_at or not math.isfinite(now):
        return mitigation
    if mitigation.phase in ON_RUNG and now >= mitigation.until:
        # Nobody renewed it: since then operation was normal, and rows tell how that went.
        mitigation = replace(_enter(mitigation, Phase.WATCHING, mitigation.until), fresh_from=mitigation.until)
    if answer:
        mitigation = _answered(mitigation, answer, now, settings)
    mitigation = _beside(mitigation, others, now, settings)
    mitigation = _judge(mitigation, rows)
    for _ in range(MOST_TRANSITIONS):
        moved = _move(mitigation, now, settings, found_again)
        if moved is mitigation:
            break
        mitigation, found_again = moved, False
    renewed = replace(mitigation, stepped_at=now, until=now + settings.expiry_seconds)
    return _due(renewed, settings)


def _beside(
    mitigation: Mitigation, others: Iterable[Mitigation], now: float, settings: MitigationSettings
) -> Mitigation:
    """Probe when others do, for the mode is normal only if all want it; and count nothing that theirs may hide."""
    others = [one for one in others if not one.is_done]
    mode, fresh = strictest(one.mode(now) for one in others), now + settings.settle_seconds
    if mitigation.phase is Phase.HOLDING and not mitigation.is_firm and mitigation.probe_at > now:
        joins = any(one.phase is Phase.PROBING for one in others)
        return replace(mitigation, probe_at=now) if joins else mitigation
    if mode in _HIDES_NOTHING:
        return mitigation
    if mitigation.phase is Phase.PROBING:
        if now - mitigation.phase_at > settings.metric_delay_seconds:
            return _hold(mitigation, now, now + settings.probe_after_seconds)
        until = fresh + mitigation.probe_seconds
        return replace(mitigation, fresh_from=fresh, fresh_until=until, evidence={})
    own = mitigation.ladder[mitigation.rung] if mitigation.ladder else NORMAL
    is_hidden = mitigation.phase is Phase.VERIFYING and strictest((own, mode)) != own
    if is_hidden or mitigation.phase is Phase.WATCHING:
        return replace(mitigation, fresh_from=fresh, evidence={})
    return mitigation


def strictest(modes: Iterable[str]) -> str:
    """Of several mitigations the strictest mode holds."""
    order = [NORMAL, *Rung]
    return max(modes, key=order.index, default=NORMAL)


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


# --- Rules -------------------------------------------------------------------------------


def _move(mitigation: Mitigation, now: float, settings: MitigationSettings, found_again: bool) -> Mitigation:
    """At most one transition; the very same object if nothing is due."""
    if mitigation.phase is Phase.VERIFYING:
        return _verify(mitigation, now, settings)
    if mitigation.phase is Phase.HOLDING:
        return _leave_hold(mitigation, now, settings)
    if mitigation.phase is Phase.PROBING:
        return _probe(mitigation, now, settings)
    if mitigation.phase is Phase.JUDGING:
        return _judge_probe(mitigation, now, settings)
    if mitigation.phase is Phase.WATCHING:
        return _watch(mitigation, now, settings, found_again)
    return mitigation


def _verify(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    said = verdict(mitigation, settings)
    if said is Verdict.WELL or mitigation.ladder[mitigation.rung] in WITHOUT_EVIDENCE:
        if mitigation.relapses > settings.flap_limit:
            return _hold_for_long(mitigation, now, settings)
        return _hold(mitigation, now, now + settings.probe_after_seconds)
    if said is Verdict.ILL:
        return _climb(mitigation, now, settings)
    if now - mitigation.phase_at < settings.verify_seconds:
        return mitigation
    if said is Verdict.UNSURE and _leans_ill(mitigation):
        return _climb(mitigation, now, settings)
    return _hold(mitigation, now, now + settings.probe_after_seconds)


def _climb(mitigation: Mitigation, now: float, settings: MitigationSettings, approved: bool = False) -> Mitigation:
    if mitigation.rung + 1 >= len(mitigation.ladder):
        held = _hold(mitigation, now, now + settings.probe_after_seconds)
        return replace(held, ask=Ask.EXHAUSTED, asked_at=now)
    if mitigation.ladder[mitigation.rung + 1] in settings.needs_operator and not approved:
        held = _hold(mitigation, now, now + settings.probe_after_seconds)
        return replace(held, ask=Ask.APPROVE_RUNG, asked_at=now)
    return _set_rung(mitigation, mitigation.rung + 1, now, settings)


def _leave_hold(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    silent = now - mitigation.asked_at >= settings.operator_seconds
    if mitigation.ask is Ask.APPROVE_RUNG and mitigation.severity == 1 and silent:
        return _climb(replace(mitigation, ask=Ask.SEVERE), now, settings, approved=True)
    if now < mitigation.probe_at:
        return mitigation
    if not mitigation.findings:
        return _restore(mitigation, now)
    is_mild = mitigation.severity == 3 or mitigation.type in settings.mild_types
    if is_mild and now - mitigation.began_at >= settings.mild_seconds:
        return replace(_restore(mitigation, now), overruled=True, outcome=TOLERATED)
    opened = _enter(mitigation, Phase.PROBING, now)
    return replace(
        opened,
        fresh_from=now + settings.settle_seconds,
        fresh_until=now + settings.settle_seconds + mitigation.probe_seconds,
    )


def _probe(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    said = verdict(mitigation, settings)
    if said is Verdict.WELL:
        return _restore(mitigation, now)
    if said is Verdict.ILL:
        return _probe_later(mitigation, now, settings)
    if now >= mitigation.fresh_until:
        return replace(mitigation, phase=Phase.JUDGING, phase_at=now)
    return mitigation


def _judge_probe(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    said = verdict(mitigation, settings)
    if said is Verdict.WELL:
        return _restore(mitigation, now)
    if said is Verdict.ILL:
        return _probe_later(mitigation, now, settings)
    if now < mitigation.fresh_until + settings.metric_delay_seconds:
        return mitigation
    if mitigation.probe_seconds < settings.probe_most:
        longer = min(2 * mitigation.probe_seconds, settings.probe_most)
        return replace(_hold(mitigation, now, now + settings.probe_after_seconds), probe_seconds=longer)
    # The longest probe tells no more: who cannot be shown to be ill is let go, and watched.
    return _probe_later(mitigation, now, settings) if _leans_ill(mitigation) else _restore(mitigation, now)


def _probe_later(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    backoff = min(mitigation.backoff + 1, 16)
    wait = min(settings.probe_after_seconds * 2**backoff, settings.probe_after_most)
    return replace(_hold(mitigation, now, now + wait), backoff=backoff)


def _watch(mitigation: Mitigation, now: float, settings: MitigationSettings, found_again: bool) -> Mitigation:
    worst = max((nats for nats, _ in mitigation.evidence.values()), default=0.0)
    if (worst >= settings.relapse_nats or found_again) and mitigation.ladder and not mitigation.overruled:
        relapsed = replace(mitigation, relapses=mitigation.relapses + 1, backoff=min(mitigation.backoff + 1, 16))
        if relapsed.relapses > settings.flap_limit:
            return _hold_for_long(relapsed, now, settings)
        return _set_rung(relapsed, mitigation.rung, now, settings)
    if now - mitigation.phase_at >= settings.watch_seconds:
        return replace(_enter(mitigation, Phase.DONE, now), outcome=mitigation.outcome or RESTORED, ask=None)
    return mitigation


def _answered(mitigation: Mitigation, answer: Answer, now: float, settings: MitigationSettings) -> Mitigation:
    answered = replace(mitigation, ask=None)
    if answer is Answer.RESTORE:
        return replace(_restore(answered, now), overruled=True, outcome=OPERATOR_RESTORED)
    if mitigation.phase not in ON_RUNG:
        return answered
    if answer is Answer.HOLD:
        return _hold(answered, now, now + settings.hold_seconds, firm=True)
    return _climb(answered, now, settings, approved=True)


def _set_rung(mitigation: Mitigation, rung: int, now: float, settings: MitigationSettings) -> Mitigation:
    entered = _enter(mitigation, Phase.VERIFYING, now)
    return replace(entered, rung=rung, fresh_from=now + settings.settle_seconds, until=now + settings.expiry_seconds)


def _hold(mitigation: Mitigation, now: float, probe_at: float, firm: bool = False) -> Mitigation:
    return replace(_enter(mitigation, Phase.HOLDING, now), probe_at=probe_at, is_firm=firm)


def _hold_for_long(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    """It came back too often: until a person speaks, or long time has passed."""
    held = _hold(mitigation, now, now + settings.hold_seconds, firm=True)
    return replace(held, ask=Ask.FLAPPING, asked_at=now)


def _restore(mitigation: Mitigation, now: float) -> Mitigation:
    return replace(_enter(mitigation, Phase.WATCHING, now), fresh_from=now)


def _enter(mitigation: Mitigation, phase: Phase, now: float) -> Mitigation:
    return replace(mitigation, phase=phase, phase_at=now, evidence={}, fresh_until=None)


def _judge(mitigation: Mitigation, rows: Sequence[Minute]) -> Mitigation:
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


def _leans_ill(mitigation: Mitigation) -> bool:
    return max((nats for nats, _ in mitigation.evidence.values()), default=0.0) > 0


def _telling(incident: Incident) -> dict[str, Finding]:
    """The symptoms that later traffic is judged by; all, where none of those that tell was found for sure."""
    symptoms = {finding.signal: finding for finding in incident.symptoms}
    told_by = _TOLD_BY[IncidentType(incident.type)]
    return {name: finding for name, finding in symptoms.items() if name in told_by} or symptoms


def _first(ladder: tuple[Rung, ...], severity: int, settings: MitigationSettings) -> int:
    if severity == 1:
        return next((place for place, rung in enumerate(ladder) if rung not in settings.severe_skips), 0)
    return 0


def _due(mitigation: Mitigation, settings: MitigationSettings) -> Mitigation:
    """When the next step is worth making: often enough to be renewed, and at what is planned."""
    at = mitigation.stepped_at + settings.renew_seconds
    for planned in (mitigation.fresh_until, mitigation.probe_at if mitigation.phase is Phase.HOLDING else None):
        if planned is not None and planned > mitigation.stepped_at:
            at = min(at, planned)
    return replace(mitigation, next_at=at)
