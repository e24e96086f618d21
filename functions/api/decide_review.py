"""DecideReview: POST /reviews/{review_id}/decision; stores a verdict and resumes the review."""

from aws_lambda_powertools import Logger

from adapters import subject_keys, workflows
from adapters.api.http import Refused, answers, body_of, respond
from adapters.clock import now
from adapters.reviews import reviews_table
from adapters.reviews.review_view import summary_of, visible_review
from domain.api.callers import Caller
from domain.requests import invalid
from domain.reviews.decisions import DecisionInvalid, ReviewDecision, read_decision
from domain.reviews.review import Next, ReviewConflict

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    (review, request), moment = visible_review(event["pathParameters"]["review_id"], caller), now()
    decision = _read(body_of(event))
    if not _is_given(review, caller, decision):
        review = _store(review, request, caller, decision, moment)
    _resume(review)
    return respond(200, summary_of(review, caller, moment) | {"next": review.get("next", Next.REVIEWER)})


def _read(body: object) -> ReviewDecision:
    try:
        return read_decision(body)
    except DecisionInvalid as error:
        raise invalid(*error.args) from error


def _is_given(review: dict, caller: Caller, decision: ReviewDecision) -> bool:
    """Whether the caller's verdict stands already, and is this very one."""
    mine = [given for given in review.get("verdicts", ()) if given["person"] == caller.user_id]
    if not mine:
        return False
    answer = subject_keys.of(review).mac(decision.answer) if decision.answer else None
    wanted = (decision.decision, answer, decision.reason_code)
    return any(wanted == (given["decision"], given.get("answer_mac"), given.get("reason_code")) for given in mine)


def _store(review: dict, request: dict, caller: Caller, decision: ReviewDecision, moment: float) -> dict:
    """The review with the verdict, which may have been sent twice at once."""
    try:
        decided = reviews_table.decide(review, request, caller, decision, moment)
    except ReviewConflict as conflict:
        found = reviews_table.find(review["review_id"]) or review
        if _is_given(found, caller, decision):
            return found
        raise _refusal(found, caller, decision, conflict, moment) from conflict
    logger.info("verdict stored", review_id=decided["review_id"], decision=decision.decision, tier=decided["tier"])
    return decided


def _refusal(
    review: dict, caller: Caller, decision: ReviewDecision, conflict: ReviewConflict, moment: float
) -> Refused:
    message = str(conflict)
    if conflict.code == "DEADLINE_PASSED":
        reviews_table.keep_late(review["review_id"], decision, caller.user_id, moment)
        message += " Your decision is recorded and changes nothing."
    return Refused(409, conflict.code, message)


def _resume(review: dict) -> None:
    """Tell the workflow; should this process die here, or the token not be taken, the sweeper does within a minute."""
    if "next" not in review or "task_token" not in review:
        return
    try:
        workflows.resume_review(review["task_token"], review["next"])
    except Exception:
        logger.exception("review not resumed yet", review_id=review["review_id"])
