"""domain/incidents/rhythms.py: what comes again at its time is no incident, and what comes on top of it is one."""

import json
import math
import random

import pytest

from domain.incidents.detectors import observe, relearn
from domain.incidents.evidence import DetectorSettings
from domain.incidents.rhythms import DAYS, expected, noted
from domain.incidents.signals import HOUR, MINUTE, SHAPES, SIGNALS, Minute

DAY = 1440
MONDAY = 20_775 * 86_400  # a Monday's midnight
SETTINGS = DetectorSettings()
TOKENS = SIGNALS["OutputTokens"]


def is_office(minute: int) -> bool:
    return 540 <= minute % DAY < 1080


def office(times: float):
    return lambda minute: times if is_office(minute) else 1.0


def ramp(minute: int) -> float:
    at = minute % DAY
    return 1 + max(0.0, min(1.0, (at - 480) / 120, (1140 - at) / 120))


def nightly(minute: int) -> float:
    return 4.0 if 125 <= minute % DAY < 150 else 1.0


def weekdays(minute: int) -> float:
    return 2.0 if minute // DAY % 7 < 5 and is_office(minute) else 1.0


def clock_change(minute: int) -> float:
    return office(2.0)(minute + (60 if minute >= 5 * DAY else 0))


def business_hours(minute: int) -> float:
    """Nobody asks at any other time."""
    return 1.5 if is_office(minute) else 0.0


RHYTHMS = {
    "half as much again": (office(1.5), 6),
    "twice": (office(2.0), 6),
    "five times": (office(5.0), 6),
    "ramp": (ramp, 6),
    "nightly job": (nightly, 6),
    "weekdays": (weekdays, 9),
    "clock change": (clock_change, 8),
    "business hours": (business_hours, 6),
}


def values_of(chance: random.Random, times: float, samples: int = 10) -> dict[str, float]:
    """A minute of answers that are so many times as long as usual; none where it is no time."""
    if not times:
        return {}
    tokens = sorted(110 * times * math.exp(0.5 * chance.gauss(0, 1)) for _ in range(samples))
    cut = samples // 10
    values = {"OutputTokens.n": samples, "OutputTokens.tm": sum(tokens[cut : samples - cut]) / (samples - 2 * cut)}
    buckets = [0] * SHAPES
    for each in tokens:
        buckets[sum(4.2 * each > edge for edge in (80, 200, 400, 800, 1600, 3200, 6400))] += 1
    return values | {f"AnswerShape{number}.sum": count for number, count in enumerate(buckets)}


def lived(times, days: float, state: dict | None = None, since: int = 0, seed: int = 1) -> tuple[dict, list]:
    """The state after so many days, and the minutes at which something was sure that had not been a minute before."""
    chance, sure_before, alarms = random.Random(f"{seed}/{since}"), False, []
    for minute in range(since, int(since + days * DAY)):
        row = Minute(MONDAY + minute * MINUTE, values_of(chance, times(minute)))
        state, findings = observe(state, row, SETTINGS)
        sure = [finding.signal for finding in findings if finding.sure]
        if sure and not sure_before:
            alarms.append((minute, sure))
        sure_before = bool(sure)
    return state, alarms


@pytest.mark.parametrize("name", RHYTHMS)
def test_what_repeats_is_learned_in_three_days(name):
    times, days = RHYTHMS[name]

    _, alarms = lived(times, days)

    assert [alarm for alarm in alarms if alarm[0] >= 3 * DAY] == []


def test_while_it_is_new_it_is_an_incident():
    _, alarms = lived(office(2.0), 2)

    assert [minute // DAY for minute, _ in alarms[:2]] == [0, 1]


@pytest.mark.parametrize(("times", "at"), [(3.0, 14 * 60), (0.4, 14 * 60), (3.0, 4 * 60)])
def test_what_comes_on_top_of_a_rhythm_is_found_in_its_time(times, at):
    """Longer or shorter than what office hours are like, and at night what only office hours are like."""
    usual = office(2.0)
    begins = 4 * DAY + at
    state, _ = lived(usual, begins / DAY)

    _, alarms = lived(lambda minute: times * usual(minute), 7 / DAY, state, since=begins)

    assert alarms


def test_what_came_once_is_no_rhythm():
    def faulty(day: int):
        return lambda minute: 3.0 if minute // DAY == day and 600 <= minute % DAY < 660 else 1.0

    state, alarms = lived(faulty(1), 2)
    assert [minute // DAY for minute, _ in alarms] == [1]

    _, alarms = lived(faulty(2), 1, state, since=2 * DAY)

    assert [minute % DAY // 60 for minute, _ in alarms] == [10], "the next day at the same time it is a fault again"


def test_it_is_remembered_while_nothing_else_is_learned():
    usual, state, chance = office(2.0), None, random.Random(1)
    for minute in range(3 * DAY):
        row = Minute(MONDAY + minute * MINUTE, values_of(chance, usual(minute)))
        state, _ = observe(state, row, SETTINGS, learn=False)
        if minute % DAY == 600:
            state = relearn(state, SIGNALS)

    assert state["signals"] == {}
    _, alarms = lived(usual, 1, state, since=3 * DAY)
    assert alarms == []


def rhythm_of(hours: dict[int, float], signal=TOKENS) -> dict | None:
    """What is remembered of hours in which every minute was the same."""
    rhythm = None
    for hour, value in hours.items():
        for minute in range(60):
            at = hour * HOUR + minute * MINUTE
            row = Minute(at, {f"{signal.metric}.n": 1000, f"{signal.metric}.{signal.statistic}": value})
            rhythm = json.loads(json.dumps(noted(rhythm, signal, row, at, None)))
    return rhythm


@pytest.mark.parametrize(
    ("hours", "at", "known"),
    [
        ({0: 200}, 24, None),  # one day is none
        ({0: 200, 24: 200}, 48, 200),
        ({0: 200, 24: 100}, 48, 100),  # the second worst of all days
        ({0: 200, 24: 100, 48: 180}, 72, 180),
        ({0: 200, 24: 200}, 49, 200),  # an hour later
        ({1: 200, 25: 200}, 48, 200),  # an hour earlier
        ({0: 200, 24: 200}, 50, None),
        ({0: 200, 24: 200}, 24 * DAYS, 200),
        ({0: 200, 24: 200}, 24 * DAYS + 2, None),  # a week ago is too long ago
        ({0: 200, 24: 200, 24 + 400: 1}, 48 + 400, None),
    ],
)
def test_two_of_the_last_seven_days_say_what_is_expected(hours, at, known):
    found = expected(rhythm_of(hours), TOKENS, at * HOUR)

    assert found is None if known is None else math.exp(found) == pytest.approx(known, rel=0.05)


def test_a_clock_that_was_wrong_leaves_nothing_to_believe():
    rhythm = rhythm_of({0: 200, 24: 200, 1_000_000: 200, 48: 100, 72: 100})

    assert math.exp(expected(rhythm, TOKENS, 96 * HOUR)) == pytest.approx(100, rel=0.05)
