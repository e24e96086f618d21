"""ClaimNextReview: POST /reviews/claim; gives the caller the most urgent review that nobody has."""

from aws_lambda_powertools import Logger

from adapters import policy
from adapters.api.http import Refused, answers, body_of, respond
from adapters.clock import now
from adapters.reviews import review_queues
from adapters.reviews.review_claims import claim
from adapters.reviews.review_view import summary_of
from domain.api.callers import Caller
from domain.requests import invalid

# So many others may be at the same queue at once; who finds them all ahead looks further.
CANDIDATES = 25
MOST_PAGES = 4
FIELDS = {"tenant", "use_case", "tier", "attempt"}
MAX_ATTEMPT = 64

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("reviewers", "leads")
    moment, body = now(), body_of(event) if event.get("body") else {}
    if not isinstance(body, dict) or set(body) - FIELDS or not all(isinstance(v, str) for v in body.values()):
        raise invalid("body", f"may hold {', '.join(sorted(FIELDS))}, each a text")
    filters, attempt = body, body.get("attempt")
    if attempt is not None and not 0 < len(attempt) <= MAX_ATTEMPT:
        raise invalid("attempt", f"must be a text of 1 to {MAX_ATTEMPT} characters, another one for each claim")
    # Sent again since its answer was lost, it gets what it got: else that would be nobody's until the claim runs out.
    for review in review_queues.claimed(caller, moment) if attempt else ():
        if review.get("claim_attempt") == attempt:
            return respond(200, {"review": summary_of(review, caller, moment)})
    after: str | None = ""
    for _ in range(MOST_PAGES):
        found, after = review_queues.page(policy.current(), caller, filters, after, CANDIDATES, moment, free_only=True)
        for review in found:
            try:
                # The index is behind the table, and others are faster: the table decides whose it is.
                claimed = claim(review, caller, moment, attempt)
            except Refused:
                continue
            logger.info("review claimed", review_id=claimed["review_id"], claimed_until=claimed["claimed_until"])
            return respond(200, {"review": summary_of(claimed, caller, moment)})
        if after is None:
            break
    return respond(200, {"review": None})
