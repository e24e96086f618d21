"""adapters/key_memory.py: so many keys, for so long, and never one that a record is not under."""

import pytest

from adapters import key_memory
from adapters.sealing import SubjectKey

KEY = SubjectKey("s-1", bytes(32))


@pytest.fixture(autouse=True)
def empty():
    key_memory._remembered.clear()


def test_a_process_remembers_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr(key_memory, "MOST_REMEMBERED", 2)
    for number in range(3):
        key_memory.remember(SubjectKey(f"s-{number}", bytes(32)))

    assert key_memory.remembered("s-0") is None and key_memory.remembered("s-2")
    key_memory.forget("s-2")
    assert key_memory.remembered("s-2") is None


@pytest.mark.parametrize(
    ("seconds", "mark", "opens"),
    [
        (59, None, True),
        (60, None, False),
        (0, KEY.mark, True),
        (0, SubjectKey("s-1", b"1" * 32).mark, False),
    ],
)
def test_a_key_opens_without_asking_what_is_under_it_for_a_minute(clock, seconds, mark, opens):
    key_memory.remember(KEY)
    clock(seconds)

    assert (key_memory.seen_lately("s-1", mark) is KEY) is opens
    assert key_memory.remembered("s-1") is KEY, "who seals checks it anyhow"
