"""Step Functions for the embedded AWS: moto's interpreter, and a module for each of its gaps."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from bulwark.local.moto_names import MOTO_VERSION, MotoChanged


def install(client_factory: Callable[[str], Any]) -> None:
    """Bridge moto's gaps in this process; executions call AWS with what `client_factory(service)` makes.

    The clients need `Config(parameter_validation=False, retries={"total_max_attempts": 1},
    inject_host_prefix=False)`, a long `read_timeout` and a pool of a hundred connections.
    A name of moto's that no longer exists raises MotoChanged, with moto's version.
    """
    try:
        from bulwark.local.stepfunctions import (
            definitions,
            errors,
            executions,
            expressions,
            limits,
            map_runs,
            service_calls,
            states,
            task_tokens,
            waiting,
        )
    except ImportError as error:
        raise MotoChanged(
            f"moto {version('moto')} lacks what local/stepfunctions takes from moto {MOTO_VERSION}: {error}"
        ) from error

    service_calls.use_clients(client_factory)
    if definitions.is_installed():
        return
    for bridge in (
        service_calls,
        waiting,
        expressions,
        definitions,
        limits,
        map_runs,
        task_tokens,
        states,
        errors,
        executions,
    ):
        bridge.install()


def stop(seconds: float = 2) -> None:
    """End every execution, so that none goes on in a cloud that is started later."""
    from bulwark.local.stepfunctions import executions

    executions.stop_all(seconds)


def flush_logs() -> None:
    """Deliver the log lines of executions now; they arrive by themselves within a tenth of a second."""
    from bulwark.local.stepfunctions import execution_log

    execution_log.flush()
