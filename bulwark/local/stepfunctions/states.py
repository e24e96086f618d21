"""Bridge: how a state ends, in moto, differs from AWS in what Retry and Catch can see.

On AWS an error in `Output` or `Assign`, and data that is too large, happen inside the state, where Retry and
Catch apply; States.ALL does not match States.DataLimitExceeded, and nothing matches States.Runtime. Times in
`$states.context` are ISO strings with milliseconds. moto has closed the gap when a Task whose `Output` fails
goes to its Catch, and `States.ALL` does not catch States.Runtime.
"""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.catch.catch_outcome import CatchOutcome
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry.retry_outcome import RetryOutcome
from moto.stepfunctions.parser.asl.component.state.exec.execute_state import ExecutionState
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from bulwark.local.moto_names import replace
from bulwark.local.stepfunctions import task_tokens
from bulwark.local.stepfunctions.expressions import commit_assignments, drop_assignments
from bulwark.local.stepfunctions.limits import check_data, fail_state
from bulwark.local.stepfunctions.waiting import Interrupted, run_of, start_task

_components = "moto.stepfunctions.parser.asl.component"
_OUTPUT_DONE = "bulwark:output done"


def iso_time(moment: datetime | None = None) -> str:
    """A time as the context object shows it."""
    moment = moment or datetime.now(UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _run_state(self: Any, env: Any) -> None:
    try:
        run_of(env).check()
        _enter_work_and_exit(self, env)
    except Interrupted:
        run_of(env).settle(env)
    except FailureEventException as error:
        failure = error.failure_event
        if failure.event_type == HistoryEventType.EvaluationFailed and not isinstance(self, ExecutionState):
            _add_event(env, failure.event_type, failure.event_details)
        raise
    finally:
        env.states.context_object.context_object_data.pop("Task", None)


def _enter_work_and_exit(self: Any, env: Any) -> None:
    _add_event(
        env,
        self.state_entered_event_type,
        EventDetails(stateEnteredEventDetails=self._get_state_entered_event_details(env=env)),
    )
    context = env.states.context_object.context_object_data
    context["State"] = {"EnteredTime": iso_time(), "Name": self.name}
    self._eval_state_input(env=env)
    self._eval_state(env)
    # What waited in threads of its own, as a map does for its children, was not woken by the end of its run.
    run_of(env).check()
    if not env.is_running():
        return
    self._eval_state_output(env=env)
    self._verify_size_quota(env=env, value=env.states._states_data["input"])
    commit_assignments(env)
    self._set_next(env)
    if self.state_exited_event_type is not None:
        exited = EventDetails(stateExitedEventDetails=self._get_state_exited_event_details(env=env))
        _add_event(env, self.state_exited_event_type, exited)


def _work_until_done(self: Any, env: Any) -> None:
    env.states.context_object.context_object_data["State"]["RetryCount"] = 0
    depth = len(env.stack)
    while env.is_running():
        try:
            _attempt(self, env)
            return
        except Exception as error:
            del env.stack[depth:]
            drop_assignments(env)
            known = isinstance(error, FailureEventException)
            failure = error.failure_event if known else self._from_error(env=env, ex=error)
        _add_event(env, failure.event_type, failure.event_details)
        env.states.set_error_output(_error_output(failure))
        if self.retry and self._handle_retry(env=env, failure_event=failure) == RetryOutcome.CanRetry:
            continue
        if self.catch:
            self._handle_catch(env=env, failure_event=failure)
            if env.stack[-1] == CatchOutcome.Caught:
                return
        self._handle_uncaught(env=env, failure_event=failure)


def _attempt(self: Any, env: Any) -> None:
    self.timeout.eval(env=env)
    start_task(env.stack.pop())
    token = task_tokens.issue(env) if getattr(getattr(self, "resource", None), "condition", None) else None
    try:
        self._eval_execution(env)
    finally:
        if token:
            task_tokens.close(env, token)
    if self._is_language_query_jsonpath():
        _transform_by_jsonpath(self, env)
        return
    env.states.set_result(env.stack[-1])
    if self.assign_decl:
        self.assign_decl.eval(env=env)
    if self.output:
        self.output.jsonata_template_value.eval(env=env)
    check_data(self, env, env.stack[-1])
    env.heap[_OUTPUT_DONE] = True


def _transform_by_jsonpath(self: Any, env: Any) -> None:
    for part in (self.assign_decl, self.result_selector, self.result_path):
        if part:
            part.eval(env=env)


def _output_of_work(self: Any, env: Any) -> None:
    if env.heap.pop(_OUTPUT_DONE, False):
        env.states.reset(input_value=env.stack.pop())
    elif not isinstance(env.stack[-1], CatchOutcome):
        CommonStateField._eval_state_output(self, env)


def _choose(self: Any, env: Any) -> None:
    for rule in self.choices_decl.rules:
        rule.eval(env)
        if env.stack.pop() is True:
            env.stack.append(rule.next_stmt.name)
            return
    if self.default_state is None:
        fail_state(env, StatesErrorNameType.StatesNoChoiceMatched, f"No rule of '{self.name}' matched.")
    for part in (self.assign_decl, self.output):
        if part:
            part.eval(env=env)
    env.stack.append(self.default_state.state_name)


def _leave_choice(self: Any, env: Any) -> None:
    next_state_name = env.stack.pop()
    if self._is_language_query_jsonpath():
        self.output_path.eval(env=env)
    env.next_state_name = next_state_name


def _error_output(failure: Any) -> dict[str, str]:
    details = next(iter(failure.event_details.values()))
    return {"Error": details.get("error") or "", "Cause": details.get("cause") or ""}


def _matches(self: Any, env: Any) -> None:
    error = env.stack.pop().error_name
    wanted = {name.error_name for name in self.error_names}
    if error == "States.Runtime":
        matches = False
    elif error == "States.DataLimitExceeded":
        matches = error in wanted
    else:
        by_wildcard = "States.ALL" in wanted or ("States.TaskFailed" in wanted and error != "States.Timeout")
        matches = by_wildcard or error in wanted
    env.stack.append(matches)


def _add_event(env: Any, event_type: HistoryEventType, details: EventDetails | None) -> None:
    env.event_manager.add_event(context=env.event_history_context, event_type=event_type, event_details=details)


def _copy_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy_json(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_copy_json(member) for member in value]
    return value


def _stay_silent(self: Any, *_: Any, **__: Any) -> None:
    """moto prints every component that a failure passes through; history tells it once."""


def install() -> None:
    """End states as AWS does."""
    work = f"{_components}.state.exec.execute_state:ExecutionState"
    component = f"{_components}.eval_component:EvalComponent"
    callback = f"{_components}.state.exec.state_task.service.state_task_service_callback"
    replace(f"{_components}.state.state:CommonStateField._eval_body", _run_state)
    replace(f"{callback}:StateTaskServiceCallback._eval_body", _run_state)
    replace(f"{work}._eval_state", _work_until_done)
    replace(f"{work}._eval_state_output", _output_of_work)
    # moto takes a rule for the default when both lead to the same state.
    replace(f"{_components}.state.choice.state_choice:StateChoice._eval_state", _choose)
    replace(f"{_components}.state.choice.state_choice:StateChoice._eval_state_output", _leave_choice)
    replace(f"{_components}.common.error_name.error_equals_decl:ErrorEqualsDecl._eval_body", _matches)
    # deepcopy of plain JSON, several times a state, was half of an execution's time.
    replace("moto.stepfunctions.parser.asl.eval.states:copy", SimpleNamespace(deepcopy=_copy_json))
    replace(f"{component}._log_failure_event_exception", _stay_silent)
    replace(f"{component}._log_exception", _stay_silent)
