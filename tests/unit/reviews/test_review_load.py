"""domain/reviews/review_load.py: a queue is too long when its end would be reached too late, and long enough to be
sure.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reviews.review_load import MOST_SAMPLES, PACE_SECONDS, Load, measure, pace_of, sampled

NOW = 1_800_000_000.0
SLA = 1000


def at_pace(per_second: float) -> list[list[float]]:
    """Two samples a hundred seconds apart, between which so many reviews ended."""
    return [[NOW - 100, 0], [NOW, 100 * per_second]]


@pytest.mark.parametrize(
    ("waiting", "per_second", "was", "breaching"),
    [
        (99, 0.1, False, False),
        (100, 0.1, False, True),
        (99, 0.1, True, True),
        (70, 0.1, True, True),
        (69, 0.1, True, False),
        (1000, 10, False, False),
    ],
)
def test_a_queue_is_too_long_at_its_deadline_and_short_enough_well_before_it(waiting, per_second, was, breaching):
    load = measure(waiting, 5, at_pace(per_second), NOW, SLA, was)

    assert load.breaching is breaching
    assert load.drain_seconds == pytest.approx(waiting / per_second)


@pytest.mark.parametrize(
    ("oldest", "was", "breaching"),
    [(499, False, False), (500, False, True), (499, True, True), (350, True, True), (349, True, False)],
)
def test_where_nobody_works_the_oldest_tells(oldest, was, breaching):
    load = measure(3, oldest, [[NOW, 0]], NOW, SLA, was)

    assert (load.breaching, load.drain_seconds) == (breaching, None)


@pytest.mark.parametrize("samples", [[], [[NOW, 0]], at_pace(0), at_pace(1)])
@pytest.mark.parametrize("was", [False, True])
def test_an_empty_queue_is_never_too_long(samples, was):
    assert measure(0, 9999, samples, NOW, SLA, was) == Load(0, 0, 0.0, False)


@pytest.mark.parametrize(
    ("samples", "pace"),
    [
        ([], 0),
        ([[NOW, 5]], 0),
        ([[NOW - 100, 5], [NOW, 15]], 0.1),
        ([[NOW - 100, 5], [NOW - 50, 6], [NOW, 15]], 0.1),
        # What is older than the window does not count.
        ([[NOW - PACE_SECONDS - 1, 0], [NOW - 100, 1000], [NOW, 1010]], 0.1),
        ([[NOW - PACE_SECONDS - 1, 0], [NOW, 1000]], 0),
        # A count that fell began anew, and what it has since then counts.
        ([[NOW - 100, 990], [NOW - 50, 995], [NOW, 5]], 0.1),
        ([[NOW, 0], [NOW, 10]], 0),
        ([[NOW, 0], [NOW - 100, 10]], 0),
    ],
)
def test_the_pace_is_that_of_the_last_quarter_of_an_hour(samples, pace):
    assert pace_of(samples, NOW) == pytest.approx(pace)


def test_samples_are_bounded_and_the_oldest_goes_first():
    samples: list[list[float]] = []
    for minute in range(MOST_SAMPLES + 5):
        samples = sampled(samples, NOW + 60 * minute, minute)

    assert len(samples) == MOST_SAMPLES
    assert [count for _, count in samples] == list(range(5, MOST_SAMPLES + 5))


def test_a_clock_that_went_back_begins_anew():
    assert sampled([[NOW - 60, 1], [NOW + 60, 2]], NOW, 3) == [[NOW - 60, 1], [NOW, 3]]


SAMPLES = st.lists(st.tuples(st.floats(0, 2000), st.integers(0, 1000)), max_size=8).map(
    lambda found: [[NOW - before, count] for before, count in sorted(found, reverse=True)]
)


@given(st.integers(0, 10_000), st.floats(0, 1e6), SAMPLES, st.integers(1, 100_000))
def test_who_is_out_gets_in_no_later_than_who_is_in_gets_out(waiting, oldest, samples, sla):
    """Hysteresis: at no load does a queue that was fine breach while one that breached is fine."""
    fine, breached = (measure(waiting, oldest, samples, NOW, sla, was) for was in (False, True))

    assert breached.breaching >= fine.breaching
    assert pace_of(samples, NOW) >= 0


@given(st.integers(1, 1000), st.floats(0, 1e4), SAMPLES, st.booleans())
def test_a_longer_queue_is_no_better(waiting, oldest, samples, was):
    shorter, longer = (measure(number, oldest, samples, NOW, SLA, was) for number in (waiting, waiting + 1))

    assert longer.breaching >= shorter.breaching
