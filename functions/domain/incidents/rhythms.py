"""Rhythms: what a signal was like at this time on the days before, which is no incident when it comes again.

Of each hour of a week the ten minutes are remembered in which a signal was worst, also while suspicion keeps everything
else from being learned. What was so at about this time on two of the days is expected today: a row is evidence only as
far as it speaks both against what was usual just now and against what repeats.
"""

import math
from array import array
from base64 import b64decode, b64encode

from domain.incidents.shares import counts_of, psi, shares_of
from domain.incidents.signals import HOUR, SHAPES, Kind, Minute, Signal, reading_of

DAYS, ENOUGH_DAYS = 7, 2  # a weekend lies between Friday and Monday, and a week between two weekends
# What is expected at nine may come an hour earlier or later: twice a year the clock is changed.
NEAR_HOURS = 1
HOURS_KEPT = 24 * DAYS + 2 * NEAR_HOURS
# So many minutes and samples make a mean; of an hour that saw less, whatever makes a poor one.
BUCKET_MINUTES, BUCKET_SAMPLES = 10, 100
FEWEST_MINUTES, FEWEST_SAMPLES = 3, 20
# What is remembered is rounded, and small: a level to this part of the smallest change, a rate, a shape's counts.
LEVEL_STEPS, RATE_STEPS, SHAPE_TOTAL = 10, 200, 100
_NOTHING = {"minutes": 0, "samples": 0.0, "sums": None}
# A signed number of two bytes for a logarithm, one byte for whatever lies in 0..1; and what stands for an unseen hour.
_LOG, _SHARE = ("h", -(2**15)), ("B", 255)


