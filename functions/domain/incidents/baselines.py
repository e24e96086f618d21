"""Baselines: when what is usual is known, what is accepted as usual, and what was so before, to go back to."""

from domain.incidents.evidence import SLACK, DetectorSettings, no_tracks
from domain.incidents.signals import SIGNALS, Kind, Signal

# What is usual is remembered each half hour, to go back to when something turns out to have begun since.
REMEMBER_SECONDS, MOST_REMEMBERED = 1800, 4
MEMORY_ROWS = 720
_USUAL = {Kind.LEVEL: ("level",), Kind.RATE: ("hits", "samples"), Kind.SHAPE: ("usual", "samples")}


def is_warm(state: dict, settings: DetectorSettings) -> bool:
    return state["samples"] >= settings.warm_up_samples and state["rows"] >= settings.warm_up_minutes


def accepted_in_time(signal: Signal, state: dict, at: int, settings: DetectorSettings) -> dict:
    """What has been so for very long is normal."""
    surest = max(state["tracks"])
    if surest[0] >= settings.threshold and at - surest[1] > settings.accept_after_seconds:
        return accepted(signal, state)
    return state


def accepted(signal: Signal, state: dict) -> dict:
    """What was seen since the surest evidence began is usual from now on, and no evidence is left."""
    surest = max(state["tracks"])
    if not surest[2]:
        return state
    new = state | {"tracks": no_tracks(state)}
    if signal.kind is Kind.LEVEL:
        new |= {"level": surest[3] / surest[2], "doubt": (signal.smallest * SLACK) ** 2}
    elif signal.kind is Kind.RATE:
        rate = surest[3] / surest[2]
        new |= {"samples": surest[2], "hits": rate * surest[2]}
        if surest[2] > 1e4:
            new |= {"samples": 1e4, "hits": rate * 1e4}
    else:
        new |= {"usual": [10 * each for each in state["recent"]], "samples": 10 * sum(state["recent"])}
    return new


def remembered(past: list, signals: dict[str, dict], at: int) -> list:
    """What was usual, every half hour for two hours: [moment, baselines by signal]."""
    if past and 0 <= at - past[-1][0] < REMEMBER_SECONDS:
        return past
    usual = {name: {key: _rounded(each[key]) for key in _USUAL[SIGNALS[name].kind]} for name, each in signals.items()}
    return [*past[1 - MOST_REMEMBERED :], [at, usual]]


def gone_back(signals: dict[str, dict], past: list, since: int) -> dict[str, dict]:
    """The signals with the baselines of before that moment: a slow fault was partly learned until it was found."""
    if not past:
        return signals
    usual = next((usual for at, usual in reversed(past) if at <= since), past[0][1])
    return {name: each | usual.get(name, {}) for name, each in signals.items()}


def _rounded(value: float | list[float]) -> float | list[float]:
    """To six digits: it is kept four times over."""
    return [_rounded(each) for each in value] if isinstance(value, list) else float(f"{value:.6g}")
