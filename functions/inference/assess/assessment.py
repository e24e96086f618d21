"""Assessment: what is known of a model's answer; each step of AssessAnswer takes it and gives it with more."""

from dataclasses import dataclass, field, replace

from adapters.sealing import SubjectKey
from domain.inference.answers import Answer
from domain.outcomes import Verdict
from domain.policy import Policy, UseCase
from domain.requests import Status
from domain.reviews.reviews import Kind


@dataclass(frozen=True, slots=True)
class Assessment:
    event: dict
    moment: float
    rules: Policy
    use_case: UseCase
    subject: SubjectKey
    answer: Answer
    verdict: Verdict = Verdict(Status.HELD)
    confidence: float = 0.0
    kind: Kind | None = None  # of the review, if a person is to look
    review: dict | None = None
    attributes: dict = field(default_factory=dict)  # what the request's record says from now on
    ours: bool = True  # whether the outcome on record is this one
    told: dict | None = None  # what the machine is told

    @property
    def request(self) -> dict:
        return self.event["request"]

    def recording(self, attributes: dict, **known: object) -> "Assessment":
        """The same with more to record, and with more that is known."""
        return replace(self, attributes=self.attributes | attributes, **known)
