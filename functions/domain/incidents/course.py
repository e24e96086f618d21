"""The course of a mitigation: how it begins, follows its incident and goes on, as rules over a state and the time.

A mitigation sets a rung, looks at fresh traffic, and climbs if that did not help. Every rung hides what it protects
from, so from time to time normal operation is tried for a short while (half-open, as a circuit breaker does: Nygard
2007). If that went well it is restored and watched. What never comes to an end by evidence does so by time.

`step` may be called at any time, late or twice. Its rung is void unless it is renewed before `until`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from domain.incidents.incidents import Incident
from domain.incidents.ladders import HIDES_NOTHING, NORMAL, Rung, strictest
from domain.incidents.mitigation import ON_RUNG, Answer, Ask, Mitigation, MitigationSettings, Phase
from domain.incidents.signals import Minute
from domain.incidents.transitions import answered, enter, hold, moved_on, set_rung
from domain.incidents.verdicts import judged, telling

MOST_TRANSITIONS = 8


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
        findings=telling(incident),
        relapses=incident.reopened,
        probe_seconds=settings.probe_seconds,
    )
    if not ladder:
        told = replace(fresh, ask=Ask.EXHAUSTED, asked_at=now)
        return _due(enter(told, Phase.WATCHING, now), settings)
    if not fresh.findings:
        held = hold(fresh, now, now + settings.hold_seconds, firm=True)
        return _due(replace(held, ask=Ask.REPORTED, asked_at=now), settings)
    if incident.severity == 1:
        fresh = replace(fresh, ask=Ask.SEVERE, asked_at=now)
    return _due(set_rung(fresh, fresh.rung, now, settings), settings)


def follow(mitigation: Mitigation, incident: Incident, now: float, settings: MitigationSettings) -> Mitigation:
    """Take up what became known of the incident: another cause has another ladder; what is known of its symptoms."""
    if mitigation.is_done:
        return mitigation
    if mitigation.phase is not Phase.WATCHING:
        # Rows from before the first rung tell best how bad it was; later ones are of probes, partly healed.
        known, told = mitigation.findings, telling(incident)
        kept = {name: known.get(name, f) if f.at >= mitigation.began_at else f for name, f in told.items()}
        mitigation = replace(mitigation, findings=kept or known)
    if incident.type != mitigation.type:
        ladder = settings.ladders.get(incident.type, ()) or mitigation.ladder
        mode = mitigation.ladder[mitigation.rung] if mitigation.ladder else None
        rung = ladder.index(mode) if mode in ladder else _first(ladder, incident.severity, settings)
        moved = replace(mitigation, type=incident.type, ladder=ladder, rung=rung)
        if ladder and ladder[rung] != mode and mitigation.phase in ON_RUNG:
            moved = set_rung(moved, rung, now, settings)
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
        mitigation = replace(enter(mitigation, Phase.WATCHING, mitigation.until), fresh_from=mitigation.until)
    if answer:
        mitigation = answered(mitigation, answer, now, settings)
    mitigation = _beside(mitigation, others, now, settings)
    mitigation = judged(mitigation, rows)
    for _ in range(MOST_TRANSITIONS):
        moved = moved_on(mitigation, now, settings, found_again)
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
    if mode in HIDES_NOTHING:
        return mitigation
    if mitigation.phase is Phase.PROBING:
        if now - mitigation.phase_at > settings.metric_delay_seconds:
            return hold(mitigation, now, now + settings.probe_after_seconds)
        until = fresh + mitigation.probe_seconds
        return replace(mitigation, fresh_from=fresh, fresh_until=until, evidence={})
    own = mitigation.ladder[mitigation.rung] if mitigation.ladder else NORMAL
    is_hidden = mitigation.phase is Phase.VERIFYING and strictest((own, mode)) != own
    if is_hidden or mitigation.phase is Phase.WATCHING:
        return replace(mitigation, fresh_from=fresh, evidence={})
    return mitigation


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
