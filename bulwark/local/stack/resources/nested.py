"""A stack within the stack, loaded from the local template that it names."""

from pathlib import Path

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.stack.loading import Created, Making, Stack
from bulwark.local.stack.template import TemplateError


def stack(making: Making) -> Created:
    path = Path(making.take("TemplateURL"))
    if not path.is_file():
        raise TemplateError(f"TemplateURL is not a local file: {path}")
    making.without("Tags", "TimeoutInMinutes", "NotificationARNs")
    parameters = making.take("Parameters") or {}
    making.finish()
    outer = making.stack
    inner = Stack(
        path,
        f"{outer.name}-{making.logical_id}",
        outer.clients,
        outer.handlers,
        outer.surroundings,
        parameters,
        outer.exports,
    )
    outer.nested[making.logical_id] = inner
    inner.create()
    arn = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{inner.name}/local"
    return Created(arn, {f"Outputs.{name}": value for name, value in inner.outputs.items()})


HANDLERS = {"AWS::CloudFormation::Stack": stack}
