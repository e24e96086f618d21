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
    moment, wanted = now(), _read(event)
    review = _claimed_before(wanted, caller, moment) or _claim_next(wanted, caller, moment)
    return respond(200, {"review": summary_of(review, caller, moment) if review else None})


def _read(event: dict) -> dict[str, str]:
    """Which reviews are wanted, and the attempt that wants one."""
    body = body_of(event) if event.get("body") else {}
    if not isinstance(body, dict) or set(body) - FIELDS or not all(isinstance(v, str) for v in body.values()):
        raise invalid("body", f"may hold {', '.join(sorted(FIELDS))}, each a text")
    if "attempt" in body and not 0 < len(body["attempt"]) <= MAX_ATTEMPT:
        raise invalid("attempt", f"must be a text of 1 to {MAX_ATTEMPT} characters, another one for each claim")
    return body


def _claimed_before(wanted: dict[str, str], caller: Caller, moment: float) -> dict | None:
    """What the same attempt got: sent again since its answer was lost, that would be nobody's until it runs out."""
    if "attempt" not in wanted:
        return None
    mine = review_queues.claimed(caller, moment)
    return next((review for review in mine if review.get("claim_attempt") == wanted["attempt"]), None)


def _claim_next(wanted: dict[str, str], caller: Caller, moment: float) -> dict | None:
    after: str | None = ""
    for _ in range(MOST_PAGES):
        found, after = review_queues.page(policy.current(), caller, wanted, after, CANDIDATES, moment, free_only=True)
        if claimed := _claim_first(found, wanted.get("attempt"), caller, moment):
            return claimed
        if after is None:
            break
    return None


def _claim_first(found: list[dict], attempt: str | None, caller: Caller, moment: float) -> dict | None:
    for review in found:
        try:
            # The index is behind the table, and others are faster: the table decides whose it is.
            claimed = claim(review, caller, moment, attempt)
        except Refused:
            continue
        logger.info("review claimed", review_id=claimed["review_id"], claimed_until=claimed["claimed_until"])
        return claimed
    return None
