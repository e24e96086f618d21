"""What functions print becomes log events, and what they measure becomes metrics."""

from local.logs.function_logs import FunctionLogs

__all__ = ["FunctionLogs"]
