"""PlanRetention: cuts every store into units, each of which one child of the run goes through."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters.clock import iso, now
from adapters.governance import expired_items, expired_objects
from domain.governance.retention import TABLES, objects_of, segments_of

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    today = iso(now())[:10]
    units = [unit for store in TABLES for unit in segments_of(store, expired_items.count(store))]
    units += objects_of(expired_objects.days(int(today[:4])), today)
    logger.info("retention planned", units=len(units))
    return {"units": [unit.to_json() for unit in units]}
