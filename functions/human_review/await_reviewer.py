"""AwaitReviewer: puts a review into its queue, with the token that resumes its workflow."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import requests_table, workflows
from adapters.clock import now
from adapters.reviews import reviews_table
from domain.reviews.tiers import MovedOn

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> None:
    review, tier, token, moment = event["review"], event["tier"], event["task_token"], now()
    request = requests_table.find(review["request_key"]) or {}
    try:
        reviews_table.open_for(review, tier, token, event["sla_seconds"], request, moment)
    except MovedOn as moved:
        # Somebody gave a verdict while the last token ran out: go straight on to where that leads.
        workflows.resume_review(token, moved.next)
        logger.info("review moved on already", review_id=review["review_id"], next=moved.next)
        return
    logger.info("review opened", review_id=review["review_id"], tier=tier)
