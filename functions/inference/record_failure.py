"""RecordFailure: records that no model of the chain gave an answer that could be used."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import policy, requests_table
from adapters.clock import iso, now
from domain.inference.answers import cost_of_chain, recorded_attempts
from domain.inference.usage import lines_of
from domain.outcomes import failure_of

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    rules = policy.current()
    request = event["request"]
    verdict = failure_of(event["attempts"])
    attributes = {
        "outcome_at": iso(now()),
        "reason": verdict.reason,
        "message": verdict.message,
        "attempts": recorded_attempts(event["attempts"]),
        "usage": lines_of(event["attempts"]),
        "cost_usd": cost_of_chain(rules.models, event["attempts"]),
        "policy_version": rules.version,
        "mode": request["mode"],
    }
    first = requests_table.record_outcome(request["request_key"], request["in_flight_key"], verdict.status, attributes)
    status = verdict.status if first is None else first.get("status")
    logger.info("request failed", request_id=request["request_id"], status=status, reason=verdict.reason)
    return {"status": status}
