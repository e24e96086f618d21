"""SweepRequests: ends every claim past its deadline and finishes every review that a dead process left."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import requests_table, reviews_table, workflows
from adapters.clock import iso, now
from adapters.dynamodb import ConditionFailed, transact
from adapters.requests_table import REVIEW_START_SECONDS
from adapters.reviews_table import LAPSE_SECONDS
from domain.requests import Reason, Status
from domain.reviews import Decision, ReviewStatus, rule_on

# What is left of the function's time when it leaves the rest to the next minute's run.
RESERVE_MILLISECONDS = 10_000
DEADLINE_MESSAGE = "No answer came before the request's deadline. Send the request again under a new request_id."

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    """Looks at every request that is due; `now` in the event (epoch seconds) stands for the clock in drills."""
    moment = event.get("now") or now()
    swept = {"ended": 0, "reviews_started": 0, "reviews_resumed": 0, "reviews_lapsed": 0, "failed": 0}
    for due in requests_table.due_for_sweep(moment):
        if context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
            break
        try:
            if done := _sweep(due["request_key"], moment):
                swept[done] += 1
        except Exception:
            # One bad record stops nothing; it stays due and is met again in a minute.
            logger.exception("request not swept", request_key=due["request_key"])
            swept["failed"] += 1
    logger.info("requests swept", **swept)
    return swept


def _sweep(request_key: str, moment: float) -> str | None:
    record = requests_table.find(request_key) or {}
    # The index is behind the table: what it calls due may have been put off since, and its people have their time.
    if record.get("sweep_at", 0) > moment:
        return None
    if record.get("status") == Status.ADMITTED:
        attributes = {"outcome_at": iso(moment), "reason": Reason.DEADLINE, "message": DEADLINE_MESSAGE}
        first = requests_table.record_outcome(request_key, record["in_flight_key"], Status.FAILED, attributes)
        return "ended" if first is None else None
    if record.get("status") == Status.HELD:
        return _sweep_review(record, moment)
    return None


def _sweep_review(record: dict, moment: float) -> str | None:
    """A held request is due when its review did not open, was decided but not resumed, or outlived its deadlines."""
    review_id, request_key = record["review_id"], record["request_key"]
    review = reviews_table.find(review_id)
    if review and review["status"] == ReviewStatus.DECIDED:
        if workflows.resume_review(review["task_token"]):
            _look_again(request_key, moment + LAPSE_SECONDS)
            return "reviews_resumed"
    elif review is None and workflows.start_review(requests_table.as_json(record["review"])):
        _look_again(request_key, moment + REVIEW_START_SECONDS)
        return "reviews_started"
    else:
        # The execution is gone, and nobody can answer it: an answer nobody looked at is not let out.
        review = reviews_table.lapse(review_id, Decision.REJECT, moment)
    ruling = rule_on(review["decision"], review.get("tier", "reviewer"), review["status"] == ReviewStatus.LAPSED)
    return "reviews_lapsed" if reviews_table.close_request(review, request_key, ruling, moment) else None


def _look_again(request_key: str, at: float) -> None:
    try:
        transact([requests_table.move_sweep(request_key, at)])
    except ConditionFailed:
        pass  # it ended meanwhile
