"""Shapes: how the lengths of answers are usually spread, and evidence that they are spread otherwise."""

import math

from domain.incidents.baselines import accepted_in_time, is_warm
from domain.incidents.evidence import GRACE, QUIET, DetectorSettings, capped, is_suspect, tracked
from domain.incidents.signals import MOST_SAMPLES, SHAPES, Minute, Signal, number

SHAPE_MEMORY_ROWS = 240
SHAPE_PRIOR = 20.0
SHAPE_FORGETS = 0.9
_SHAPE_KEYS = [f"AnswerShape{shape}.sum" for shape in range(SHAPES)]


def watch_shape(
    signal: Signal,
    old: dict | None,
    minute: Minute,
    at: int,
    settings: DetectorSettings,
    learn: bool,
    deployed: bool,
    in_grace: bool,
) -> dict | None:
    """An e-process against the usual shares of answer lengths: bets are placed on what the last minutes were like.

    A bet made before the row is seen multiplies what is staked by at most one on average while nothing changed (Ville
    1939; Waudby-Smith and Ramdas 2024); a small divergence per sample is granted.
    """
    counts = counts_of(minute)
    if old is None:
        if counts is None or not learn:
            return None
        old = {
            "rows": 0,
            "samples": 0.0,
            "usual": [0.0] * SHAPES,
            "recent": [0.0] * SHAPES,
            "tracks": [QUIET],
        }
    new = dict(old)
    if deployed:
        new["samples"], new["usual"] = new["samples"] / 4, [each / 4 for each in new["usual"]]
    if counts is None:
        return new
    samples = sum(counts)
    usual, recent = shares_of(new["usual"]), new["recent"]
    if is_warm(new, settings):
        total = sum(recent) + SHAPE_PRIOR
        bets = [(each + SHAPE_PRIOR * share) / total for each, share in zip(recent, usual, strict=True)]
        granted = samples * signal.smallest * (GRACE if in_grace else 1)
        nats = sum(
            count * math.log(bet / share) for count, bet, share in zip(counts, bets, usual, strict=True) if count
        )
        nats = capped(nats - granted, samples)
        new["tracks"] = tracked(signal, new["tracks"], [nats], at, samples, 0.0, settings)
    new["recent"] = [SHAPE_FORGETS * each + count for each, count in zip(recent, counts, strict=True)]
    if not learn or is_suspect(new):
        return accepted_in_time(signal, new, at, settings)
    keep = 1 - 1 / SHAPE_MEMORY_ROWS
    new["rows"] = min(new["rows"] + 1, SHAPE_MEMORY_ROWS)
    new["samples"] = keep * new["samples"] + samples
    new["usual"] = [keep * each + count for each, count in zip(new["usual"], counts, strict=True)]
    return new


def counts_of(minute: Minute) -> list[float] | None:
    """A minute's answers by length, if they can be believed: one absurd count would be what is usual for days."""
    counts = [number(minute.values.get(key)) for key in _SHAPE_KEYS]
    found = [count if count is not None and count > 0 else 0.0 for count in counts]
    return found if 0 < sum(found) <= MOST_SAMPLES else None


def shares_of(counts: list[float]) -> list[float]:
    total = sum(counts) + SHAPES
    return [(count + 1) / total for count in counts]


def psi(now: list[float], usual: list[float]) -> float:
    """The population stability index."""
    pairs = [(a + 1e-3, b + 1e-3) for a, b in zip(now, usual, strict=True)]
    return sum((a - b) * math.log(a / b) for a, b in pairs)
