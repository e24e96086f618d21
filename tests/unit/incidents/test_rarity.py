"""domain/incidents/rarity.py: what is unlike a stream's past is noticed once, whatever the stream is made of."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from bench.detectors import CONSTANTS, alarms_of, rarities_of
from bench.nab import Series
from domain.incidents import rarity
from domain.incidents.rarity import HIGHEST, Rarity, Settings, Tail

START = 1_800_000_000.0
EVERY = 300.0
DAY = 288


def moment(row: int) -> float:
    return START + row * EVERY


def daily(row: int, noise: random.Random) -> float:
    """Busy by day, quiet by night, never twice the same."""
    return 50 + 30 * math.sin(2 * math.pi * row / DAY) + noise.gauss(0, 1)


def watch(values, detector: Rarity | None = None) -> tuple[Rarity, list[int]]:
    detector = detector or Rarity.fresh()
    return detector, [row for row, value in enumerate(values) if detector.see(moment(row), value).alarm]


def days(count: int, change=lambda row, value: value, seed: int = 1) -> list[float]:
    noise = random.Random(seed)
    return [change(row, daily(row, noise)) for row in range(count * DAY)]


INCIDENT = 8 * DAY + DAY // 2  # in the evening, when values fall


@pytest.mark.parametrize(
    "change",
    [
        lambda row, value: value + 60 * (row == INCIDENT),
        lambda row, value: value - 60 * (row == INCIDENT),
        lambda row, value: value + 20 * (row >= INCIDENT),
        lambda row, value: 80.0 if INCIDENT <= row < INCIDENT + DAY // 4 else value,
        lambda row, value: value + 10 * (-1) ** row * (INCIDENT <= row < INCIDENT + 24),
    ],
    ids=["a peak", "a drop", "a step", "stuck where the day has been", "a flutter"],
)
def test_what_is_unlike_the_past_is_noticed_within_an_hour(change):
    alarms = watch(days(12, change))[1]

    assert any(INCIDENT <= row < INCIDENT + 12 for row in alarms)


def test_false_alarms_on_seasonal_noise_are_few():
    alarms = [len(watch(days(20, seed=seed))[1]) for seed in range(5)]

    assert sum(alarms) / (5 * 20 * DAY) < 0.5 / 1000


def test_an_incident_of_many_values_is_one_alarm():
    _, alarms = watch(days(12, lambda row, value: value + 40 * (INCIDENT <= row < INCIDENT + 100)))

    assert len([row for row in alarms if INCIDENT <= row < INCIDENT + 100]) == 1


def test_an_incident_ends_when_nothing_was_rare_for_long_enough():
    calm = days(12)
    rises = {INCIDENT: 60, INCIDENT + 50: 120, INCIDENT + 120: 240, INCIDENT + 400: 480}
    values = [value + rises.get(row, 0) for row, value in enumerate(calm)]
    alarms = set(watch(values)[1]) - set(watch(calm)[1])

    assert alarms == {INCIDENT, INCIDENT + 400}


def test_nothing_alarms_while_warming_up():
    settings = Settings(warm_up=400)
    values = days(2, lambda row, value: value + 1000 * (row in (300, 450)))

    assert all(row >= 400 for row in watch(values, Rarity.fresh(settings))[1])
    assert 450 in watch(values, Rarity.fresh(settings))[1]


def test_the_verdict_says_what_was_expected_and_why_it_is_rare():
    detector = Rarity.fresh()
    watch(days(8), detector)
    verdict = detector.see(moment(8 * DAY), 500.0)

    assert verdict.alarm and verdict.rarity >= 4
    assert verdict.score == pytest.approx(1 - 10**-verdict.rarity)
    assert verdict.expected == pytest.approx(50, abs=5)
    assert verdict.rarity == pytest.approx(sum(verdict.views.values()))
    assert set(verdict.views) == {"pattern", "level", "hour", "drift"}


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_value_that_is_none_teaches_nothing(value):
    detector = Rarity.fresh()
    watch(days(3), detector)
    before = detector.state()
    verdict = detector.see(moment(3 * DAY), value)

    assert (verdict.score, verdict.alarm) == (0.0, False)
    assert detector.state() == before


@pytest.mark.parametrize(
    "values",
    [
        [5.0] * 3000,
        [0.0] * 3000,
        [row % 2 for row in range(3000)],
        [1e308, -1e308] * 1500,
        [5e-324 * (row % 3) for row in range(3000)],
        [(-1) ** row * 10.0 ** (row % 600 - 300) for row in range(3000)],
        [7],
    ],
    ids=["constant", "zero", "alternating", "huge", "tiny", "every magnitude", "a single value"],
)
def test_any_numbers_are_judged(values):
    detector = Rarity.fresh()
    for row, value in enumerate(values):
        verdict = detector.see(moment(row), value)
        assert 0 <= verdict.score <= 1 and math.isfinite(verdict.rarity)
    json.dumps(detector.state(), allow_nan=False)


@pytest.mark.parametrize("unit", [2.0**-60, 2.0**40])
def test_the_unit_of_measurement_does_not_matter(unit):
    values = days(10, lambda row, value: value + 40 * (row == INCIDENT))

    assert watch(unit * value for value in values)[1] == watch(values)[1]


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e9])
def test_a_constant_never_alarms_and_its_first_change_does(value):
    detector, alarms = watch([value] * 2000)

    assert alarms == []
    assert detector.see(moment(2000), value + 1).alarm


@pytest.mark.parametrize(
    "at",
    [
        lambda row: START,
        lambda row: START - row * EVERY,
        lambda row: START + (row * 7919 % 1000) * EVERY,
        lambda row: -1e300,
        lambda row: 1e300,
        lambda row: math.nan,
        lambda row: math.inf,
    ],
    ids=["the same", "backwards", "shuffled", "long ago", "never", "nan", "inf"],
)
def test_any_clock_will_do(at):
    detector = Rarity.fresh()
    for row, value in enumerate(days(3)):
        assert 0 <= detector.see(at(row), value).score <= 1
    json.dumps(detector.state(), allow_nan=False)


@effort(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(), st.none() | st.floats()), max_size=300))
def test_nothing_breaks_it_and_it_goes_on_where_it_was(points):
    whole, halves = Rarity.fresh(), Rarity.fresh()
    for number, (at, value) in enumerate(points):
        if number == len(points) // 2:
            halves = Rarity.from_state(json.loads(json.dumps(halves.state(), allow_nan=False)))
        assert whole.see(at, value) == halves.see(at, value)
    assert whole.state() == halves.state()


def test_a_restored_detector_judges_as_the_one_that_never_stopped():
    values = days(12, lambda row, value: value + 40 * (row == INCIDENT))
    whole, expected = watch(values)
    detector, alarms = Rarity.fresh(), []
    for row, value in enumerate(values):
        if row % 97 == 0:
            detector = Rarity.from_state(json.loads(json.dumps(detector.state())))
        if detector.see(moment(row), value).alarm:
            alarms.append(row)

    assert alarms == expected
    assert detector.state() == whole.state()


def test_a_detector_does_not_share_the_state_it_came_from():
    detector = Rarity.fresh()
    watch(days(2), detector)
    state = detector.state()
    before = json.dumps(state)
    watch(days(2, seed=2), Rarity.from_state(state))

    assert json.dumps(state) == before
    assert json.dumps(detector.state()) == before


def test_memory_has_an_end():
    noise = random.Random(3)
    detector, sizes = Rarity.fresh(), []
    for row in range(40_000):
        detector.see(moment(row), noise.gauss(0, 1))
        if row % 1000 == 0:
            sizes.append(len(json.dumps(detector.state())))

    assert max(sizes) < 60_000
    assert max(sizes[20:]) <= max(sizes[:20]) * 1.02


def test_a_tail_ranks_an_event_among_the_highest_and_calls_the_rest_common():
    tail = Tail([], 0, [], 0, -1.0, 0)
    for row in range(1000):
        tail.rarity(row // 10 if row % 10 == 0 else 0)

    assert tail.highest == list(range(100 - HIGHEST, 100))
    assert tail.rarity(50) == 0
    assert tail.rarity(99) == pytest.approx(math.log10(1002 / 2))
    assert tail.rarity(99.01) == pytest.approx(math.log10(1003), abs=1e-3)


def test_a_record_by_far_is_rarer_than_its_rank_up_to_a_limit():
    def rarity(value: float) -> float:
        return Tail([1.0, 2.0, 3.0, 4.0], 1000, [], 0, 0.5, 0).rarity(value)

    assert rarity(12.0) - rarity(4.0 + 1e-9) == pytest.approx(2 * math.log10(3), abs=1e-3)
    assert rarity(1e9) == rarity(1e12) == pytest.approx(math.log10(1001) + 2)


def test_an_event_takes_one_place_however_long_it_lasts():
    tail = Tail([], 0, [], 0, -1.0, 0)
    for row in range(500):
        tail.rarity(100 + row - 200 if 200 <= row < 250 else 1 + row % 7)

    assert tail.highest.count(149) == 1
    assert tail.highest[-2] < 10


def test_a_tail_forgets_what_two_generations_have_not_seen(monkeypatch):
    monkeypatch.setattr("domain.incidents.rarity.GENERATION", 100)
    tail = Tail([], 0, [], 0, -1.0, 0)
    tail.rarity(1e9)
    for row in range(210):
        tail.rarity(row % 7)

    assert tail.rarity(100) > 2


def test_what_the_bench_tries_of_settings_is_what_a_detector_does():
    values = days(14, lambda row, value: value + 60 * (row // DAY in (8, 11)))
    series = Series("made/up", [moment(row) for row in range(len(values))], values, [])
    shipped = tuple(getattr(rarity, name) for name in CONSTANTS)
    rarities = rarities_of(series, shipped)

    for settings in (Settings(), Settings(one_in=1000, cooldown=24), Settings(warm_up=10 * DAY)):
        _, alarms = watch(values, Rarity.fresh(settings))
        assert alarms_of(rarities, settings) == alarms
    assert alarms_of(rarities, Settings())

    assert tuple(getattr(rarity, name) for name in CONSTANTS) == shipped
    assert rarities_of(series, (1 / 72, 1 / 50, 1.0)) != rarities
