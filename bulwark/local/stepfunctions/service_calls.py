"""Bridge: moto does not know SDK service names like `bedrockruntime`, and stubs out the casing of requests.

States speak PascalCase whatever the service speaks; botocore's shapes say which member is meant, both ways.
Times, bytes and streams become JSON. Every call goes through the client factory given to `install`.
moto has closed the gap when `StateTaskService._normalise_parameters` and `_normalise_response` do something.
"""

import base64
import json
import re
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_factory as _every_service,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.utils import camel_to_snake_case

from bulwark.local.moto_names import MotoChanged, replace
from bulwark.local.stepfunctions import waiting
from bulwark.local.stepfunctions.limits import check_data
from bulwark.local.stepfunctions.states import iso_time

_services = f"{_every_service.__package__}"
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+[0-9]*")
_SFN_NAMES = {
    "sfn": "stepfunctions",
    "states": "stepfunctions",
    "eventbridge": "events",
    "cloudwatchlogs": "logs",
}

_making_client = threading.Lock()
_clients: dict[str, Any] = {}
_client_factory: Callable[[str], Any]


class UnsupportedField(ValueError):
    """The arguments name a field that the API does not have."""


def client(service: str) -> Any:
    """The one client of a service."""
    with _making_client:
        if service not in _clients:
            _clients[service] = _client_factory(service)
        return _clients[service]


def service_of(api_name: str) -> str:
    """The botocore name of a service as it stands in a resource: bedrockruntime -> bedrock-runtime."""
    return _SFN_NAMES.get(api_name) or _squashed_names().get(api_name.replace("-", ""), api_name)


@lru_cache
def service_model(service: str) -> ServiceModel:
    """botocore's description of a service."""
    return botocore.session.get_session().get_service_model(service)


def pascal_case(name: str) -> str:
    """The name of a member as states spell it: topP -> TopP, MD5OfBody -> Md5OfBody."""
    return "".join(word[0].upper() + word[1:].lower() for word in _WORD.findall(name))


def to_request(value: Any, shape: Shape, path: str = "") -> Any:
    """Arguments of a state in the API's own casing; an unknown field raises UnsupportedField."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return value if shape.is_document_type else _to_structure(value, shape, path)
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [to_request(member, shape.member, path) for member in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: to_request(member, shape.value, f"{path}.{key}") for key, member in value.items()}
    if shape.type_name == "blob" and not isinstance(value, bytes):
        return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()
    if shape.type_name == "string" and isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"))
    return value


def to_result(value: Any, shape: Shape) -> Any:
    """An API's response as a state sees it."""
    if isinstance(shape, StructureShape) and isinstance(value, dict) and not shape.is_document_type:
        members = shape.members
        return {
            pascal_case(name) if name in members else name: (
                to_result(member, members[name]) if name in members else member
            )
            for name, member in value.items()
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [to_result(member, shape.member) for member in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: to_result(member, shape.value) for key, member in value.items()}
    if isinstance(value, datetime):
        return iso_time(value)
    if hasattr(value, "read"):
        value = value.read()
    return _text_of(value) if isinstance(value, bytes) else value


def _to_structure(value: dict[str, Any], shape: StructureShape, path: str) -> dict[str, Any]:
    names = {name: name for name in shape.members if name[0].isupper()}
    names |= {pascal_case(name): name for name in shape.members}
    request = {}
    for field, member in value.items():
        if field not in names:
            raise UnsupportedField(f'The field "{path}{field}" is not supported by Step Functions')
        name = names[field]
        request[name] = to_request(member, shape.members[name], f"{path}{field}.")
    return request


def _text_of(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode()


@lru_cache
def _squashed_names() -> dict[str, str]:
    return {name.replace("-", ""): name for name in botocore.session.get_session().get_available_services()}


@lru_cache
def _operation(service: str, action: str) -> OperationModel | None:
    model = service_model(service)
    names = {camel_to_snake_case(name): name for name in model.operation_names}
    return model.operation_model(names[action]) if action in names else None


def _boto_service_name(self: Any, boto_service_name: str | None = None) -> str:
    return service_of(boto_service_name or self.resource.api_name)


def _operation_of(task: Any, service: str | None, action: str | None) -> OperationModel | None:
    return _operation(task._get_boto_service_name(service), task._get_boto_service_action(action))


def _normalise_parameters(
    self: Any, parameters: dict, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    operation = _operation_of(self, boto_service_name, service_action_name)
    if operation is not None and operation.input_shape is not None:
        request = to_request(dict(parameters), operation.input_shape)
        parameters.clear()
        parameters.update(request)


def _normalise_response(
    self: Any, response: Any, boto_service_name: str | None = None, service_action_name: str | None = None
) -> None:
    operation = _operation_of(self, boto_service_name, service_action_name)
    if operation is not None and operation.output_shape is not None and isinstance(response, dict):
        result = to_result(dict(response), operation.output_shape)
        response.clear()
        response.update(result)


class _OwnStack:
    """The environment for a call: its answer goes on a stack that nobody reads when it is late."""

    def __init__(self, env: Any):
        self._env = env
        self.stack: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)


def _execute(self: Any, env: Any) -> None:
    self.resource.eval(env=env)
    where = env.stack.pop()
    parameters = dict(self._eval_parameters(env=env))
    check_data(self, env, parameters, "has arguments")
    credentials = self._eval_state_credentials(env=env)
    self._before_eval_execution(
        env=env, resource_runtime_part=where, raw_parameters=parameters, state_credentials=credentials
    )
    request = dict(parameters)
    self._normalise_parameters(request)
    answer = _OwnStack(env)
    waiting.call(lambda: self._eval_service_task(answer, where, request, credentials))
    env.stack.append(answer.stack.pop())
    self._normalise_response(env.stack[-1])
    if getattr(self.resource, "condition", None) == ResourceCondition.WaitForTaskToken:
        # While somebody is waited for, nobody reads what they were asked.
        parameters.clear()
        request.clear()
    self._after_eval_execution(
        env=env, resource_runtime_part=where, normalised_parameters=request, state_credentials=credentials
    )


def _client_for(region: str, service: str, state_credentials: Any = None) -> Any:
    return client(service)


def use_clients(client_factory: Callable[[str], Any]) -> None:
    """Send calls through the clients of a factory from now on."""
    global _client_factory
    with _making_client:
        _client_factory = client_factory
        _clients.clear()


def install() -> None:
    """Send the interpreter's calls through the factory's clients, in the services' own casing."""
    task = f"{_services}.state_task_service:StateTaskService"
    replace(f"{task}._get_boto_service_name", _boto_service_name)
    replace(f"{task}._normalise_parameters", _normalise_parameters)
    replace(f"{task}._normalise_response", _normalise_response)
    replace(f"{task}._eval_execution", _execute)
    users = [
        name
        for name, module in list(sys.modules.items())
        if name.startswith("moto.stepfunctions.parser") and hasattr(module, "boto_client_for")
    ]
    if f"{_services}.state_task_service_aws_sdk" not in users:
        raise MotoChanged("moto's service tasks no longer take their client from boto_client_for")
    for module in users:
        replace(f"{module}:boto_client_for", _client_for)
