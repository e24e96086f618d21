"""AwaitReviewer: puts a held answer into its queue, with the token that resumes the review."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import reviews_table, workflows
from adapters.clock import now
from adapters.dynamodb import ConditionFailed
from adapters.requests_table import DAY_SECONDS
from adapters.reviews_table import ReviewClosed
from domain.errors import ReviewNotHeld

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> None:
    review, moment = event["review"], now()
    expires_at = int(moment) + review["review_days"] * DAY_SECONDS
    try:
        reviews_table.open_for(review, event["tier"], event["task_token"], event["sla_seconds"], expires_at, moment)
    except ReviewClosed:
        # Somebody decided while the last token ran out: go straight on to their decision.
        workflows.resume_review(event["task_token"])
        logger.info("review decided already", review_id=review["review_id"])
        return
    except ConditionFailed as failed:
        raise ReviewNotHeld(review["review_id"]) from failed
    logger.info("review opened", review_id=review["review_id"], tier=event["tier"])
