"""AnswerIncident: POST /incidents/{incident_id}/answer; an operator's word: the next rung, restore, or hold."""

from aws_lambda_powertools import Logger

from adapters import workflows
from adapters.api.http import Refused, answers, body_of, respond
from adapters.clock import now
from adapters.governance import audit_notes
from adapters.incidents import incidents_table, operator_tokens
from adapters.incidents.incident_view import visible_case
from domain.api.callers import Caller
from domain.characters import cleaned, is_blank
from domain.errors import Overtaken
from domain.incidents.mitigation import Answer
from domain.requests import invalid

MOST_REASON = 500
ATTEMPTS = 5

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    incident_id = event["pathParameters"]["incident_id"]
    answer, reason = _read(body_of(event))
    _keep(incident_id, answer, reason, caller)
    logger.info("operator answered", incident_id=incident_id, answer=answer, by=caller.user_id)
    # Should the token not be taken, the mitigation takes the answer up at its next step, within a minute.
    if token := operator_tokens.find(incident_id):
        try:
            workflows.resume(token, {})
        except Exception:
            logger.exception("mitigation not resumed yet", incident_id=incident_id)
    return respond(200, {"incident_id": incident_id, "answer": answer})


def _read(body: object) -> tuple[str, str]:
    """The answer and its reason."""
    if not isinstance(body, dict) or set(body) != {"answer", "reason"} or body["answer"] not in set(Answer):
        raise invalid("answer", f"must be one of {', '.join(Answer)}, with a reason and nothing else")
    if not isinstance(body["reason"], str) or is_blank(body["reason"]) or len(body["reason"]) > MOST_REASON:
        raise invalid("reason", f"must say why, in at most {MOST_REASON} characters")
    return body["answer"], cleaned(body["reason"])


def _keep(incident_id: str, answer: str, reason: str, caller: Caller) -> None:
    """Leave the answer with the case, for its mitigation to take up, and note whose it is."""
    for _ in range(ATTEMPTS):
        case = visible_case(incident_id, caller)
        if case.mitigation is None or case.mitigation.is_done:
            raise Refused(409, "NOT_MITIGATED", "Nothing is done about this incident any more.")
        case.answer = answer
        case.note(case.mitigation.stepped_at, "ANSWERED", answer=answer, reason=reason, by=caller.name)
        about = {"incident_id": incident_id, "use_case": case.incident.use_case, "answer": answer}
        noted = audit_notes.note("INCIDENT_ANSWERED", caller.user_id, now(), **about)
        try:
            incidents_table.keep_case(case, now(), noted)
            return
        except Overtaken:
            continue
    raise Refused(503, "UNAVAILABLE", "Others were at the same incident; send it again.", retry_after_seconds=2)
