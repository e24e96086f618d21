"""Gap of moto 5.2: a function's output reaches CloudWatch Logs only from a Docker container.

Bridged: each line a worker writes is an event in the function's log group, in the worker's own stream. moto has
closed the gap when it can run functions without Docker.
"""

import threading
import time

from moto.logs import logs_backends

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.functions.specification import Function
from bulwark.local.logs.embedded_metrics import EmbeddedMetrics
from bulwark.local.moto_names import require


class FunctionLogs:
    """Called with a function, the worker's stream and a line."""

    def __init__(self) -> None:
        require(
            "moto.logs.models:LogsBackend.ensure_log_group",
            "moto.logs.models:LogsBackend.ensure_log_stream",
            "moto.logs.models:LogsBackend.put_log_events",
        )
        self._metrics = EmbeddedMetrics()
        self._lock = threading.Lock()

    def __call__(self, function: Function, stream: str, line: str) -> None:
        group = function.log_group
        event = {"timestamp": int(time.time() * 1000), "message": line}
        backend = logs_backends[ACCOUNT][REGION]
        with self._lock:
            backend.ensure_log_group(group)
            backend.ensure_log_stream(group, stream)
            backend.put_log_events(group, stream, [event])
        self._metrics.read(line)
