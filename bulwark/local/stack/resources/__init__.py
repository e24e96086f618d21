"""How each type of resource is created; a type that is not here stops the start.

A handler takes what it handles itself from the properties and hands the rest to the API, whose own model refuses
what it does not know. `without` names what changes nothing on one machine.
"""

from bulwark.local.stack.loading import Handler
from bulwark.local.stack.resources import (
    apis,
    configuration,
    data,
    functions,
    identity,
    messaging,
    models,
    nested,
    observability,
    orchestration,
)

HANDLERS: dict[str, Handler] = {
    **apis.HANDLERS,
    **configuration.HANDLERS,
    **data.HANDLERS,
    **functions.HANDLERS,
    **identity.HANDLERS,
    **messaging.HANDLERS,
    **models.HANDLERS,
    **nested.HANDLERS,
    **observability.HANDLERS,
    **orchestration.HANDLERS,
}

__all__ = ["HANDLERS"]
