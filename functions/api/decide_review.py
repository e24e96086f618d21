"""DecideReview: POST /reviews/{review_id}/decision; stores the first decision and resumes the review."""

from aws_lambda_powertools import Logger

from adapters import payloads, reviews_table, workflows
from adapters.clock import now
from adapters.http import Refused, answers, body_of, respond
from adapters.review_view import is_for, is_lead, summary_of, visible_review
from adapters.reviews_table import ReviewClosed
from domain.callers import Caller
from domain.requests import check_text, invalid
from domain.reviews import DecisionInvalid, ReviewDecision, ReviewStatus, read_decision

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    (review, _), moment = visible_review(event["pathParameters"]["review_id"], caller), now()
    body = body_of(event)
    check_text(body)
    try:
        decision = read_decision(body)
    except DecisionInvalid as error:
        raise invalid(*error.args) from error
    try:
        if review["status"] != ReviewStatus.OPEN or not is_for(review, caller):
            raise ReviewClosed(review)
        # It may go to a lead between the look above and this write.
        reviews_table.decide(review, decision, caller.user_id, moment, is_lead=is_lead(caller))
    except ReviewClosed as closed:
        review = _repeated(closed.review, decision, caller, moment)
    else:
        logger.info("decision stored", review_id=review["review_id"], decision=decision.decision)
        review = reviews_table.find(review["review_id"])
    # Should this process die here, or the token not be taken, the sweeper resumes the review within a minute.
    try:
        workflows.resume_review(review["task_token"])
    except Exception:
        logger.exception("review not resumed yet", review_id=review["review_id"])
    return respond(200, summary_of(review))


def _repeated(review: dict, decision: ReviewDecision, caller: Caller, moment: float) -> dict:
    """The stored review, if this is its own decision sent again; else tells why this one does not count."""
    status = review["status"]
    if not is_for(review, caller):
        reviews_table.keep_late(review["review_id"], decision, caller.user_id, moment)
        raise Refused(
            409,
            "DEADLINE_PASSED",
            f"The review went to a lead at {review['opened_at']}. Your decision is recorded and changes nothing.",
        )
    if status == ReviewStatus.OPEN:
        raise Refused(409, "DRAFT_CHANGED", "The answer changed since you read it; read the review again.")
    if status == ReviewStatus.LAPSED:
        reviews_table.keep_late(review["review_id"], decision, caller.user_id, moment)
        raise Refused(
            409,
            "DEADLINE_PASSED",
            f"The review ended at {review['decided_at']} without a decision, and the policy decided "
            f"{review['decision']}. Yours is recorded and changes nothing.",
        )
    stored = (review["decided_by"], review["decision"], payloads.text_of(review, "answer"))
    if stored != (caller.user_id, decision.decision, decision.answer):
        raise Refused(
            409,
            "ALREADY_DECIDED",
            f"The review was decided {review['decision']} at {review['decided_at']}; yours was not taken.",
        )
    return review
