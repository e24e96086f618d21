"""What is asked about a person from outside, an erasure or a hold: checked alike, whichever way it comes."""

import functools
from collections.abc import Callable, Collection

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import schemas
from adapters.schemas import SchemaViolated
from domain.characters import is_blank
from domain.governance.holds import Standing
from domain.requests import RequestRefused, check_text, invalid

# A reason is a line for the audit log; who gives it is an ARN at most.
_MOST_CHARACTERS = {"reason": 500, "by": 2048, "cursor": 2048}

logger = Logger(child=True)

Handler = Callable[[dict, LambdaContext], dict]


def check_tenant(named: object, tenants: Collection[str]) -> None:
    """Refuse, with a LookupError, a tenant that is none of the policy's."""
    if named not in tenants:
        raise LookupError("tenant is not one of the policy's")


def checked(tenants: Callable[[], Collection[str]] | None = None) -> Callable[[Handler], Handler]:
    """Make a handler of holds refuse what an erasure's event would be refused for: no schema stands before its call.

    Without `tenants`, whoever was held by a tenant that the policy no longer has can be let go.
    """

    def around(function: Handler) -> Handler:
        @functools.wraps(function)
        def handler(event: dict, context: LambdaContext) -> dict:
            try:
                _check_hold(event)
                if tenants is not None:
                    check_tenant(event["tenant"], tenants())
            except (SchemaViolated, RequestRefused, LookupError) as refusal:
                # The message names a field, and no value: the event holds a person's name.
                logger.error("hold refused", reason=str(refusal))
                return {"standing": Standing.REFUSED, "refused": str(refusal), "done": True}
            return function(event, context)

        return handler

    return around


def _check_hold(event: dict) -> None:
    subject = {"tenant": event.get("tenant"), "subject_id": event.get("subject_id")}
    schemas.check_event("ErasureRequested", subject | {"reason": "HOLD", "requested_by": "operator"})
    for field, most in _MOST_CHARACTERS.items():
        text = event.get(field, "")
        if not isinstance(text, str) or len(text) > most:
            raise invalid(field, f"must be a text of at most {most} characters")
        if field != "cursor" and is_blank(text):
            raise invalid(field, "is blank")
        check_text(text, field)
