"""Assessment: what is known of a model's answer; each step of AssessAnswer takes it and gives it with more."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from adapters.sealing import SubjectKey
from domain.inference.answers import Answer
from domain.outcomes import Verdict
from domain.policy import Policy, UseCase
from domain.requests import Status
from domain.reviews.review import Kind


class NoAnswer(Exception):
    """What the model sent is no answer, so that the next one is asked; the argument is the attempt that failed."""


# Not a dataclass: a changed copy of so many fields takes dataclasses.replace four times as long.
class Assessment(NamedTuple):
    event: dict
    moment: float
    rules: Policy
    use_case: UseCase
    subject: SubjectKey
    answer: Answer
    verdict: Verdict = Verdict(Status.HELD)
    is_refusal: bool = False
    confidence: float = 0.0
    kind: Kind | None = None  # of the review, if a person is to look
    review: dict | None = None
    attributes: Mapping = MappingProxyType({})  # what the request's record says from now on
    ours: bool = True  # whether the outcome on record is this one
    told: dict | None = None  # what the machine is told

    @property
    def request(self) -> dict:
        return self.event["request"]

    def recording(self, attributes: dict, **known: object) -> "Assessment":
        """The same with more to record, and with more that is known."""
        return self._replace(attributes=self.attributes | attributes, **known)
