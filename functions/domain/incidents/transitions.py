"""Transitions: from which phase a mitigation goes to which, by evidence, by an operator's word, or by time."""

from dataclasses import replace

from domain.incidents.ladders import WITHOUT_EVIDENCE
from domain.incidents.mitigation import (
    ON_RUNG,
    OPERATOR_RESTORED,
    RESTORED,
    TOLERATED,
    Answer,
    Ask,
    Mitigation,
    MitigationSettings,
    Phase,
)
from domain.incidents.verdicts import Verdict, leans_ill, verdict


def moved_on(mitigation: Mitigation, now: float, settings: MitigationSettings, found_again: bool) -> Mitigation:
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


def answered(mitigation: Mitigation, answer: Answer, now: float, settings: MitigationSettings) -> Mitigation:
    """An operator's word: it goes before what metrics say."""
    heard = replace(mitigation, ask=None)
    if answer is Answer.RESTORE:
        return replace(_restore(heard, now), overruled=True, outcome=OPERATOR_RESTORED)
    if mitigation.phase not in ON_RUNG:
        return heard
    if answer is Answer.HOLD:
        return hold(heard, now, now + settings.hold_seconds, firm=True)
    return _climb(heard, now, settings, approved=True)


def _verify(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    said = verdict(mitigation, settings)
    if said is Verdict.WELL or mitigation.ladder[mitigation.rung] in WITHOUT_EVIDENCE:
        if mitigation.relapses > settings.flap_limit:
            return _hold_for_long(mitigation, now, settings)
        return hold(mitigation, now, now + settings.probe_after_seconds)
    if said is Verdict.ILL:
        return _climb(mitigation, now, settings)
    if now - mitigation.phase_at < settings.verify_seconds:
        return mitigation
    if said is Verdict.UNSURE and leans_ill(mitigation):
        return _climb(mitigation, now, settings)
    return hold(mitigation, now, now + settings.probe_after_seconds)


def _climb(mitigation: Mitigation, now: float, settings: MitigationSettings, approved: bool = False) -> Mitigation:
    if mitigation.rung + 1 >= len(mitigation.ladder):
        held = hold(mitigation, now, now + settings.probe_after_seconds)
        return replace(held, ask=Ask.EXHAUSTED, asked_at=now)
    if mitigation.ladder[mitigation.rung + 1] in settings.needs_operator and not approved:
        held = hold(mitigation, now, now + settings.probe_after_seconds)
        return replace(held, ask=Ask.APPROVE_RUNG, asked_at=now)
    return set_rung(mitigation, mitigation.rung + 1, now, settings)


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
    opened = enter(mitigation, Phase.PROBING, now)
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
        return replace(hold(mitigation, now, now + settings.probe_after_seconds), probe_seconds=longer)
    # The longest probe tells no more: who cannot be shown to be ill is let go, and watched.
    return _probe_later(mitigation, now, settings) if leans_ill(mitigation) else _restore(mitigation, now)


def _probe_later(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    backoff = min(mitigation.backoff + 1, 16)
    wait = min(settings.probe_after_seconds * 2**backoff, settings.probe_after_most)
    return replace(hold(mitigation, now, now + wait), backoff=backoff)


def _watch(mitigation: Mitigation, now: float, settings: MitigationSettings, found_again: bool) -> Mitigation:
    worst = max((nats for nats, _ in mitigation.evidence.values()), default=0.0)
    if (worst >= settings.relapse_nats or found_again) and mitigation.ladder and not mitigation.overruled:
        relapsed = replace(mitigation, relapses=mitigation.relapses + 1, backoff=min(mitigation.backoff + 1, 16))
        if relapsed.relapses > settings.flap_limit:
            return _hold_for_long(relapsed, now, settings)
        return set_rung(relapsed, mitigation.rung, now, settings)
    if now - mitigation.phase_at >= settings.watch_seconds:
        return replace(enter(mitigation, Phase.DONE, now), outcome=mitigation.outcome or RESTORED, ask=None)
    return mitigation


def set_rung(mitigation: Mitigation, rung: int, now: float, settings: MitigationSettings) -> Mitigation:
    entered = enter(mitigation, Phase.VERIFYING, now)
    return replace(entered, rung=rung, fresh_from=now + settings.settle_seconds, until=now + settings.expiry_seconds)


def hold(mitigation: Mitigation, now: float, probe_at: float, firm: bool = False) -> Mitigation:
    return replace(enter(mitigation, Phase.HOLDING, now), probe_at=probe_at, is_firm=firm)


def _hold_for_long(mitigation: Mitigation, now: float, settings: MitigationSettings) -> Mitigation:
    """It came back too often: until a person speaks, or long time has passed."""
    held = hold(mitigation, now, now + settings.hold_seconds, firm=True)
    return replace(held, ask=Ask.FLAPPING, asked_at=now)


def _restore(mitigation: Mitigation, now: float) -> Mitigation:
    return replace(enter(mitigation, Phase.WATCHING, now), fresh_from=now)


def enter(mitigation: Mitigation, phase: Phase, now: float) -> Mitigation:
    return replace(mitigation, phase=phase, phase_at=now, evidence={}, fresh_until=None)
