"""ReadReview: GET /reviews/{review_id}; everything a person needs to decide on a held answer."""

import json

from aws_lambda_powertools import Logger

from adapters import payloads
from adapters.http import answers, respond
from adapters.review_view import is_for, summary_of, visible_review
from domain.callers import Caller

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    review, request = visible_review(event["pathParameters"]["review_id"], caller)
    if not is_for(review, caller):
        caller.require("leads")
    body = json.loads(payloads.text_of(request, "payload") or "{}")
    logger.info("review read", review_id=review["review_id"], reader=caller.user_id)
    return respond(
        200,
        summary_of(review)
        | {
            "query": body.get("query"),
            "passages": body.get("passages", []),
            "history": body.get("history", []),
            "draft": payloads.text_of(request, "answer"),
            "model": request.get("model"),
            "signals": request.get("signals", {}),
            "findings": request.get("findings", []),
            "on_silence": (request.get("review") or {}).get("on_silence"),
        },
    )
