"""ApplyHolds: applies every standing hold to what was written since, and ends every lift that a dead process left."""

from collections.abc import Callable

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import subject_keys
from adapters.clock import now
from adapters.governance import legal_holds
from adapters.governance.legal_holds import Progress
from domain.errors import HoldChanged

# What is left of the function's time when it leaves the rest to its next turn.
RESERVE_MILLISECONDS = 20_000

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    at, _, within = event["cursor"].partition("#")
    subjects = changed = 0

    def is_time_up() -> bool:
        return context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS

    for item in _held_from(at):
        ref = item["subject_ref"]
        if subjects and is_time_up():
            return {"cursor": f"{ref}#"}
        progress = _apply(item, within if ref == at else "", is_time_up)
        if progress is None:
            continue
        subjects += 1
        changed += progress.changed
        if progress.cursor:
            return {"cursor": f"{ref}#{progress.cursor}"}
    logger.info("holds applied", subjects=subjects, changed=changed)
    return {"cursor": ""}


def _held_from(ref: str) -> list[dict]:
    items = [item for item in subject_keys.held() if item["subject_ref"] >= ref]
    return sorted(items, key=lambda item: item["subject_ref"])


def _apply(item: dict, cursor: str, is_time_up: Callable[[], bool]) -> Progress | None:
    """Apply one hold, or end its lift; None where a person is at it just now, whose call goes through all of it."""
    ref = item["subject_ref"]
    try:
        if "lifting" not in item["hold"]:
            return legal_holds.apply(ref, cursor, is_time_up)
        progress = legal_holds.release(ref, cursor, now(), is_time_up)
        if not progress.cursor:
            subject_keys.lift(ref, item["hold"])
        return progress
    except HoldChanged:
        return None
