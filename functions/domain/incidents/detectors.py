"""Detectors: what a use case's metrics usually are, and how sure we are that they are worse now.

Each signal has a baseline by its kind, and evidence against it. State in, state out: a dict of JSON, bounded whatever
comes, of which one belongs to one use case.
"""

from collections.abc import Iterable

from domain.incidents.baselines import REMEMBER_SECONDS, accepted, gone_back, remembered
from domain.incidents.evidence import DetectorSettings, is_shaken, no_tracks
from domain.incidents.findings import Finding, finding_of
from domain.incidents.levels import watch_level
from domain.incidents.rates import watch_rate
from domain.incidents.rhythms import noted
from domain.incidents.shapes import watch_shape
from domain.incidents.signals import DAY, SIGNALS, Kind, Minute, number

VERSION = 4  # of the state; one of another version is begun anew
# From this share of the threshold on, no signal learns: what one shows may be in others, too.
SHAKEN = 0.5
_WATCHERS = {Kind.LEVEL: watch_level, Kind.RATE: watch_rate, Kind.SHAPE: watch_shape}


def observe(
    state: dict | None,
    minute: Minute,
    settings: DetectorSettings,
    disturbed: Iterable[str] = (),
    learn: bool = True,
    deployed: bool = False,
) -> tuple[dict, list[Finding]]:
    """Take one minute; gives the next state, and what is found or suspected.

    `disturbed` names signals that say nothing of this minute (maintenance, a mode that changes them by itself). Nothing
    is learned in a mode. `deployed` says that a deploy took effect in this minute.
    """
    at = number(minute.at)
    if not state or state.get("version") != VERSION:
        state = {"version": VERSION, "at": None, "deployed_at": None, "learned_at": None}
        state |= {"signals": {}, "rhythms": {}, "past": [], "was_sure": False}
    if at is None:
        return state, []
    last = state["at"]
    # A minute comes once; but a clock that was days ahead must not stop everything until then.
    if last is not None and last - DAY < at <= last:
        return state, []
    disturbed = frozenset(disturbed)
    signals, rhythms, findings = dict(state["signals"]), dict(state["rhythms"]), []
    learn = learn and len(disturbed) < len(SIGNALS) and not is_shaken(signals, SHAKEN * settings.threshold)
    # Who has not learned for long does not know what has changed meanwhile, as after a deploy.
    deployed = deployed or (learn and at - (state["learned_at"] or at) > REMEMBER_SECONDS)
    deployed_at = at if deployed else state["deployed_at"]
    in_grace = deployed_at is not None and 0 <= at - deployed_at < settings.deploy_grace_seconds
    for name, signal in SIGNALS.items():
        if name in disturbed:
            continue
        rhythm = rhythms.get(name)
        watched = _WATCHERS[signal.kind](
            signal, signals.get(name), minute, at, settings, learn, deployed, in_grace, rhythm
        )
        # Also of what nothing is learned of at the moment: it may come every day.
        if rhythm := noted(rhythm, signal, minute, at, watched):
            rhythms[name] = rhythm
        if watched is None:
            continue
        signals[name] = watched
        if found := finding_of(signal, watched, at, settings):
            findings.append(found)
    sure = [finding.since for finding in findings if finding.sure]
    # What came to an end may have been accepted: what was usual before it is not what is usual now.
    past = [] if state["was_sure"] and not sure else state["past"]
    if learn and not findings:
        past = remembered(past, signals, at)
    if sure and not state["was_sure"]:
        signals = gone_back(signals, past, min(sure))
    news = {"at": at, "deployed_at": deployed_at, "signals": signals, "rhythms": rhythms}
    news |= {"past": past, "was_sure": bool(sure)}
    return state | news | ({"learned_at": at} if learn else {}), findings


def calm(state: dict, names: Iterable[str]) -> dict:
    """The state without evidence in these signals: they were shown to be well."""
    return _with_signals(state, names, lambda signal, old: old | {"tracks": no_tracks(old)})


def accept(state: dict, names: Iterable[str]) -> dict:
    """The state in which what these signals are now is normal, as an operator says."""
    return _with_signals(state, names, lambda signal, old: accepted(signal, old))


def relearn(state: dict, names: Iterable[str]) -> dict:
    """The state that has yet to learn what is usual for these signals: somebody lets them be as they are."""
    dropped = frozenset(names)
    kept = {name: each for name, each in state.get("signals", {}).items() if name not in dropped}
    return state | {"signals": kept, "past": []}


def _with_signals(state: dict, names: Iterable[str], change) -> dict:
    signals = dict(state.get("signals", {}))
    for name in names:
        if name in signals:
            signals[name] = change(SIGNALS[name], signals[name])
    return state | {"signals": signals}
