"""Findings: a signal that is worse than usual, in figures and in words, and whether later minutes say so, too."""

import math
from dataclasses import dataclass
from typing import Any

from domain.incidents.evidence import SIZES, SLACK, SUSPICION, DetectorSettings, capped
from domain.incidents.levels import level_nats
from domain.incidents.rates import binomial_nats, clustering, independent, within_rates
from domain.incidents.shares import counts_of, psi, shares_of
from domain.incidents.signals import MINUTE, MINUTES_PER_DAY, SIGNALS, Kind, Minute, Signal, reading_of


@dataclass(frozen=True, slots=True)
class Finding:
    """A signal that is worse than usual, and why we think so."""

    signal: str
    at: int
    since: int
    baseline: Any  # in the metric's own unit; of AnswerShape shares
    now: Any
    samples: int
    evidence: float
    threshold: float
    harm: float  # 0..1, how much of a grave change it is
    spread: float  # of one sample, for judging later rows
    sure: bool  # beyond the threshold; otherwise a suspicion that may support another's finding

    @classmethod
    def from_json(cls, raw: dict) -> "Finding":
        return cls(**raw)

    def to_json(self) -> dict:
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def false_alarm_days(self) -> float:
        """So many days pass, at least, between two false alarms of such evidence."""
        return math.exp(min(self.evidence, 100.0)) / (len(SIZES) * len(SIGNALS) * MINUTES_PER_DAY)

    def explained(self) -> str:
        """In words, for a notification."""
        if isinstance(self.now, list):
            what = f"the lengths of answers are spread otherwise than usual ({psi(self.now, self.baseline):.2f} PSI)"
        else:
            what = f"{self.signal} is {self.now:.4g} where {self.baseline:.4g} is usual"
        return (
            f"{what}, over {self.samples} samples in {max(1, (self.at - self.since) // MINUTE + 1)} min; "
            f"by chance once in {self.false_alarm_days:.3g} days, or less often"
        )


def finding_of(signal: Signal, state: dict, at: int, settings: DetectorSettings) -> Finding | None:
    evidence, since, samples, total = max(state["tracks"])
    if evidence < SUSPICION:
        return None
    if signal.kind is Kind.SHAPE:
        usual, now = shares_of(state["usual"]), shares_of(state["recent"])
        harm, spread = psi(now, usual) / signal.grave, 0.0
    elif signal.kind is Kind.RATE:
        usual, now = state["usual"], total / samples
        harm, spread = (now - usual) / signal.grave, clustering(signal, state)
    else:
        usual, now = state["usual"], total / samples
        harm, spread = signal.direction * (now - usual) / signal.grave, math.sqrt(state["spread2"])
        if signal.log:
            usual, now = math.exp(usual), math.exp(now)
    return Finding(
        signal=signal.name,
        at=at,
        since=int(since),
        baseline=usual,
        now=now,
        samples=int(samples),
        evidence=evidence,
        threshold=settings.threshold,
        harm=max(0.0, min(1.0, harm)),
        spread=spread,
        sure=evidence >= settings.threshold,
    )


def weigh(finding: Finding, minute: Minute) -> tuple[float, int] | None:
    """How much a later minute says that it is still so, in nats, and on how many samples; None without data.

    Compares "a good part of the change is there" with "it is as usual", as Wald (1945) does. Of a change that was just
    found its size is likely overrated, so a third of it is part enough.
    """
    signal = SIGNALS.get(finding.signal)
    if signal is None:
        return None
    if signal.kind is Kind.SHAPE:
        counts = counts_of(minute)
        return None if counts is None else (_shape_nats(signal, finding, counts), int(sum(counts)))
    read = reading_of(signal, minute)
    if read is None:
        return None
    value, samples = read
    if signal.kind is Kind.RATE:
        slack, change = _parted(signal, finding.now - finding.baseline)
        low = within_rates(finding.baseline + slack)
        nats = binomial_nats(value, samples, low, within_rates(low + change))
        return capped(nats * independent(samples, finding.spread), samples), int(samples)
    usual, now = (math.log(each) if signal.log else each for each in (finding.baseline, finding.now))
    slack, change = _parted(signal, signal.direction * (now - usual))
    worse = signal.direction * (value - usual) - slack
    # What is ill varies more than what was usual.
    variance_each = max(finding.spread, signal.usual) ** 2 + samples * signal.floor**2
    return level_nats(change, worse, variance_each, samples, room=None), int(samples)


def _parted(signal: Signal, shift: float) -> tuple[float, float]:
    """What still counts as usual, and how much more is part enough of a change."""
    shift = max(shift, signal.smallest * SLACK)
    return min(signal.smallest * SLACK, shift / 4), shift / 3


def _shape_nats(signal: Signal, finding: Finding, counts: list[float]) -> float:
    usual = [share + 1e-3 for share in finding.baseline]
    ratios = [math.log((now + 1e-3 + share) / 2 / share) for now, share in zip(finding.now, usual, strict=True)]
    told = sum(now * ratio for now, ratio in zip(finding.now, ratios, strict=True))
    nats = sum(count * ratio for count, ratio in zip(counts, ratios, strict=True))
    samples = sum(counts)
    return capped(nats - samples * min(signal.smallest, max(0.0, told) / 3), samples)
