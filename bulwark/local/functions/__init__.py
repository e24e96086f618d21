"""Lambda on a laptop: a small Runtime API and real awslambdaric workers."""

from bulwark.local.functions.asynchronous import AsynchronousInvocations
from bulwark.local.functions.host import FunctionHost
from bulwark.local.functions.specification import Function

__all__ = ["AsynchronousInvocations", "Function", "FunctionHost"]
