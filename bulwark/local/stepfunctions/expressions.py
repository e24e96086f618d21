"""Bridge: moto's interpreter has no JSONata engine (its call into one is a stub that is None).

Also here, because they are about expressions: `TimeoutSeconds` and `Condition` must have the right type, and
`Assign` takes effect when the state ends, so that `Output` still sees the old variables, as on AWS.
moto has closed the gap when `eval_jsonata_expression("1 + 1")` returns 2.
"""

from typing import Any, NoReturn

from moto.stepfunctions.parser.api import EvaluationFailedEventDetails, HistoryEventType
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
from bulwark.local.stepfunctions.jsonata import QueryError, compile_expression

_components = "moto.stepfunctions.parser.asl.component"
_ASSIGNED = "bulwark:assigned"
_LONGEST_TIMEOUT = 99_999_999


def evaluate(expression: str, env: Any) -> Any:
    """Evaluate with `$states` and the variables in scope; an error is States.QueryEvaluationError."""
    states = {name: value for name, value in env.states._states_data.items() if _is_defined(name, value)}
    store = env.variable_store
    try:
        return compile_expression(expression).evaluate(states, {**store._outer_scope, **store._inner_scope})
    except QueryError as error:
        fail(env, str(error))


def fail(env: Any, message: str) -> NoReturn:
    """Raise States.QueryEvaluationError for the current state."""
    error_name = StatesErrorName(typ=StatesErrorNameType.StatesQueryEvaluationError)
    cause = (
        f"An error occurred while executing the state '{env.next_state_name}' "
        f"(entered at the event id #{env.event_history_context.source_event_id}). {message}"
    )
    details = EvaluationFailedEventDetails(error=error_name.error_name, cause=cause, state=env.next_state_name)
    raise FailureEventException(
        FailureEvent(
            env=env,
            error_name=error_name,
            event_type=HistoryEventType.EvaluationFailed,
            event_details=EventDetails(evaluationFailedEventDetails=details),
        )
    )


def commit_assignments(env: Any) -> None:
    """Make the variables that the state assigned visible to the next one."""
    for name, value in env.heap.pop(_ASSIGNED, {}).items():
        env.variable_store.set(variable_identifier=name, variable_value=value)


def drop_assignments(env: Any) -> None:
    """Forget what a failed attempt assigned."""
    env.heap.pop(_ASSIGNED, None)


def _is_defined(name: str, value: Any) -> bool:
    return value is not None or name in ("input", "context")


def _evaluate_string(self: Any, env: Any) -> None:
    env.stack.append(evaluate(self.expression, env))


def _stage_assignments(self: Any, env: Any) -> None:
    assigned: dict[str, Any] = {}
    for binding in self.declaration_bindings:
        binding.eval(env=env)
        assigned.update(env.stack.pop())
    env.heap[_ASSIGNED] = assigned


def _evaluate_timeout(self: Any, env: Any) -> int:
    seconds = evaluate(self.string_jsonata.expression, env)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds <= _LONGEST_TIMEOUT:
        fail(env, f"TimeoutSeconds must be a whole number from 1 to {_LONGEST_TIMEOUT}, but is {seconds!r}.")
    return seconds


def _evaluate_condition(self: Any, env: Any) -> None:
    result = evaluate(self.string_jsonata.expression, env)
    if not isinstance(result, bool):
        fail(env, f"The JSONata expression '{self.string_jsonata.expression}' did not return a boolean.")
    env.stack.append(result)


def _keep_whole_result(self: Any, env: Any) -> None:
    if self.result_path_src != "$":
        _result_path(self, env)


_result_path: Any = None


def install() -> None:
    """Give moto's expressions an engine."""
    global _result_path
    replace(f"{_components}.common.string.string_expression:StringJSONata._eval_body", _evaluate_string)
    replace(f"{_components}.common.assign.assign_decl:AssignDecl._eval_body", _stage_assignments)
    replace(f"{_components}.common.timeouts.timeout:TimeoutSecondsJSONata._eval_seconds", _evaluate_timeout)
    replace(
        f"{_components}.state.choice.comparison.comparison:ConditionStringJSONata._eval_body",
        _evaluate_condition,
    )
    # Parsing "$" with a JSONPath library, for every state, to change nothing, is most of moto's time.
    _result_path = replace(f"{_components}.common.path.result_path:ResultPath._eval_body", _keep_whole_result)
