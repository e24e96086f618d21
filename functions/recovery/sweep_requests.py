"""SweepRequests: ends every claim past its deadline and finishes every review that a dead process left."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import requests_table, workflows
from adapters.clock import epoch, iso, now
from adapters.dynamodb import ConditionFailed, as_json, transact
from adapters.requests_table import REVIEW_START_SECONDS
from adapters.reviews import reviews_table
from adapters.reviews.reviews_table import LAPSE_SECONDS
from domain.requests import Reason, Status
from domain.reviews.decisions import Decision
from domain.reviews.review import ReviewStatus

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
    return _sweep_review(record, moment) if "sweep" in record else None


def _sweep_review(record: dict, moment: float) -> str | None:
    """A request under review is due when the review did not open, was decided but not resumed, or outlived its time."""
    planned, request_key = as_json(record["review"]), record["request_key"]
    review = reviews_table.find(planned["review_id"])
    status = review["status"] if review else None
    if status in (ReviewStatus.DECIDED, ReviewStatus.ANSWERED):
        if workflows.resume_review(review["task_token"], review["next"]):
            _look_again(request_key, moment + LAPSE_SECONDS)
            return "reviews_resumed"
    # A workflow that runs is on its way to the next tier; one that never began is started.
    if status in (None, ReviewStatus.ANSWERED) and workflows.start_review(planned):
        _look_again(request_key, moment + REVIEW_START_SECONDS)
        return "reviews_started"
    if status == ReviewStatus.OPEN and epoch(review["due_at"]) + LAPSE_SECONDS > moment:
        # It came to its next tier meanwhile, and this look was put off less far than its people need.
        _look_again(request_key, epoch(review["due_at"]) + LAPSE_SECONDS)
        return None
    # The execution is gone, and nobody can answer it: an answer nobody looked at is not let out.
    review = reviews_table.end_in_silence(planned, Decision.REJECT, moment, abandoned=review)
    if review["status"] not in (ReviewStatus.DECIDED, ReviewStatus.LAPSED):
        return None
    return "reviews_lapsed" if reviews_table.close(review, request_key, moment) else None


def _look_again(request_key: str, at: float) -> None:
    try:
        transact([requests_table.move_sweep(request_key, at)])
    except ConditionFailed:
        pass  # it ended meanwhile