def noted(rhythm: dict | None, signal: Signal, minute: Minute, at: int, state: dict | None) -> dict | None:
    """The rhythm with one minute more, of a signal in this state."""
    read = counts_of(minute) if signal.kind is Kind.SHAPE else reading_of(signal, minute)
    if read is None:
        return rhythm
    hour = int(at // HOUR)
    if rhythm is None:
        rhythm = {"hour": hour, "worst": _packed(_unknown(signal, HOURS_KEPT)), "expected": None, **_NOTHING}
    elif rhythm["hour"] != hour:
        rhythm = _turned(_closed(rhythm, signal, state), signal, hour)
    if signal.kind is Kind.SHAPE:
        samples = sum(read)
        sums = [old + count for old, count in zip(rhythm["sums"] or [0.0] * SHAPES, read, strict=True)]
    else:
        value, samples = read
        sums = (rhythm["sums"] or 0.0) + value * (samples if signal.kind is Kind.LEVEL else 1)
    rhythm = rhythm | {"minutes": rhythm["minutes"] + 1, "samples": rhythm["samples"] + samples, "sums": sums}
    if rhythm["minutes"] >= BUCKET_MINUTES and rhythm["samples"] >= BUCKET_SAMPLES:
        return _closed(rhythm, signal, state)
    return rhythm


def expected(rhythm: dict | None, signal: Signal, at: int) -> float | None:
    """How bad a level or a rate was at about this time on two of the last days; None where it is known of fewer."""
    if rhythm is None:
        return None
    hour = int(at // HOUR)
    return rhythm["expected"] if rhythm["hour"] == hour else _expected(rhythm, signal, hour)


def _expected(rhythm: dict, signal: Signal, hour: int) -> float | None:
    worst = sorted(max(signal.direction * each for (each,) in near) for near in days_of(rhythm, signal, hour))
    return signal.direction * worst[-ENOUGH_DAYS] * _step(signal) if len(worst) >= ENOUGH_DAYS else None


def worse_of(signal: Signal, usual: float, repeated: float | None) -> float:
    """What is usual by now or at this time, whichever is worse."""
    return usual if repeated is None else signal.direction * max(signal.direction * usual, signal.direction * repeated)


def days_of(rhythm: dict | None, signal: Signal, hour: int) -> list[list[array]]:
    """For each of the last days what is remembered of this hour and its neighbours, if anything is."""
    if rhythm is None:
        return []
    worst, unknown, last, found = _unpacked(rhythm, signal), _unknown(signal), rhythm["hour"], []
    for day in range(1, DAYS + 1):
        hours = range(hour - 24 * day - NEAR_HOURS, hour - 24 * day + NEAR_HOURS + 1)
        near = [worst[_place(each, signal)] for each in hours if last - HOURS_KEPT < each <= last]
        if known := [each for each in near if each != unknown]:
            found.append(known)
    return found


def _turned(rhythm: dict, signal: Signal, hour: int) -> dict:
    """Another hour has begun: what stands in its place, and in those of hours without a minute, is a week old."""
    passed, worst = hour - rhythm["hour"], _unpacked(rhythm, signal)
    # Nothing for a week, or a clock that was wrong.
    skipped = range(rhythm["hour"] + 1, hour + 1) if 0 < passed < HOURS_KEPT else range(HOURS_KEPT)
    for each in skipped:
        worst[_place(each, signal)] = _unknown(signal)
    turned = {"hour": hour, "worst": _packed(worst), "expected": None, **_NOTHING}
    # The same all through the hour: nothing of this day has a part in it.
    return turned if signal.kind is Kind.SHAPE else turned | {"expected": _expected(turned, signal, hour)}


def _closed(rhythm: dict, signal: Signal, state: dict | None) -> dict:
    """The minutes since the last mean make another one, which stands for its hour if it is the worst so far."""
    if rhythm["minutes"] < FEWEST_MINUTES or rhythm["samples"] < FEWEST_SAMPLES:
        return rhythm | _NOTHING
    worst, place = _unpacked(rhythm, signal), _place(rhythm["hour"], signal)
    new, old = _mean(rhythm, signal), worst[place]
    if old == _unknown(signal) or _badness(new, signal, state) > _badness(old, signal, state):
        worst[place] = new
    return rhythm | {"worst": _packed(worst), **_NOTHING}


def _mean(rhythm: dict, signal: Signal) -> array:
    """What so many minutes were like, in steps; the worst of several is too bad by chance, so one deviation less."""
    minutes, samples, sums = rhythm["minutes"], rhythm["samples"], rhythm["sums"]
    if signal.kind is Kind.SHAPE:
        return array("B", [round(SHAPE_TOTAL * count / samples) for count in sums])
    mean = sums / samples
    if signal.kind is Kind.RATE:
        deviation = math.sqrt(mean * (1 - mean) * (1 / samples + signal.floor / minutes))
    else:
        deviation = math.sqrt(signal.usual**2 / samples + signal.floor**2 / minutes)
    steps = round((mean - signal.direction * deviation) / _step(signal))
    least, most = (-30_000, 30_000) if signal.log else (0, 254)
    return array(_stored(signal)[0], [max(least, min(most, steps))])


def _badness(remembered: array, signal: Signal, state: dict | None) -> float:
    if signal.kind is Kind.SHAPE:
        return psi(shares_of(remembered), shares_of(state["usual"])) if state else 0.0
    return signal.direction * remembered[0]


def _step(signal: Signal) -> float:
    return signal.smallest / LEVEL_STEPS if signal.kind is Kind.LEVEL else 1 / RATE_STEPS


def _stored(signal: Signal) -> tuple[str, int]:
    return _LOG if signal.log else _SHARE


def _width(signal: Signal) -> int:
    return SHAPES if signal.kind is Kind.SHAPE else 1


def _unknown(signal: Signal, hours: int = 1) -> array:
    code, unknown = _stored(signal)
    return array(code, [unknown]) * (_width(signal) * hours)


def _place(hour: int, signal: Signal) -> slice:
    start = hour % HOURS_KEPT * _width(signal)
    return slice(start, start + _width(signal))


def _packed(worst: array) -> str:
    return b64encode(worst.tobytes()).decode()


def _unpacked(rhythm: dict, signal: Signal) -> array:
    return array(_stored(signal)[0], b64decode(rhythm["worst"]))
