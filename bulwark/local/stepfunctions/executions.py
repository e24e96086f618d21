"""Bridge: moto's executions know neither Express, nor synchronous starts, nor unique names, nor aliases.

Unnamed executions share one ARN there, each start copies the machine and scans all earlier executions, two
starts at once can both win, and StopExecution does not reach a waiting task. Here an Express execution leaves
nothing behind when it ends. moto has closed the gap when `start_sync_execution` is a method of its
StepFunctionResponse and two unnamed executions have different ARNs.
"""

import json
import logging
import random
import threading
import time
import uuid
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import (
    AWSError,
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidArn,
    InvalidExecutionInput,
    StateMachineDoesNotExist,
)
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.eval.evaluation_details import EvaluationDetails, ExecutionDetails
from moto.stepfunctions.parser.backend.execution import Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from bulwark.local.moto_names import replace
from bulwark.local.retained import Retained
from bulwark.local.stepfunctions import definitions, limits
from bulwark.local.stepfunctions.execution_log import History
from bulwark.local.stepfunctions.states import iso_time
from bulwark.local.stepfunctions.waiting import Run, start
from bulwark.rules import NotJson, read_json

EXPRESS_SECONDS = 300
_STOP_SECONDS = 2

_backend = "moto.stepfunctions.parser.models:StepFunctionsParserBackend"
_responses = "moto.stepfunctions.responses:StepFunctionResponse"
_INCLUDED = {"included": True}
_starting = threading.Lock()
# One for all: an event of its own would be a twentieth of an execution.
_ending = threading.Condition()
logger = logging.getLogger(__name__)


class StateMachineTypeNotSupported(AWSError):
    TYPE = "StateMachineTypeNotSupported"
    STATUS = 400


@dataclass(frozen=True)
class Revision:
    """A machine as it was when an execution started."""

    arn: str
    name: str
    definition: str
    role_arn: str
    sm_type: str
    logging: dict[str, Any]
    update_date: datetime


class _Worker(ExecutionWorker):
    def __init__(self, history: History, **details: Any):
        super().__init__(cloud_watch_logging_session=None, activity_store={}, **details)
        self._history = history

    def _get_evaluation_environment(self) -> Any:
        env = super()._get_evaluation_environment()
        env.event_manager = self._history
        return env


class EmbeddedExecution(Execution):
    """One execution, run by whoever calls `work`."""

    def __init__(self, backend: Any, machine: Revision, arn: str, name: str, text: str):
        super().__init__(
            name=name,
            sm_type=machine.sm_type,
            role_arn=machine.role_arn,
            exec_arn=arn,
            account_id=backend.account_id,
            region_name=backend.region_name,
            state_machine=machine,
            start_date=datetime.now(UTC),
            cloud_watch_logging_session=None,
            activity_store={},
            input_data=text,
        )
        self.input_details = self.output_details = _INCLUDED
        self.exec_status = ExecutionStatus.RUNNING
        self.run = Run(_timeout_seconds(machine))
        self.history = History(self.run, arn, machine)
        self.is_over = False
        _made.add(self)

    @property
    def execution_input(self) -> str:
        return self._input.to_json()

    @execution_input.setter
    def execution_input(self, text: str) -> None:
        self._input = Retained(text)

    @property
    def input_data(self) -> Any:
        return json.loads(self.execution_input)

    @input_data.setter
    def input_data(self, _: Any) -> None:
        """As moto sets it, of the same text."""

    @property
    def status(self) -> str:
        """RUNNING until everything about the end is known."""
        return (self.exec_status if self.is_over else ExecutionStatus.RUNNING).value

    def work(self) -> None:
        """Interpret the machine to its end."""
        self.run.begin()
        self.exec_worker = _Worker(
            self.history,
            evaluation_details=EvaluationDetails(
                aws_execution_details=self._get_start_aws_execution_details(),
                execution_details=self.get_start_execution_details(),
                state_machine_details=self.get_start_state_machine_details(),
            ),
            exec_comm=self._get_start_execution_worker_comm(),
        )
        try:
            self.exec_worker._execution_logic()
            if self.exec_status == ExecutionStatus.SUCCEEDED:
                self.output = limits.to_json(self.output)
            elif self.exec_status == ExecutionStatus.TIMED_OUT:
                self.error = "States.Timeout"
        except Exception as error:
            logger.exception("the interpreter broke down in %s", self.exec_arn)
            self.exec_status, self.error, self.cause = ExecutionStatus.FAILED, "States.Runtime", repr(error)
            self.stop_date = datetime.now(UTC)
        # The interpreter's state is no longer needed, and a Standard execution is kept for its history.
        self.exec_worker = None
        with _ending:
            self.is_over = True
            _ending.notify_all()

    def stop(self, stop_date: datetime, error: str | None, cause: str | None) -> None:
        """End the execution as ABORTED, whatever it waits for."""
        if not self.is_over:
            self.error, self.cause = error, cause
            self.run.stop(error, cause, stop_date)
            self.await_end(_STOP_SECONDS)

    def await_end(self, seconds: float) -> None:
        """Wait until everything about the end is known, or the time is up."""
        with _ending:
            _ending.wait_for(lambda: self.is_over, seconds)

    def get_start_execution_details(self) -> ExecutionDetails:
        """moto's own, with the start time as the context object shows it."""
        details = super().get_start_execution_details()
        details.start_time = iso_time(self.start_date)
        return details

    def outcome(self) -> dict[str, Any]:
        """What DescribeExecution and StartSyncExecution both tell."""
        told = {
            "executionArn": self.exec_arn,
            "stateMachineArn": self.state_machine.arn,
            "name": self.name,
            "status": self.status,
            "startDate": self.start_date,
            "stopDate": self.stop_date,
            "input": self.execution_input,
            "inputDetails": {"included": True},
            "error": self.error,
            "cause": self.cause,
        }
        if self.status == ExecutionStatus.SUCCEEDED:
            told |= {"output": self.output, "outputDetails": {"included": True}}
        return {name: value for name, value in told.items() if value is not None}


