"""ListReviews: GET /reviews; the reviews that the caller may take, the most urgent first, or has claimed."""

from aws_lambda_powertools import Logger

from adapters import policy
from adapters.api.http import answers, limit_of, position_of, respond
from adapters.clock import now
from adapters.reviews import review_queues
from adapters.reviews.review_view import summary_of
from domain.api.callers import Caller
from domain.requests import invalid
from domain.reviews.review import Tier

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("reviewers", "leads")
    query, moment = event.get("queryStringParameters") or {}, now()
    limit, after = limit_of(query), position_of(query)
    if query.get("tier", Tier.REVIEWER) not in set(Tier):
        raise invalid("tier", f"must be one of {', '.join(Tier)}")
    if query.get("claimed", "free") not in ("mine", "free"):
        raise invalid("claimed", "must be mine or free")
    if query.get("claimed") == "mine":
        return respond(
            200, {"reviews": [summary_of(one, caller, moment) for one in review_queues.claimed(caller, moment)]}
        )
    free_only = query.get("claimed") == "free"
    found, last = review_queues.page(policy.current(), caller, query, after, limit, moment, free_only=free_only)
    shown: dict = {"reviews": [summary_of(review, caller, moment) for review in found]}
    if last:
        shown["next"] = last
    return respond(200, shown)
