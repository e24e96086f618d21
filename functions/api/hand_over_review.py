"""HandOverReview: POST /reviews/{review_id}/hand-over; gives the caller's claim to a colleague."""

from aws_lambda_powertools import Logger

from adapters.api import users
from adapters.api.http import Refused, answers, body_of, respond
from adapters.clock import now
from adapters.reviews.review_claims import hand_over
from adapters.reviews.review_view import summary_of, visible_review
from domain.api.callers import Caller
from domain.requests import invalid
from domain.reviews.claims import CANNOT_TAKE

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    (review, _), moment = visible_review(event["pathParameters"]["review_id"], caller), now()
    body = body_of(event)
    if not isinstance(body, dict) or set(body) != {"to"} or not isinstance(body["to"], str) or not body["to"]:
        raise invalid("to", "must be a colleague's user name, and the only field")
    colleague = users.find(body["to"])
    if colleague is None:
        raise Refused(409, *CANNOT_TAKE)
    review = hand_over(review, caller, colleague, moment)
    logger.info("review handed over", review_id=review["review_id"], to=colleague.user_id)
    return respond(200, summary_of(review, caller, moment))
