"""Bridge: moto parses a definition again for each execution, unsafely in threads, and takes dangling targets.

Its parser keeps the query languages of nested scopes on the class, so that two parses at once, or one after a
failed one, spoil each other; and it undoes JSON's string escapes by Python's rules. moto has closed the gap
when CreateStateMachine refuses `{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}`, and
`Preprocessor._query_language_per_scope` is no longer a class attribute.
"""

import json
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from moto.stepfunctions.exceptions import AWSError
from moto.stepfunctions.parser.asl.antlr.runtime.ASLLexer import ASLLexer
from moto.stepfunctions.parser.asl.antlt4utils.antlr4utils import is_terminal
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

from bulwark.local.moto_names import replace
from bulwark.local.stepfunctions import map_runs
from bulwark.local.stepfunctions.jsonata import QueryError, compile_expression
from bulwark.rules import NotJson, read_json

_parsing = threading.Lock()
_moto_parse: Any = None


class InvalidDefinition(AWSError):
    TYPE = "InvalidDefinition"
    STATUS = 400

    def __init__(self, problem: object):
        super().__init__(f"Invalid State Machine Definition: '{problem}'")


def validate(definition: str, machine_type: str = "STANDARD") -> None:
    """Refuse what AWS refuses when a machine is created or updated."""
    try:
        machine = read_json(definition)
    except NotJson as error:
        raise InvalidDefinition(f"INVALID_JSON_DESCRIPTION: it {error}") from error
    problems = [*_graph_problems(machine, ""), *_expression_problems(machine, "")]
    problems += map_runs.problems(machine)
    if machine_type == "EXPRESS":
        problems += _express_problems(machine)
    if problems:
        raise InvalidDefinition(", ".join(problems))
    try:
        parse(definition)
    except Exception as error:
        raise InvalidDefinition(f"SCHEMA_VALIDATION_FAILED: {error}") from error


def parse(definition: str) -> Any:
    """The definition as moto's components, which executions share; parsed once."""
    with _parsing:
        return _parse_once(definition)


@lru_cache(maxsize=64)
def _parse_once(definition: str) -> Any:
    Preprocessor._query_language_per_scope.clear()
    return _moto_parse(definition)


def _graph_problems(machine: Any, path: str) -> Iterator[str]:
    states = machine.get("States") if isinstance(machine, dict) else None
    if not isinstance(states, dict) or not states:
        yield f"SCHEMA_VALIDATION_FAILED: These fields are required: [States] at {path or '/'}"
        return
    start = machine.get("StartAt")
    if start not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'StartAt' target: {start} at {path}/StartAt"
    reached = _reachable(states, start)
    for name, state in states.items():
        place = f"{path}/States/{name}"
        if name not in reached:
            yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {place}'
        for field, target in _targets(state):
            if target not in states:
                yield f"MISSING_TRANSITION_TARGET: Missing '{field}' target: {target} at {place}/{field}"
        goes_on = state.get("Type") not in ("Choice", "Succeed", "Fail")
        if goes_on and ("Next" in state) == bool(state.get("End")):
            yield f"SCHEMA_VALIDATION_FAILED: One and only one of Next and End is required at {place}"
        for inner in [*state.get("Branches", []), *filter(None, [state.get("ItemProcessor")])]:
            yield from _graph_problems(inner, place)


def _reachable(states: dict[str, Any], start: str) -> set[str]:
    reached, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in states and name not in reached:
            reached.add(name)
            waiting += [target for _, target in _targets(states[name])]
    return reached


def _targets(state: dict[str, Any]) -> list[tuple[str, str]]:
    own = [(field, state[field]) for field in ("Next", "Default") if field in state]
    rules = [(field, rule.get("Next")) for field in ("Choices", "Catch") for rule in state.get(field, [])]
    return own + rules


def _expression_problems(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict | list):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _expression_problems(member, f"{path}/{name}")
    elif isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        try:
            compile_expression(value[2:-2].strip())
        except QueryError as error:
            yield f"SCHEMA_VALIDATION_FAILED: {error} at {path}"


def _express_problems(machine: dict[str, Any]) -> list[str]:
    return [
        f"SCHEMA_VALIDATION_FAILED: Express machines do not support {state['Resource']} at /States/{name}"
        for name, state in machine["States"].items()
        if state.get("Type") == "Task" and "." in state.get("Resource", "").rpartition(":")[2]
    ]


def _unquoted(parser_rule_context: Any) -> str:
    text = parser_rule_context.getText()
    return json.loads(text) if text.startswith('"') and text.endswith('"') else text


def _inner_string(parser_rule_context: Any) -> str | None:
    return None if is_terminal(parser_rule_context, ASLLexer.NULL) else _unquoted(parser_rule_context)


def is_installed() -> bool:
    """Whether moto's parser, and so the rest of the interpreter, is bridged already."""
    return AmazonStateLanguageParser.parse is parse


def install() -> None:
    """Parse once, safely, and with JSON's own escapes."""
    global _moto_parse
    preprocessor = "moto.stepfunctions.parser.asl.parse.preprocessor"
    parser = "moto.stepfunctions.parser.asl.parse.asl_parser:AmazonStateLanguageParser.parse"
    replace(f"{preprocessor}:Preprocessor._inner_string_of", staticmethod(_inner_string))
    replace(f"{preprocessor}:from_string_literal", _unquoted)
    _moto_parse = replace(parser, staticmethod(parse))
