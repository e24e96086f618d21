"""Cases: an erasure as its functions need it, and how far it is in a store."""

from collections.abc import Callable
from dataclasses import dataclass

from adapters import subject_keys
from adapters.governance import erasures_table
from adapters.sealing import SubjectKey
from domain.errors import SubjectErased

Hurry = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Progress:
    """How many items went, or were found; where to go on, and when."""

    count: int
    done: bool = True
    position: str | None = None
    wait_seconds: int = 1


@dataclass(frozen=True, slots=True)
class Case:
    """An erasure as its functions need it; without a key (it is done again) what only its id finds is left alone."""

    record: dict
    own_account: str
    key: SubjectKey | None
    subject_id: str | None

    @property
    def erasure_id(self) -> str:
        return self.record["erasure_id"]

    @property
    def ref(self) -> str:
        return self.record["subject_ref"]

    @property
    def tenant(self) -> str:
        return self.record["tenant"]

    def takes(self, request: dict) -> bool:
        """Done again after a restore, an erasure takes what was there before it, and nothing that came since."""
        return "before" not in self.record or request.get("admitted_at", "") <= self.record["before"]


def open_case(erasure_id: str, own_account: str) -> Case:
    record = erasures_table.find(erasure_id)
    if record is None:
        raise KeyError(f"there is no erasure {erasure_id}")
    item = subject_keys.find(record["subject_ref"]) if "sealed_subject" in record else None
    if item is None:
        return Case(record, own_account, None, None)
    key = subject_keys.unwrap(record["subject_ref"], item["wrapped_key"])
    try:
        subject_id = key.open(record["sealed_subject"], place_of(erasure_id))
    except SubjectErased:
        # The key was dropped by a run that died, and the one that is there now is of who came again.
        return Case(record, own_account, None, None)
    return Case(record, own_account, key, subject_id)


def place_of(erasure_id: str) -> str:
    return f"erasure#{erasure_id}"
