"""CleanSegment: deletes what is over in one unit of a store, page by page, and says where to go on."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters.clock import now
from adapters.governance import expired_items, expired_objects
from domain.governance.retention import Deletion, Store, Tally, Unit

# What is left of the function's time when it leaves the rest to its next turn.
RESERVE_MILLISECONDS = 20_000

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    unit, cursor, tally = Unit.from_json(event["unit"]), event["cursor"], Tally.from_json(event["tally"])
    while True:
        tally, cursor = _clean_page(unit, cursor, tally, event["dry_run"])
        if not cursor or context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
            break
    logger.info(
        "segment cleaned",
        store=unit.store,
        segment=unit.segment,
        seen=tally.seen,
        deleted=sum(tally.deleted.values()),
        failures=tally.failures,
        done=not cursor,
    )
    return {"done": not cursor, "cursor": cursor, "tally": tally.to_json()}


def _clean_page(unit: Unit, cursor: str, tally: Tally, dry_run: bool) -> tuple[Tally, str]:
    read, delete = expired_items.page, expired_items.delete
    if unit.store == Store.PAYLOADS:
        read, delete = expired_objects.page, expired_objects.delete
    # Each page has its own moment, so that every night an item is met at about the same time of day.
    moment = now()
    page = read(unit, cursor, moment)
    deletion = Deletion() if dry_run else delete(unit, page.expired)
    return tally.after(page, deletion, moment), page.cursor
