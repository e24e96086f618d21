"""adapters/paging.py: pages over several partitions are one sorted list, read a bounded number of times each."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.paging import MOST_AT_ONCE, MOST_ROUNDS, merged_page


class Partition:
    """One partition in memory, which counts how often it is read."""

    def __init__(self, keys: list[int], descending: bool) -> None:
        self.keys = sorted(keys, reverse=descending)
        self.descending, self.reads = descending, 0

    def fetch(self, after: int, limit: int) -> list[dict]:
        self.reads += 1
        behind = [key for key in self.keys if (key < after if self.descending else key > after)]
        return [{"at": key} for key in behind[:limit]]


# Positions are unique, as those of reviews and outcomes are.
PARTITIONS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 500)), max_size=80, unique_by=lambda one: one[1])
BOUNDS = {False: 0, True: 501}


def partitions_of(placed: list[tuple[int, int]], descending: bool) -> list[Partition]:
    return [Partition([key for where, key in placed if where == number], descending) for number in range(4)]


@given(PARTITIONS, st.integers(1, 7), st.sets(st.integers(0, 6)), st.booleans())
def test_following_the_pages_meets_each_accepted_item_once_and_in_order(placed, limit, refused, descending):
    def accept(item: dict) -> bool:
        return item["at"] % 7 not in refused

    partitions = partitions_of(placed, descending)
    expected = [key for key in heapq.merge(*[sorted(one.keys) for one in partitions]) if key % 7 not in refused]
    found, position = [], BOUNDS[descending]
    for _ in range(len(placed) + 2):
        page, following = merged_page(
            [one.fetch for one in partitions], "at", position, limit, accept, descending=descending
        )
        assert len(page) <= limit
        found += [item["at"] for item in page]
        if following is None:
            break
        assert (following < position) if descending else (following > position), "each page gets on"
        position = following
    else:
        raise AssertionError("the pages have no end")

    assert found == (expected[::-1] if descending else expected)


@given(PARTITIONS, st.integers(1, 7), st.booleans())
def test_a_page_that_is_not_full_and_has_no_next_is_the_last(placed, limit, descending):
    fetches = [one.fetch for one in partitions_of(placed, descending)]

    page, following = merged_page(fetches, "at", BOUNDS[descending], limit, lambda item: True, descending=descending)

    assert len(page) == min(limit, len(placed))
    assert (following is None) == (len(placed) < limit) or len(placed) == limit


@pytest.mark.parametrize("size", [10, 1_000, 100_000])
@pytest.mark.parametrize("descending", [False, True])
def test_however_much_is_passed_over_each_partition_is_read_a_few_times(size, descending):
    partitions = [Partition(list(range(start, size, 3)), descending) for start in range(3)]

    page, following = merged_page(
        [one.fetch for one in partitions],
        "at",
        size if descending else -1,
        2,
        lambda item: False,
        descending=descending,
    )

    assert page == []
    assert all(one.reads <= MOST_ROUNDS for one in partitions)
    assert (following is None) == (size == 10)


def test_where_a_partition_was_left_unread_the_page_ends_for_all():
    """What lies beyond is somewhere in the order nobody knows."""
    hidden = Partition(list(range(0, 10_000, 2)), False)
    shown = Partition([1, 9_999], False)

    page, following = merged_page([hidden.fetch, shown.fetch], "at", -1, 2, lambda item: item["at"] % 2 == 1)

    assert [item["at"] for item in page] == [1]
    assert 1 < following < 9_999


def test_no_read_asks_for_more_than_one_answer_can_hold():
    asked = []

    def fetch(after: int, limit: int) -> list[dict]:
        asked.append(limit)
        return [{"at": after + number} for number in range(1, limit + 1)]

    merged_page([fetch], "at", 0, 100, lambda item: False)

    assert asked == [100, 400, MOST_AT_ONCE, MOST_AT_ONCE]


def test_nothing_to_read_is_an_end():
    assert merged_page([], "at", 0, 10, lambda item: True) == ([], None)
