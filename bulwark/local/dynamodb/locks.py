"""A lock per table: a call holds those of the tables it names, so that calls happen one after another."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

_making = threading.Lock()
_locks: dict[str, threading.RLock] = defaultdict(threading.RLock)


@contextmanager
def locked(tables: Iterable[str]) -> Iterator[None]:
    """Hold the locks of tables, named or by ARN, taken in one order by everyone."""
    names = sorted({table.rpartition("/")[2] for table in tables})
    with ExitStack() as held:
        for name in names:
            with _making:
                lock = _locks[name]
            held.enter_context(lock)
        yield
