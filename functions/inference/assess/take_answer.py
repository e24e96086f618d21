"""TakeAnswer: lets pass what can be judged as an answer; of anything else the attempt has failed."""

from domain.inference.answers import failed_attempt
from inference.assess.assessment import Assessment, NoAnswer


def take_answer(assessment: Assessment) -> Assessment:
    """The same assessment; raises NoAnswer."""
    if fault := assessment.answer.fault:
        raise NoAnswer(failed_attempt(assessment.event["answer"], assessment.event["model"], fault))
    return assessment
