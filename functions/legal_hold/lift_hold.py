"""LiftHold: gives all that is held of a subject its end back, and then lifts the hold; called again while not done."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import subject_keys
from adapters.clock import now
from adapters.governance import asking, audit_notes, erasures_table, legal_holds
from domain.governance.holds import Standing

# What is left of the function's time when it leaves the rest to the next call.
RESERVE_MILLISECONDS = 15_000

logger = Logger()


@logger.inject_lambda_context
@asking.checked()
def handler(event: dict, context: LambdaContext) -> dict:
    """Takes tenant, subject_id, reason, by (who), and the cursor that the call before gave."""
    moment = now()
    ref = subject_keys.subject_ref(event["tenant"], event["subject_id"])
    item = subject_keys.begin_lift(ref, event["by"], event["reason"], moment)
    if item is None:
        return {"standing": Standing.NOT_HELD, "subject_ref": ref, "done": True}
    _note(ref, item["hold"], moment)
    progress = legal_holds.release(
        ref, event.get("cursor", ""), moment, lambda: context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS
    )
    if not progress.cursor:
        subject_keys.lift(ref, item["hold"])
        # Should this process die here, the erasure looks for itself within a day.
        erasures_table.go_on(ref)
    logger.info("hold lifted", subject_ref=ref, **progress.to_json() | {"cursor": bool(progress.cursor)})
    return {"standing": Standing.LIFTED, "subject_ref": ref, "done": not progress.cursor, **progress.to_json()}


def _note(ref: str, hold: dict, moment: float) -> None:
    """Under the lifting's own name: a call that comes again notes nothing twice."""
    lifting = hold["lifting"]
    note_id = f"hold-lifted-{ref}-{lifting['at']}"
    audit_notes.leave("HOLD_LIFTED", lifting["by"], moment, note_id, subject_ref=ref, held_since=hold["at"])
