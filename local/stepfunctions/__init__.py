"""Step Functions for the embedded AWS: moto's interpreter, with one module for each gap between it and AWS."""

from collections.abc import Callable
from typing import Any


def install(client_factory: Callable[[str], Any]) -> None:
    """Bridge moto's gaps in this process; `client_factory("bedrock-runtime")` makes the clients executions use.

    Raises MotoChanged, with moto's version, when a name that a bridge replaces no longer exists.
    """
    from local.stepfunctions import (
        definitions,
        errors,
        executions,
        expressions,
        limits,
        service_calls,
        states,
        task_tokens,
        waiting,
    )

    service_calls.install(client_factory)
    for bridge in (waiting, expressions, definitions, limits, task_tokens, states, errors, executions):
        bridge.install()


def flush_logs() -> None:
    """Deliver the log lines of executions now; they arrive by themselves within a tenth of a second."""
    from local.stepfunctions import execution_log

    execution_log.flush()
