"""RecordDecision: gives a held request its end, by the stored decision or by the policy's word on silence."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import reviews_table
from adapters.clock import now
from domain.reviews import ReviewStatus, rule_on

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    review_id, moment = event["review_id"], now()
    review = reviews_table.find(review_id) or {}
    if review.get("status") not in (ReviewStatus.DECIDED, ReviewStatus.LAPSED):
        review = reviews_table.lapse(review_id, event["on_silence"], moment)

    lapsed = review["status"] == ReviewStatus.LAPSED
    ruling = rule_on(review["decision"], review.get("tier", "reviewer"), lapsed)
    ended = reviews_table.close_request(review, event["request_key"], ruling, moment)
    logger.info(
        "decision recorded" if ended else "decision stood already",
        review_id=review_id,
        decision=review["decision"],
        decided_by=ruling.decided_by,
    )
    return {"status": ruling.status}
