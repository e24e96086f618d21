"""SearchStore: looks for a subject in a store that was erased, as far as its time goes."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import account
from adapters.governance import erasures_table
from adapters.governance.erasers import by_store, cases

RESERVE_MILLISECONDS = 15_000

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    store = event["store"]
    case = cases.open_case(event["erasure_id"], account.own(context))
    progress = by_store.search(store, case, lambda: context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS)
    if progress.position is not None:
        so_far = {"position": progress.position, "found": progress.count}
        erasures_table.change(case.erasure_id, **{by_store.searched(store): so_far})
    logger.info("store searched", erasure_id=case.erasure_id, store=store, found=progress.count, done=progress.done)
    return {
        "store": store,
        "found": progress.count,
        "done": progress.done,
        "wait_seconds": progress.wait_seconds,
    }
