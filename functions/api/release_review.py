"""ReleaseReview: DELETE /reviews/{review_id}/claim; puts a review back for others."""

from aws_lambda_powertools import Logger

from adapters.api.http import answers, respond
from adapters.clock import now
from adapters.reviews.review_claims import release
from adapters.reviews.review_view import summary_of, visible_review
from domain.api.callers import Caller

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    (review, _), moment = visible_review(event["pathParameters"]["review_id"], caller), now()
    review = release(review, caller)
    logger.info("review released", review_id=review["review_id"])
    return respond(200, summary_of(review, caller, moment))
