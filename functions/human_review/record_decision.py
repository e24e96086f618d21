"""RecordDecision: gives a review its end, by the stored decision or by the policy's word on silence, and counts it."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters.clock import now
from adapters.reviews import reviews_table
from domain.reviews.review import Next, ReviewStatus

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    moment = now()
    known = {"review_id": event["review_id"], "kind": event["kind"]}
    review = reviews_table.end_in_silence(known, event["on_silence"], moment)
    if review["status"] == ReviewStatus.ANSWERED:
        # A verdict was given while the token ran out: it is for the next tier, and not for silence.
        return {"status": review["status"], "next": review["next"]}
    ended = reviews_table.close(review, event["request_key"], moment)
    logger.info(
        "decision recorded" if ended else "decision stood already",
        review_id=event["review_id"],
        decision=review["decision"],
        status=review["status"],
    )
    return {"status": review["status"], "next": Next.DONE}
