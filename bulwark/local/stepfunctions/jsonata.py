"""JSONata as Step Functions evaluates it: with AWS's own functions, without `$eval`, undefined an error."""

import copy
import hashlib
import json
import math
import random
import re
import threading
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jsonata import Jsonata
from jsonata.utils import Utils

_PLAIN_PATH = re.compile(r"\$([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)")
_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)(?:\.(\w+))?")
_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_LARGEST_EXACT_INTEGER = 2**53

_compiling = threading.Lock()


class QueryError(Exception):
    """An expression could not be evaluated, or gave nothing that JSON can hold."""


class Expression:
    """One compiled expression; safe to evaluate in many threads at once."""

    def __init__(self, source: str):
        self.source = source
        references = _VARIABLE.findall(source)
        self.variables = {name for name, _ in references}
        self._states_fields = {field for name, field in references if name == "states"}
        plain = _PLAIN_PATH.fullmatch(source)
        self._path = [plain[1], *plain[2].split(".")[1:]] if plain else None
        try:
            self._compiled = Jsonata(source)
        except Exception as error:
            raise QueryError(f"The JSONata expression '{source}' is not valid: {error}") from error
        self._compiled.set_output_convert_nulls(False)
        for name, function in _AWS_FUNCTIONS.items():
            self._compiled.register_lambda(name, function)

    def evaluate(self, states: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
        """The value as plain JSON; undefined raises QueryError, as on AWS."""
        if self._path:
            found, value = self._follow_path(states, variables)
            if found:
                return value
        bindings = {name: _to_jsonata(variables[name]) for name in self.variables if name in variables}
        if "states" in self.variables:
            fields = states if "" in self._states_fields else self._states_fields
            bindings["states"] = {name: _to_jsonata(states[name]) for name in fields if name in states}
        try:
            result = self._evaluate(bindings)
        except Exception as error:
            raise QueryError(f"The JSONata expression '{self.source}' threw an error: {error}") from error
        if result is None:
            raise QueryError(f"The JSONata expression '{self.source}' returned nothing (undefined).")
        return _to_json(result, self.source)

    def _evaluate(self, bindings: dict[str, Any]) -> Any:
        # The library evaluates on whichever instance its thread used last, and takes $now() from it.
        mine = copy.copy(self._compiled)
        Jsonata.CURRENT.jsonata = mine
        return mine.evaluate(None, bindings)

    def _follow_path(self, states: Mapping[str, Any], variables: Mapping[str, Any]) -> tuple[bool, Any]:
        value: Any = {**variables, "states": states}
        for name in self._path:
            if not isinstance(value, Mapping) or name not in value:
                return False, None
            value = value[name]
        return True, value


@lru_cache(maxsize=4096)
def compile_expression(source: str) -> Expression:
    """Compile once; an invalid expression raises QueryError."""
    with _compiling:
        return Expression(source)


def _to_jsonata(value: Any) -> Any:
    """Python's None means undefined to the library; JSON's null has a value of its own."""
    if value is None:
        return Utils.NULL_VALUE
    if isinstance(value, dict):
        return {key: _to_jsonata(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_to_jsonata(member) for member in value]
    return value


def _to_json(value: Any, source: str) -> Any:
    if value is None or value is Utils.NULL_VALUE:
        return None
    if isinstance(value, bool | str | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        whole = value.is_integer() and abs(value) <= _LARGEST_EXACT_INTEGER
        return int(value) if whole else value
    if isinstance(value, dict):
        return {key: _to_json(member, source) for key, member in value.items()}
    if isinstance(value, list | tuple | range):
        return [_to_json(member, source) for member in value]
    raise QueryError(f"The JSONata expression '{source}' returned an unsupported result type.")


def _partition(array: Any, size: float) -> list:
    members = array if isinstance(array, list) else [array]
    step = int(size)
    return [members[start : start + step] for start in range(0, len(members), step)]


def _range(first: float, last: float, step: float) -> list:
    if step == 0:
        raise QueryError("the step of $range is 0")
    return [first + index * step for index in range(max(0, math.floor((last - first) / step) + 1))]


def _hash(value: Any, algorithm: str) -> str:
    text = value if isinstance(value, str) else json.dumps(_to_json(value, "$hash"), separators=(",", ":"))
    return hashlib.new(_HASHES[algorithm], text.encode()).hexdigest()


def _random(seed: Any = None) -> float:
    return random.random() if seed is None else random.Random(seed).random()


def _refuse_eval(*_: Any) -> None:
    raise QueryError("$eval is not supported by Step Functions; $parse reads JSON")


_AWS_FUNCTIONS = {
    "partition": lambda array, size: _partition(array, size),
    "range": lambda first, last, step: _range(first, last, step),
    "hash": lambda value, algorithm: _hash(value, algorithm),
    "random": lambda seed=None: _random(seed),
    "uuid": lambda: str(uuid.uuid4()),
    "parse": lambda text: _to_jsonata(json.loads(text)),
    "eval": _refuse_eval,
}
