"""Evidence: how sure we are that a signal is worse than usual, in nats, and how much of it is enough.

Evidence against a baseline grows while the signal is worse and shrinks while it is not: a CUSUM (Page 1954; optimal in
Lorden's sense by Moustakides 1986) of log-likelihood ratios, one per size. For increments whose exponential has a mean
of at most one without a change, the time between false alarms is at least exp(threshold) minutes (Lorden 1971; as
e-detector Shin, Ramdas and Rinaldo 2022). Thresholds are that budget.
"""

import math
from dataclasses import dataclass, field

from domain.incidents.signals import DAY, HOUR, MINUTES_PER_DAY, SIGNALS, Signal

# Sizes of change that evidence is kept for, in the smallest one that matters; below a third of that is no change.
SIZES = (0.67, 2.0, 5.0)
SLACK = 1 / 3
# After a deploy, so many times as much is no change, while the baselines move.
GRACE = 1.5
# From here on a signal is under suspicion, and nothing of it is learned.
SUSPICION = 3.0
# Evidence stops here, in thresholds, so that a signal that is well again is soon seen to be.
CEILING = 1.5
# No sample is trusted with more nats than this: a few wild values are no change.
NATS_PER_ROW, NATS_PER_SAMPLE = 2.0, 0.5
# A track: its evidence, the minute it began at, samples and the sum of their values since then.
QUIET = [0.0, 0, 0.0, 0.0]


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """The policy's section incidents.detection."""

    false_alarms_per_day: float = 0.1  # of all signals of a use case together, at most
    warm_up_samples: int = 200
    warm_up_minutes: int = 30
    deploy_grace_seconds: int = 1200
    forget_after_seconds: int = 6 * HOUR  # evidence that grew no further until then is none
    accept_after_seconds: int = DAY  # a change that stayed so long is the new normal
    threshold: float = field(init=False)  # nats, for the budget shared by all signals and sizes

    def __post_init__(self) -> None:
        tests_per_day = len(SIGNALS) * len(SIZES) * MINUTES_PER_DAY
        object.__setattr__(self, "threshold", math.log(tests_per_day / self.false_alarms_per_day))

    @classmethod
    def from_json(cls, raw: dict) -> "DetectorSettings":
        return cls(**raw)


def tracked(
    signal: Signal,
    tracks: list[list[float]],
    nats: list[float],
    at: int,
    samples: float,
    total: float,
    settings: DetectorSettings,
) -> list[list[float]]:
    """The evidence for each size after a row that says so many nats for it."""
    ceiling, most = CEILING * settings.threshold, 1.001 * settings.threshold / signal.rows
    found = []
    for (evidence, since, seen, sum_seen), more in zip(tracks, nats, strict=True):
        evidence += min(more, most)
        too_old = since and at - since > settings.forget_after_seconds and evidence < settings.threshold
        if evidence <= 0 or too_old:
            found.append(QUIET)
        elif not since or since > at:
            found.append([min(evidence, ceiling), at, samples, total])
        else:
            found.append([min(evidence, ceiling), since, min(seen + samples, 1e12), sum_seen + total])
    return found


def no_tracks(state: dict) -> list[list[float]]:
    return [QUIET] * len(state["tracks"])


def is_suspect(state: dict) -> bool:
    return max(state["tracks"])[0] >= SUSPICION


def is_shaken(signals: dict[str, dict], limit: float) -> bool:
    for each in signals.values():
        for track in each["tracks"]:
            if track[0] >= limit:
                return True
    return False


def capped(nats: float, samples: float) -> float:
    most = NATS_PER_ROW + NATS_PER_SAMPLE * samples
    return max(-most, min(most, nats))
