"""SetHold: holds all that is kept of a subject, until the hold is lifted; called again while it is not done."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import policy, subject_keys
from adapters.clock import now
from adapters.governance import asking, audit_notes, legal_holds
from domain.governance.holds import Standing

# What is left of the function's time when it leaves the rest to the next call.
RESERVE_MILLISECONDS = 15_000

logger = Logger()


@logger.inject_lambda_context
@asking.checked(tenants=lambda: policy.current().tenants)
def handler(event: dict, context: LambdaContext) -> dict:
    """Takes tenant, subject_id, reason, by (who), and the cursor that the call before gave."""
    moment, tenant = now(), event["tenant"]
    ref = subject_keys.subject_ref(tenant, event["subject_id"])
    item = subject_keys.hold(ref, tenant, event["by"], event["reason"], moment)
    standing = _standing(item)
    if standing is not Standing.HELD:
        return {"standing": standing, "subject_ref": ref, "done": True}
    _note(ref, item["hold"], moment)
    progress = legal_holds.apply(
        ref, event.get("cursor", ""), lambda: context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS
    )
    logger.info("hold applied", subject_ref=ref, **progress.to_json() | {"cursor": bool(progress.cursor)})
    return {
        "standing": standing,
        "subject_ref": ref,
        "hold": item["hold"],
        "done": not progress.cursor,
        **progress.to_json(),
    }


def _standing(item: dict) -> Standing:
    if not subject_keys.is_held(item):
        return Standing.BEING_ERASED
    return Standing.BEING_LIFTED if "lifting" in item["hold"] else Standing.HELD


def _note(ref: str, hold: dict, moment: float) -> None:
    """Under the hold's own name: a call that comes again notes nothing twice."""
    audit_notes.leave("HOLD_SET", hold["by"], moment, f"hold-set-{ref}-{hold['at']}", subject_ref=ref)