# Express executions stand in no list of moto's; those that are over vanish from here by themselves.
_made: weakref.WeakSet[EmbeddedExecution] = weakref.WeakSet()


def stop_all(seconds: float) -> None:
    """End every execution that has not ended, and wait a while for their threads."""
    left = [execution for execution in list(_made) if not execution.is_over]
    for execution in left:
        execution.run.stop(None, "the embedded AWS was stopped", datetime.now(UTC))
    until = time.monotonic() + seconds
    for execution in left:
        execution.await_end(max(0.0, until - time.monotonic()))


def find_machine(backend: Any, arn: str) -> Revision:
    """The machine, version or alias that an ARN names, frozen."""
    backend._validate_machine_arn(arn)
    parts = arn.split(":")
    base_arn, qualifier = ":".join(parts[:7]), ":".join(parts[7:])
    machine = next((machine for machine in backend.state_machines if machine.arn == base_arn), None)
    source = _qualified(machine, qualifier) if machine and qualifier else machine
    if source is None:
        raise StateMachineDoesNotExist(f"State Machine Does Not Exist: '{arn}'")
    return Revision(
        arn=machine.arn,
        name=machine.name,
        definition=source.definition,
        role_arn=source.roleArn,
        sm_type=machine.type,
        logging=source.loggingConfiguration,
        update_date=source.update_date,
    )


def find_execution(backend: Any, execution_arn: str) -> EmbeddedExecution:
    """A Standard execution; an Express one cannot be asked about, as on AWS."""
    parts = execution_arn.split(":")
    if len(parts) > 5 and parts[5] != "execution":
        raise InvalidArn(f"Invalid Arn: 'Resource type not valid in this context: {parts[5]}'")
    backend._validate_execution_arn(execution_arn)
    for machine in backend.state_machines:
        if machine.name == parts[6] and execution_arn in _executions_of(machine):
            return _executions_of(machine)[execution_arn]
    raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{execution_arn}'")


def _qualified(machine: Any, qualifier: str) -> Any:
    if qualifier.isdigit():
        return machine.versions.get(int(qualifier))
    alias = machine.aliases.get(qualifier)
    if alias is None:
        return None
    routes = alias.routing_configuration
    route = random.choices(routes, weights=[route["weight"] for route in routes])[0]
    return machine.versions.get(int(route["stateMachineVersionArn"].rpartition(":")[2]))


def _executions_of(machine: Any) -> dict[str, EmbeddedExecution]:
    return machine.__dict__.setdefault("executions_by_arn", {})


def _timeout_seconds(machine: Revision) -> float | None:
    own = definitions.parse(machine.definition)[0].timeout_seconds
    seconds = own.timeout_seconds if own else None
    return min(seconds or EXPRESS_SECONDS, EXPRESS_SECONDS) if machine.sm_type == "EXPRESS" else seconds


def _check_input(text: str) -> None:
    limits.check_request("input", text)
    try:
        read_json(text)
    except NotJson as error:
        raise InvalidExecutionInput(f"Invalid State Machine Execution Input: 'it {error}'") from error


def _new_execution(backend: Any, machine: Revision, name: str | None, text: str) -> EmbeddedExecution:
    _check_input(text)
    if name is not None:
        backend._validate_name(name)
    name = name or str(uuid.uuid4())
    kind = "express" if machine.sm_type == "EXPRESS" else "execution"
    arn = machine.arn.replace(":stateMachine:", f":{kind}:") + f":{name}"
    if kind == "express":
        arn += f":{uuid.uuid4()}"
    return EmbeddedExecution(backend, machine, arn, name, text)


