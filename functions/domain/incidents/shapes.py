"""Shapes: how the lengths of answers are usually spread, and evidence that they are spread otherwise."""

import math

from domain.incidents.baselines import accepted_in_time, is_warm
from domain.incidents.evidence import GRACE, QUIET, DetectorSettings, capped, is_suspect, tracked
from domain.incidents.rhythms import ENOUGH_DAYS, days_of
from domain.incidents.shares import counts_of, shares_of
from domain.incidents.signals import HOUR, SHAPES, Minute, Signal

SHAPE_MEMORY_ROWS = 240
SHAPE_PRIOR = 20.0
SHAPE_FORGETS = 0.9


def watch_shape(
    signal: Signal,
    old: dict | None,
    minute: Minute,
    at: int,
    settings: DetectorSettings,
    learn: bool,
    deployed: bool,
    in_grace: bool,
    rhythm: dict | None,
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
        days = sorted(
            min(shape_nats(counts, bets, shares_of(each)) for each in day)
            for day in days_of(rhythm, signal, int(at // HOUR))
        )
        nats = min([shape_nats(counts, bets, usual), *days[ENOUGH_DAYS - 1 : ENOUGH_DAYS]])
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


def shape_nats(counts: list[float], bets: list[float], shares: list[float]) -> float:
    return sum(count * math.log(bet / share) for count, bet, share in zip(counts, bets, shares, strict=True) if count)
