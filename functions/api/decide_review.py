"""DecideReview: POST /reviews/{review_id}/decision; stores a verdict and resumes the review."""

from aws_lambda_powertools import Logger

from adapters import subject_keys, workflows
from adapters.api.http import Refused, answers, body_of, respond
from adapters.clock import now
from adapters.reviews import reviews_table
from adapters.reviews.review_view import summary_of, visible_review
from domain.api.callers import Caller
from domain.requests import check_text, invalid
from domain.reviews.reviews import DecisionInvalid, Next, ReviewConflict, ReviewDecision, read_decision

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    (review, request), moment = visible_review(event["pathParameters"]["review_id"], caller), now()
    body = body_of(event)
    check_text(body)
    try:
        decision = read_decision(body)
    except DecisionInvalid as error:
        raise invalid(*error.args) from error
    if not (repeated := _is_given(review, caller, decision)):
        try:
            review = reviews_table.decide(review, request, caller, decision, moment)
        except ReviewConflict as conflict:
            review = reviews_table.find(review["review_id"]) or review
            # The same decision may have been sent twice at once.
            if not (repeated := _is_given(review, caller, decision)):
                _refuse(review, caller, decision, conflict, moment)
    if not repeated:
        logger.info("verdict stored", review_id=review["review_id"], decision=decision.decision, tier=review["tier"])
    # Should this process die here, or the token not be taken, the sweeper resumes the review within a minute.
    if "next" in review and "task_token" in review:
        try:
            workflows.resume_review(review["task_token"], review["next"])
        except Exception:
            logger.exception("review not resumed yet", review_id=review["review_id"])
    return respond(200, summary_of(review, caller, moment) | {"next": review.get("next", Next.REVIEWER)})


def _is_given(review: dict, caller: Caller, decision: ReviewDecision) -> bool:
    """Whether the caller's verdict stands already, and is this very one."""
    mine = [given for given in review.get("verdicts", ()) if given["person"] == caller.user_id]
    if not mine:
        return False
    answer = subject_keys.of(review).mac(decision.answer) if decision.answer else None
    wanted = (decision.decision, answer, decision.reason_code)
    return any(wanted == (given["decision"], given.get("answer_mac"), given.get("reason_code")) for given in mine)


def _refuse(review: dict, caller: Caller, decision: ReviewDecision, conflict: ReviewConflict, moment: float) -> None:
    message = str(conflict)
    if conflict.code == "DEADLINE_PASSED":
        reviews_table.keep_late(review["review_id"], decision, caller.user_id, moment)
        message += " Your decision is recorded and changes nothing."
    raise Refused(409, conflict.code, message)
