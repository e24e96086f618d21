"""EndRequests: ends the requests of a subject that are being answered, and says how long their executions may go on."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import account
from adapters.clock import epoch, now
from adapters.governance.erasers import by_store, cases, endings
from domain.stores import ERASED_IN_ORDER

# The inference machine's own timeout: what was admitted so long ago writes nothing any more.
MACHINE_SECONDS = 240

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    case = cases.open_case(event["erasure_id"], account.own(context))
    by_store.search_anew(case)
    latest = endings.end_requests(case)
    wait = 0 if latest is None else max(0, round(epoch(latest) + MACHINE_SECONDS - now()) + 1)
    logger.info("requests ended", erasure_id=case.erasure_id, settle_seconds=wait)
    return {"settle_seconds": wait, "stores": list(ERASED_IN_ORDER)}
