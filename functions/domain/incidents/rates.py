"""Rates: the usual share of errors, blocks or hedges, and evidence that it is higher."""

import math

from domain.incidents.baselines import MEMORY_ROWS, accepted_in_time, is_warm
from domain.incidents.evidence import GRACE, QUIET, SIZES, SLACK, DetectorSettings, capped, is_suspect, tracked
from domain.incidents.rhythms import expected, worse_of
from domain.incidents.signals import Minute, Signal, reading_of

# A prior counts as much as so many samples.
PRIOR_SAMPLES = 50.0
MOST_CORRELATED = 0.3


def watch_rate(
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
    """A binomial CUSUM whose samples count for less the more they come in clusters."""
    read = reading_of(signal, minute)
    if old is None:
        if read is None or not learn:
            return None
        old = {
            "rows": 0,
            "samples": 0.0,
            "hits": 0.0,
            "excess": signal.floor,
            "pairs": 1.0,
            "tracks": [QUIET] * len(SIZES),
        }
    new = dict(old)
    if deployed:
        new["samples"], new["hits"] = new["samples"] / 4, new["hits"] / 4
    if read is None:
        return new
    hits, samples = read
    weight = new["samples"] + PRIOR_SAMPLES
    steady = (new["hits"] + PRIOR_SAMPLES * signal.usual) / weight
    usual = new["usual"] = worse_of(signal, steady, expected(rhythm, signal, at))
    if is_warm(new, settings):
        doubt = math.sqrt(usual * (1 - usual) / weight)
        low = within_rates(usual + doubt + signal.smallest * SLACK * (GRACE if in_grace else 1))
        part = independent(samples, clustering(signal, new))
        nats = [
            capped(part * binomial_nats(hits, samples, low, within_rates(low + size * signal.smallest)), samples)
            for size in SIZES
        ]
        new["tracks"] = tracked(signal, new["tracks"], nats, at, samples, hits, settings)
    if not learn or is_suspect(new):
        return accepted_in_time(signal, new, at, settings)
    if usual - steady > signal.smallest * SLACK and abs(hits / samples - usual) < abs(hits / samples - steady):
        return new  # what repeats is not what is usual at any other time
    keep = 1 - 1 / MEMORY_ROWS
    new["rows"] = min(new["rows"] + 1, MEMORY_ROWS)
    new["samples"] = keep * new["samples"] + samples
    new["hits"] = keep * new["hits"] + hits
    variance = samples * steady * (1 - steady)
    if samples > 1:
        new["excess"] = keep * new["excess"] + (hits - samples * steady) ** 2 - variance
        new["pairs"] = keep * new["pairs"] + variance * (samples - 1)
    return new


def clustering(signal: Signal, state: dict) -> float:
    """The correlation of two samples of a minute (Williams 1982), never below what the signal is known for."""
    return max(signal.floor, min(MOST_CORRELATED, state["excess"] / max(state["pairs"], 1e-9)))


def independent(samples: float, correlation: float) -> float:
    """How much of so many samples is independent (the design effect, Kish 1965)."""
    return 1 / (1 + (samples - 1) * correlation)


def binomial_nats(hits: float, samples: float, low: float, high: float) -> float:
    return hits * math.log(high / low) + (samples - hits) * math.log((1 - high) / (1 - low))


def within_rates(rate: float) -> float:
    return max(1e-6, min(0.98, rate))
