"""AwaitLift: keeps the token by which the lifting of a legal hold resumes an erasure at once."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import subject_keys, workflows
from adapters.governance import erasures_table

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> None:
    token, erasure_id = event["task_token"], event["erasure_id"]
    erasures_table.change(erasure_id, task_token=token)
    # Whoever lifts the hold reads the token afterwards; lifted just before it was kept, it is for us to see.
    if not subject_keys.is_held(subject_keys.find(event["subject_ref"]) or {}):
        workflows.resume(token, {})
    logger.info("erasure waits for a hold to be lifted", erasure_id=erasure_id)
