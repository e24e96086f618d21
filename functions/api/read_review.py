"""ReadReview: GET /reviews/{review_id}; everything a person needs to decide on an answer."""

from aws_lambda_powertools import Logger

from adapters.api.http import answers, respond
from adapters.clock import now
from adapters.governance import audit_notes
from adapters.reviews.review_view import item_of, visible_review
from domain.api.callers import Caller
from domain.reviews.review import Tier

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    review, request = visible_review(event["pathParameters"]["review_id"], caller)
    if review["tier"] == Tier.LEAD:
        caller.require("leads")
    moment = now()
    about = {name: review[name] for name in ("review_id", "tenant", "use_case", "request_id")}
    # Before it is shown: a look that could not be recorded is none.
    audit_notes.leave("REVIEW_READ", caller.user_id, moment, **about, subject=request.get("subject_mac"))
    logger.info("review read", review_id=review["review_id"], reader=caller.user_id)
    return respond(200, item_of(review, request, caller, moment))
