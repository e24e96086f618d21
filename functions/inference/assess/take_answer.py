"""TakeAnswer: lets pass what can be judged as an answer, or as a refusal; of anything else the attempt has failed."""

from domain.inference.answers import failed_attempt
from domain.policy import NEXT_MODEL
from domain.requests import Reason
from inference.assess.assessment import Assessment, NoAnswer


def take_answer(assessment: Assessment) -> Assessment:
    """The same assessment, with whether the model refused; raises NoAnswer where the next model is to be asked."""
    answer, event, use_case = assessment.answer, assessment.event, assessment.use_case
    is_refusal, fault = answer.refuses(use_case.languages), answer.fault
    # A machine of before says nothing of it, while a deploy takes effect.
    is_last = event.get("is_last_model", True)
    if is_refusal and use_case.on_refusal == NEXT_MODEL and not is_last:
        fault = fault or Reason.MODEL_REFUSED
    if fault:
        raise NoAnswer(failed_attempt(event["answer"], event["model"], fault))
    return assessment._replace(is_refusal=is_refusal)