def _start_execution(
    self: Any,
    state_machine_arn: str,
    name: str | None = None,
    execution_input: str | None = None,
    trace_header: str | None = None,
) -> EmbeddedExecution:
    machine = find_machine(self, state_machine_arn)
    execution = _new_execution(self, machine, name, execution_input or "{}")
    if machine.sm_type == "EXPRESS":
        start(machine.definition, machine.sm_type, execution.work)
        return execution
    with _starting:
        owner = next(owner for owner in self.state_machines if owner.arn == machine.arn)
        executions = _executions_of(owner)
        earlier = executions.get(execution.exec_arn)
        if earlier is None:
            executions[execution.exec_arn] = execution
            owner.executions.append(execution)
            start(machine.definition, machine.sm_type, execution.work)
            return execution
    same_input = earlier.execution_input == execution.execution_input
    if earlier.status == ExecutionStatus.RUNNING and same_input:
        return earlier
    raise ExecutionAlreadyExists(f"Execution Already Exists: '{execution.exec_arn}'")


def _start_sync_execution(self: Any) -> ActionResult:
    backend = self.stepfunction_backend
    machine = find_machine(backend, self._get_param("stateMachineArn"))
    if machine.sm_type != "EXPRESS":
        raise StateMachineTypeNotSupported("This operation is not supported by this type of state machine")
    text = self._get_param("input", if_none="{}")
    execution = _new_execution(backend, machine, self._get_param("name"), text)
    execution.work()
    return ActionResult(execution.outcome())


def _execution_asked_for(self: Any) -> EmbeddedExecution:
    return find_execution(self.stepfunction_backend, self._get_param("executionArn"))


def _describe_execution(self: Any) -> ActionResult:
    return ActionResult(_execution_asked_for(self).outcome())


def _describe_machine_for_execution(self: Any) -> ActionResult:
    machine = _execution_asked_for(self).state_machine
    return ActionResult(
        {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "definition": machine.definition,
            "roleArn": machine.role_arn,
            "updateDate": machine.update_date,
            "loggingConfiguration": machine.logging,
        }
    )


def _stop_execution(self: Any) -> ActionResult:
    execution = _execution_asked_for(self)
    execution.stop(datetime.now(UTC), self._get_param("error"), self._get_param("cause"))
    return ActionResult({"stopDate": execution.stop_date or datetime.now(UTC)})


def _get_execution_history(self: Any) -> ActionResult:
    include_data = self._get_param("includeExecutionData", if_none=True)
    events = _execution_asked_for(self).history.events(include_data)
    if self._get_param("reverseOrder"):
        events.reverse()
    start = int(self._get_param("nextToken", if_none="0"))
    end = start + (self._get_param("maxResults") or 100)
    page = {"events": events[start:end]}
    return ActionResult(page | {"nextToken": str(end)} if end < len(events) else page)


def _list_executions(moto_list_executions: Any, self: Any) -> ActionResult:
    if find_machine(self.stepfunction_backend, self._get_param("stateMachineArn")).sm_type == "EXPRESS":
        raise StateMachineTypeNotSupported("This operation is not supported by this type of state machine")
    return moto_list_executions(self)


def _create_machine(moto_create: Any, self: Any, name: str, definition: str, *args: Any, **more: Any) -> Any:
    definitions.validate(definition, more.get("sm_type") or "STANDARD")
    return moto_create(self, name, definition, *args, **more)


def _update_machine(moto_update: Any, self: Any, arn: str, definition: str | None = None, **more: Any) -> Any:
    if definition is not None:
        definitions.validate(definition, find_machine(self, arn).sm_type)
    return moto_update(self, arn, definition, **more)


def _wrap(target: str, wrapper: Any) -> None:
    own: list[Any] = []
    own.append(replace(target, lambda self, *args, **more: wrapper(own[0], self, *args, **more)))


def install() -> None:
    """Take over the life of executions."""
    replace(
        "moto.stepfunctions.responses:get_backend",
        lambda account, region: stepfunctions_parser_backends[account][region],
    )
    replace(f"{_backend}.start_execution", _start_execution)
    replace(f"{_backend}.describe_execution", find_execution)
    _wrap(f"{_backend}.create_state_machine", _create_machine)
    _wrap(f"{_backend}.update_state_machine", _update_machine)
    _wrap(f"{_responses}.list_executions", _list_executions)
    replace(f"{_responses}.describe_execution", _describe_execution)
    replace(f"{_responses}.describe_state_machine_for_execution", _describe_machine_for_execution)
    replace(f"{_responses}.stop_execution", _stop_execution)
    replace(f"{_responses}.get_execution_history", _get_execution_history)
    # A call that moto's class does not have: there is nothing to replace.
    from moto.stepfunctions.responses import StepFunctionResponse

    StepFunctionResponse.start_sync_execution = _start_sync_execution
