"""What functions print becomes log events, and what they measure becomes metrics."""

from bulwark.local.logs.function_logs import FunctionLogs

__all__ = ["FunctionLogs"]
