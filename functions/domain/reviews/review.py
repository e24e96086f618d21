"""Reviews: the words for where a review stands, and what a rule may change of it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    HELD = "HELD"  # the answer waits for the verdict
    AUDIT = "AUDIT"  # the answer was released; the verdict tells how often that is wrong
    PLANTED = "PLANTED"  # known to be bad; the verdict tells whether anybody looks


class ReviewStatus(StrEnum):
    OPEN = "OPEN"  # in its queue
    ANSWERED = "ANSWERED"  # its workflow is on the way to the next tier
    DECIDED = "DECIDED"
    LAPSED = "LAPSED"


class Tier(StrEnum):
    REVIEWER = "reviewer"
    SECOND = "second"
    LEAD = "lead"


class Next(StrEnum):
    """Where a review goes from a verdict; the workflow's RouteByVerdict reads it."""

    DONE = "done"
    SECOND = "second"
    LEAD = "lead"
    REVIEWER = "reviewer"  # back into its queue, to somebody else


# The attributes of a claim, and those that put a review into its queue.
CLAIM = ("claimed_by", "claimed_by_name", "claimed_at", "claimed_until", "person", "person_at", "claim_attempt")
QUEUE = ("queue", "queue_position")


class ReviewConflict(Exception):
    """The review is not in the state that the caller takes it to be in; `code` and message say why."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule does to a review, the item of the reviews table, which nothing but a rule changes."""

    set: dict[str, Any] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def applied_to(self, review: dict) -> dict:
        return {name: value for name, value in {**review, **self.set}.items() if name not in self.remove}
