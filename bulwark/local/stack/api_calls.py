"""Turns CloudFormation properties into an API's parameters by the API's own model, and loses none in silence."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.model import Shape

from bulwark.local.stack.template import TemplateError


class UnsupportedProperty(TemplateError):
    """A property that the API call behind the resource does not take."""


def call(client: Any, operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Call an operation, named in snake case, with properties spelled as in CloudFormation."""
    name = _operations(client)[operation]
    parameters = to_api(properties, client.meta.service_model.operation_model(name).input_shape)
    return getattr(client, operation)(**parameters)


@cache
def _operations(client: Any) -> dict[str, str]:
    return {xform_name(name): name for name in client.meta.service_model.operation_names}


def to_api(value: Any, shape: Shape | None, path: str = "") -> Any:
    """A value spelled and typed as the shape has it."""
    if shape is None:
        if value:
            raise UnsupportedProperty(", ".join(value))
        return value
    return _CONVERSIONS.get(shape.type_name, lambda each, *_: each)(value, shape, path)


def _structure(value: Any, shape: Any, path: str) -> Any:
    if not isinstance(value, dict):
        return value
    members = {_squashed(name): (name, member) for name, member in shape.members.items()}
    result = {}
    for key, each in value.items():
        found = members.get(_squashed(key))
        if found is None:
            raise UnsupportedProperty(f"{path}{key}")
        result[found[0]] = to_api(each, found[1], f"{path}{key}.")
    return result


def _list(value: Any, shape: Any, path: str) -> Any:
    return [to_api(each, shape.member, path) for each in value] if isinstance(value, list) else value


def _map(value: Any, shape: Any, path: str) -> Any:
    if isinstance(value, list) and all(isinstance(each, dict) and set(each) == {"Key", "Value"} for each in value):
        value = {each["Key"]: each["Value"] for each in value}
    if not isinstance(value, dict):
        return value
    return {key: to_api(each, shape.value, f"{path}{key}.") for key, each in value.items()}


def _string(value: Any, *_: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _boolean(value: Any, *_: Any) -> Any:
    return value.lower() == "true" if isinstance(value, str) else value


def _integer(value: Any, *_: Any) -> Any:
    return int(value) if isinstance(value, str | float) else value


def _float(value: Any, *_: Any) -> Any:
    return float(value) if isinstance(value, str | int) else value


_CONVERSIONS: dict[str, Callable[[Any, Any, str], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "double": _float,
    "float": _float,
}


def _squashed(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
