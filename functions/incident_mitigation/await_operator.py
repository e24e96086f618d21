"""AwaitOperator: keeps the token by which an operator's answer resumes a mitigation at once."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters.clock import now
from adapters.incidents import operator_tokens

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> None:
    operator_tokens.keep(event["incident_id"], event["task_token"], event["ask"], now())
    logger.info("operator asked", incident_id=event["incident_id"], ask=event["ask"])
