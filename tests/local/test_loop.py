"""The loop that executions share: what one of them does, or suffers, is nothing to the others."""

import threading
import time

import pytest
from small_cloud import eventually

from bulwark.local.stepfunctions.loop import Lane, Loop, Signal
from bulwark.local.stepfunctions.loop import loop as shared


@pytest.fixture
def ended() -> list:
    return []


def waiting(signal: Signal, ended: list, name: str, seconds: float = 60):
    return lambda: ended.append((name, signal.wait(seconds)))


def test_many_wait_in_one_thread_and_are_woken_from_any(ended):
    signals = [Signal() for _ in range(500)]
    before = threading.active_count()
    for number, signal in enumerate(signals):
        shared.submit(Lane(), waiting(signal, ended, number))
    assert threading.active_count() <= before + 1

    givers = [
        threading.Thread(target=lambda part=signals[start::4]: [each.give() for each in part]) for start in range(4)
    ]
    for giver in givers:
        giver.start()

    eventually(lambda: len(ended) == 500)
    assert sorted(ended) == [(number, True) for number in range(500)]


def test_what_was_given_before_is_not_waited_for(ended):
    signal = Signal()
    signal.give()
    shared.submit(Lane(), waiting(signal, ended, "given"))

    assert signal.wait(60)
    eventually(lambda: ended == [("given", True)])


def test_time_is_up_for_those_alone_whose_it_is(ended):
    never, later = Signal(), Signal()
    shared.submit(Lane(), waiting(never, ended, "short", 0.05))
    shared.submit(Lane(), waiting(later, ended, "long"))

    eventually(lambda: ended == [("short", False)])
    # Given too late, it wakes nobody, and certainly not somebody else.
    never.give()
    later.give()
    eventually(lambda: ended == [("short", False), ("long", True)])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_who_fails_takes_no_one_along(ended, error, caplog):
    signal = Signal()

    def fail() -> None:
        Signal().wait(0.01)
        raise error("of its own")

    shared.submit(Lane(), waiting(signal, ended, "other"))
    shared.submit(Lane(), fail)
    eventually(lambda: "of its own" in caplog.text)
    signal.give()

    eventually(lambda: ended == [("other", True)])


def test_a_lane_lets_in_as_many_as_it_has_room_for_and_then_the_next_in_order(ended):
    lane, signals = Lane(2), [Signal() for _ in range(5)]
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        signals[number].wait(60)
        ended.append(number)

    for number in range(5):
        shared.submit(lane, lambda number=number: work(number))
    eventually(lambda: begun == [0, 1])
    signals[1].give()
    eventually(lambda: begun == [0, 1, 2])
    for signal in signals:
        signal.give()

    eventually(lambda: sorted(ended) == [0, 1, 2, 3, 4])
    assert begun == [0, 1, 2, 3, 4]


def test_its_thread_leaves_when_nothing_is_left_and_comes_back(ended, monkeypatch):
    monkeypatch.setattr("bulwark.local.stepfunctions.loop._IDLE_SECONDS", 0.05)
    own = Loop()
    own.submit(Lane(), lambda: ended.append("first"))
    eventually(lambda: ended == ["first"] and own._thread is None)
    time.sleep(0.05)

    own.submit(Lane(), lambda: ended.append("second"))

    eventually(lambda: ended == ["first", "second"])
