"""Lambda on a laptop: a small Runtime API and real awslambdaric workers."""

from local.functions.asynchronous import AsynchronousInvocations
from local.functions.host import FunctionHost
from local.functions.specification import Function

__all__ = ["AsynchronousInvocations", "Function", "FunctionHost"]
