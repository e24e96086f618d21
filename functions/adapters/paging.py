"""Keyset pages over several sorted partitions at once, with a number of reads that does not grow with them."""

import heapq
from collections.abc import Callable, Iterator

# A page reads each partition this often at most, each time further: what its reader may not see is skipped, not read
# for ever.
MOST_ROUNDS = 4
GROWTH = 4
# A query gives 1 MB at most, and a page that it cut short would look like a partition's last
# (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html).
MOST_AT_ONCE = 500

Fetch = Callable[[str, int], list[dict]]


def merged_page(
    fetches: list[Fetch], key: str, after: str, limit: int, accept: Callable[[dict], bool], *, descending: bool = False
) -> tuple[list[dict], str | None]:
    """Up to `limit` accepted items behind a position, in order, and the position to go on from if there may be more.

    Each fetch gives its partition's next items behind a position, at most so many.
    """
    readings = [_Reading(fetch, key, after, limit) for fetch in fetches]
    found, last = [], after
    for item in heapq.merge(*readings, key=lambda each: each[key], reverse=descending):
        # Behind the place where a partition was left unread, the order of all is not known.
        if any(each.cut_off and (item[key] < each.last if descending else item[key] > each.last) for each in readings):
            return found, last
        last = item[key]
        if accept(item):
            found.append(item)
            if len(found) == limit:
                return found, last
    return found, last if any(each.cut_off for each in readings) else None


class _Reading:
    """One partition, read in pages as the merge asks for more."""

    def __init__(self, fetch: Fetch, key: str, after: str, limit: int) -> None:
        self._fetch, self._key, self._limit = fetch, key, limit
        self.last, self.cut_off = after, False

    def __iter__(self) -> Iterator[dict]:
        for round_ in range(MOST_ROUNDS):
            limit = min(self._limit * GROWTH**round_, MOST_AT_ONCE)
            items = self._fetch(self.last, limit)
            for item in items:
                self.last = item[self._key]
                yield item
            if len(items) < limit:
                return
        self.cut_off = True
