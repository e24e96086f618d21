"""Bridge: moto limits neither an execution's input, nor a task's arguments, nor the length of a history.

256 KiB of UTF-8 for the input of an execution, the arguments and the result of a task, and the output of a
state; 25,000 events for the history of a Standard execution. moto has closed the gap when StartExecution
refuses an input of 262,145 bytes and a task with such arguments ends in States.DataLimitExceeded.
"""

import json
from typing import Any, NoReturn

from moto.stepfunctions.exceptions import ValidationException
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from bulwark.local.moto_names import replace

MAX_DATA_BYTES = 262_144
MAX_HISTORY_EVENTS = 25_000

_components = "moto.stepfunctions.parser.asl.component"


def check_request(field: str, text: str) -> None:
    """Refuse a request whose JSON text is longer than the service takes."""
    if _bytes(text) > MAX_DATA_BYTES:
        raise ValidationException(
            f"1 validation error detected: Value at '{field}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_DATA_BYTES}"
        )


def check_data(task: Any, env: Any, value: Any, what: str = "returned a result") -> None:
    """Raise States.DataLimitExceeded for a value that no state may hold."""
    if _bytes(to_json(value)) > MAX_DATA_BYTES:
        cause = f"The state/task '{task.name}' {what} with a size exceeding the maximum number of bytes service limit."
        fail_state(env, StatesErrorNameType.StatesStatesDataLimitExceeded, cause)


def fail_state(env: Any, error_type: StatesErrorNameType, cause: str) -> NoReturn:
    """Raise one of Step Functions' own errors in the current state."""
    error = StatesErrorName(typ=error_type)
    raise FailureEventException(
        FailureEvent(
            env=env,
            error_name=error,
            event_type=HistoryEventType.TaskFailed,
            event_details=EventDetails(
                taskFailedEventDetails=TaskFailedEventDetails(error=error.error_name, cause=cause)
            ),
        )
    )


def to_json(value: Any) -> str:
    """JSON as Step Functions writes and counts it: compact, and not escaped to ASCII."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _verify_size(self: Any, env: Any, value: Any) -> None:
    check_data(self, env, value)


def install() -> None:
    """Count bytes as AWS does."""
    service = f"{_components}.state.exec.state_task.service.state_task_service"
    replace(f"{_components}.state.state:CommonStateField._verify_size_quota", _verify_size)
    replace(f"{service}:StateTaskService._verify_size_quota", _verify_size)
