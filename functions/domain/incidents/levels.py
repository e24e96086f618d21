"""Levels: the usual mean of a score, a cost or a latency, and evidence that it is worse."""

import math

from domain.incidents.baselines import MEMORY_ROWS, accepted_in_time, is_warm
from domain.incidents.evidence import GRACE, QUIET, SIZES, SLACK, DetectorSettings, capped, is_suspect, tracked
from domain.incidents.rhythms import expected, worse_of
from domain.incidents.signals import MINUTE, MINUTES_PER_DAY, Minute, Signal, reading_of

# Bennett's bound is never reached: false alarms of scores at 1.5 to 100 samples a minute, simulated, are as rare as
# promised when its nats count so many times.
BOUND_IS_LOOSE = 1.7
# Learned values are clipped to this many standard deviations (Huber 1964).
CLIP = 3.0
CLEAR = 2.0
SPREAD_ROWS = 500


def watch_level(
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
    """A local level model (a Kalman filter, Harvey 1989), and a CUSUM for each size."""
    read = reading_of(signal, minute)
    if old is None:
        if read is None or not learn:
            return None
        value, samples = read
        return {
            "at": at,
            "rows": 1,
            "samples": samples,
            "level": value,
            "doubt": signal.usual**2 / samples + signal.floor**2,
            "spread2": signal.usual**2,
            "tracks": [QUIET] * len(SIZES),
        }
    new = dict(old)
    minutes = min(max((at - old["at"]) / MINUTE, 1.0), MINUTES_PER_DAY) if learn else 1.0
    if learn or read is not None:
        new["at"] = at
        new["doubt"] = min(old["doubt"] + signal.wander**2 / 60 * minutes, signal.usual**2)
    if deployed:
        new["doubt"] += (signal.smallest * SLACK / 2) ** 2
    if read is None:
        return new
    value, samples = read
    usual = new["usual"] = worse_of(signal, new["level"], expected(rhythm, signal, at))
    variance = new["spread2"] / samples + signal.floor**2 + new["doubt"]
    off = miss = value - new["level"]
    if abs(value - usual) < abs(off) / 2:
        miss = value - usual
        if off * off > CLEAR**2 * variance:
            # What repeats has begun again: the level is there within minutes.
            new["doubt"] = max(new["doubt"], (off / 2) ** 2)
            variance = new["spread2"] / samples + signal.floor**2 + new["doubt"]
    if is_warm(new, settings):
        slack = signal.smallest * SLACK * (GRACE if in_grace else 1) + math.sqrt(new["doubt"])
        worse = signal.direction * (value - usual) - slack
        variance_each = new["spread2"] + samples * signal.floor**2
        room = None if signal.log else usual
        nats = [level_nats(size * signal.smallest, worse, variance_each, samples, room) for size in SIZES]
        new["tracks"] = tracked(signal, new["tracks"], nats, at, samples, value * samples, settings)
    if not learn or is_suspect(new):
        return accepted_in_time(signal, new, at, settings)
    limit = CLIP * math.sqrt(variance)
    clipped = max(-limit, min(limit, off))
    gain = new["doubt"] / variance
    new["level"] += gain * clipped
    new["doubt"] *= 1 - gain
    new["rows"] = min(new["rows"] + 1, MEMORY_ROWS)
    new["samples"] = min(new["samples"] + samples, 1e9)
    weight = 1 / min(new["rows"] + 20, SPREAD_ROWS)
    missed = max(-limit, min(limit, miss))
    seen = (missed * missed - signal.floor**2) * samples
    new["spread2"] = max((signal.usual / 5) ** 2, new["spread2"] + weight * (seen - new["spread2"]))
    return new


def level_nats(change: float, worse: float, variance: float, samples: float, room: float | None) -> float:
    """Evidence of samples that are `worse` on average, for a change of this size; variance is that of one sample.

    Where scores lie in 0..1 and can fall no further than `room`, a few very bad ones are no rarity: Bennett's bound
    (1962) on their exponential mean takes the place of the normal one.
    """
    if room is None:
        return capped(samples * change / variance * (worse - change / 2), samples)
    room = max(room, change)
    stake = math.log1p(change * room / variance) / room
    price = variance / room**2 * (math.expm1(stake * room) - stake * room)
    return capped(BOUND_IS_LOOSE * samples * (stake * worse - price), samples)
