"""Signals: what is looked at each minute, which change of it matters, and what a minute's figures say of it."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86_400
MINUTES_PER_DAY = 1440
SHAPES = 8
# No minute has more requests: what says so is no count.
MOST_SAMPLES = 1e9


class Kind(StrEnum):
    LEVEL = "level"
    RATE = "rate"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True)
class Signal:
    """What is looked at, and what change of it matters; levels of log signals are logarithms."""

    name: str
    kind: Kind
    metric: str
    statistic: str
    direction: int  # which way is worse
    smallest: float  # the smallest change that matters
    grave: float  # the change that counts as whole harm
    usual: float  # before anything is known: a sample's standard deviation, or the rate
    wander: float = 0.0  # how far a level goes in an hour (standard deviation)
    floor: float = 0.0  # what differs between minutes however many samples they have
    log: bool = False
    needs: int = 1  # samples, for a row to say something
    rows: int = 1  # no fewer can prove anything: what comes in clusters passes, too


def _level(name: str, statistic: str, direction: int, smallest: float, grave: float, usual: float, **more) -> Signal:
    return Signal(name, Kind.LEVEL, more.pop("metric", name), statistic, direction, smallest, grave, usual, **more)


def _rate(name: str, smallest: float, grave: float, usual: float, floor: float = 0.01, **more) -> Signal:
    return Signal(name, Kind.RATE, name, "sum", 1, smallest, grave, usual, floor=floor, **more)


SIGNALS: dict[str, Signal] = {
    signal.name: signal
    for signal in (
        _level("Grounding", "mean", -1, 0.06, 0.4, 0.22, wander=0.008, floor=0.01),
        _level("Relevance", "mean", -1, 0.06, 0.3, 0.15, wander=0.008, floor=0.01),
        _level("Confidence", "mean", -1, 0.06, 0.3, 0.15, wander=0.008, floor=0.01),
        _level("RetrievalScore", "mean", -1, 0.06, 0.35, 0.15, wander=0.01, floor=0.01),
        _level("CostUsd", "tm", 1, math.log(1.5), math.log(5), 0.9, wander=0.05, floor=0.05, log=True),
        _level("OutputTokens", "tm", 1, math.log(1.5), math.log(5), 0.8, wander=0.05, floor=0.05, log=True),
        _level(
            "ShortAnswers",
            "tm",
            -1,
            math.log(1.5),
            math.log(5),
            0.8,
            metric="OutputTokens",
            wander=0.05,
            floor=0.05,
            log=True,
        ),
        _level("Latency", "p50", 1, math.log(1.5), math.log(5), 0.8, wander=0.08, floor=0.06, log=True),
        _level(
            "LatencyTail",
            "p95",
            1,
            math.log(2),
            math.log(6),
            2.5,
            metric="Latency",
            wander=0.1,
            floor=0.15,
            log=True,
            needs=60,
            rows=3,
        ),
        _rate("ModelErrors", 0.06, 0.5, 0.01, floor=0.05, rows=2),
        _rate("EmptyAnswers", 0.03, 0.3, 0.003),
        _rate("RetrievalEmpty", 0.08, 0.5, 0.01),
        _rate("Interventions", 0.05, 0.4, 0.02),
        _rate("Hedges", 0.05, 0.4, 0.04),
        _rate("Rejections", 0.12, 0.5, 0.06),
        Signal("AnswerShape", Kind.SHAPE, "AnswerShape0", "sum", 1, 0.08, 0.8, 0.0),
    )
}

_KEYS = {name: (f"{each.metric}.n", f"{each.metric}.{each.statistic}") for name, each in SIGNALS.items()}


@dataclass(frozen=True, slots=True)
class Minute:
    """What the metrics say of the minute that began `at`; a metric without data has no keys."""

    at: int
    values: dict[str, float]


def reading_of(signal: Signal, minute: Minute) -> tuple[float, float] | None:
    """A row's value and its samples, if they can be believed."""
    samples_key, value_key = _KEYS[signal.name]
    samples, value = number(minute.values.get(samples_key)), number(minute.values.get(value_key))
    if samples is None or value is None or samples < signal.needs:
        return None
    samples = min(samples, MOST_SAMPLES)
    if signal.kind is Kind.RATE:
        return max(0.0, min(value, samples)), samples
    if signal.log:
        return (math.log(max(value, 1e-12)), samples) if value >= 0 else None
    return max(-1e9, min(value, 1e9)), samples


def number(value: Any) -> float | None:
    if type(value) is float and -math.inf < value < math.inf:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value
