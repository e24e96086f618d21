"""SearchStore: looks for a subject in a store that was erased."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import erasers

RESERVE_MILLISECONDS = 15_000

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    store = event["store"]
    case = erasers.open_case(event["erasure_id"], context.invoked_function_arn.split(":")[4])
    progress = erasers.search(store, case, lambda: context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS)
    logger.info("store searched", erasure_id=case.erasure_id, store=store, found=progress.count, done=progress.done)
    return {
        "store": store,
        "found": progress.count,
        "done": progress.done,
        "wait_seconds": progress.wait_seconds,
    }
