"""EraseStore: takes a subject out of one store, as far as its time goes."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import account
from adapters.governance import erasures_table
from adapters.governance.erasers import by_store, cases

# What is left of the function's time when it leaves the rest to its next run.
RESERVE_MILLISECONDS = 15_000

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    """Gives `done`, and where it is not, when to come again."""
    store = event["store"]
    case = cases.open_case(event["erasure_id"], account.own(context))
    progress = by_store.erase(store, case, lambda: context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS)
    erasures_table.advance(case.erasure_id, store, progress.position, progress.count)
    logger.info("store erased", erasure_id=case.erasure_id, store=store, erased=progress.count, done=progress.done)
    return {"done": progress.done, "wait_seconds": progress.wait_seconds}
