"""KeepAnswer: seals an answer under its subject's key, and says who may be given it."""

from adapters import payloads
from domain.modes import NOT_DEGRADED
from domain.requests import Status
from inference.assess.assessment import Assessment


def keep_answer(assessment: Assessment) -> Assessment:
    request, kept = assessment.request, {}
    if "answer_key" in request and request["mode"] in NOT_DEGRADED:
        kept["answer_key"] = request["answer_key"]
    if assessment.use_case.deliver_answer:
        kept["deliver"] = "event"
    if assessment.verdict.status is not Status.REFUSED:
        text, ends_at = assessment.answer.text, request["expires_at"]
        kept |= payloads.answer(request["request_key"], text, assessment.subject, ends_at)
    return assessment.recording(kept)
