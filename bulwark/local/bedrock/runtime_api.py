"""Gaps of moto 5.2: bedrock-runtime has only an empty invoke_model, bedrock-agent-runtime does not exist.

Bridged: Converse, ApplyGuardrail and InvokeModel on moto's BedrockRuntimeResponse, which routes by the
botocore model whatever method it has; Retrieve by a response class of its own, reached from the bedrock
service's dispatch because every Bedrock service signs as `bedrock`. moto has closed the gap when
BedrockRuntimeResponse has a `converse` of its own, or a package moto.bedrockagentruntime exists; `install`
then stops the start.
"""

import importlib.util
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from moto.bedrock.responses import BedrockResponse
from moto.bedrockruntime.responses import BedrockRuntimeResponse
from moto.core.responses import BaseResponse

from bulwark.local import moto_names
from bulwark.local.bedrock import embeddings, guardrail_filters, guardrail_store
from bulwark.local.bedrock.emulator import Emulator
from bulwark.local.bedrock.errors import BedrockError, invalid
from bulwark.local.service_errors import service_error
from bulwark.rules import NotJson, read_json

_RUNTIME = "moto.bedrockruntime.responses:BedrockRuntimeResponse"
_moto_call_action = BedrockResponse.call_action
_installed: Emulator | None = None


class BedrockAgentRuntimeResponse(BaseResponse):
    """bedrock-agent-runtime, as far as Retrieve."""

    def __init__(self) -> None:
        super().__init__(service_name="bedrock-agent-runtime")

    def retrieve(self) -> tuple[str, dict[str, str]]:
        return _answer(lambda: _installed.retrieve(self.uri_match["knowledgeBaseId"], _body(self)))


def install(emulator: Emulator) -> None:
    """Put an emulator behind the embedded AWS's Bedrock, in place of the one before."""
    global _installed
    _check_moto()
    guardrail_store.install()
    for operation in _OPERATIONS:
        setattr(BedrockRuntimeResponse, operation.__name__, operation)
    if BedrockRuntimeResponse.invoke_model is not invoke_model:
        moto_names.replace(f"{_RUNTIME}.invoke_model", invoke_model)
        # A Converse request may be a megabyte: its JSON is read once, here, and not by moto's parser before.
        moto_names.replace(f"{_RUNTIME}.setup_class", _setup_without_parsing)
        moto_names.replace("moto.bedrock.responses:BedrockResponse.call_action", _call_action_or_retrieve)
    _installed = emulator


def converse(self: BedrockRuntimeResponse) -> tuple[str, dict[str, str]]:
    return _answer(lambda: _installed.converse(self.uri_match["modelId"], _body(self), _guardrails(self)))


def apply_guardrail(self: BedrockRuntimeResponse) -> tuple[str, dict[str, str]]:
    match = self.uri_match
    return _answer(
        lambda: _installed.apply_guardrail(
            match["guardrailIdentifier"], match["guardrailVersion"], _body(self), _guardrails(self)
        )
    )


def invoke_model(self: BedrockRuntimeResponse) -> tuple[str, dict[str, str]]:
    model_id = self.uri_match["modelId"]

    def answer() -> dict[str, Any]:
        if "embed" not in model_id:
            raise invalid("The local Bedrock answers InvokeModel for Titan embeddings only; call Converse instead.")
        return _installed.embed(model_id, _body(self))

    body, headers = _answer(answer)
    tokens = str(json.loads(body)["inputTextTokenCount"])
    headers |= {"X-Amzn-Bedrock-Input-Token-Count": tokens, "x-bulwark-emulated": embeddings.LABEL}
    return body, headers


def _answer(answer: Callable[[], Mapping[str, Any]]) -> tuple[str, dict[str, str]]:
    headers = {
        "Content-Type": "application/json",
        "x-bulwark-emulated": "local emulator, not Amazon Bedrock",
        "x-bulwark-guardrails": guardrail_filters.LABEL,
    }
    try:
        return json.dumps(answer()), headers
    except BedrockError as error:
        raise service_error("bedrock-runtime", error.code, error.message) from error


def _body(response: BaseResponse) -> dict[str, Any]:
    try:
        body = read_json(response.body or "{}")
    except NotJson as error:
        raise invalid(f"The request body {error}.") from error
    if not isinstance(body, dict):
        raise invalid("The request body is not a JSON object.")
    return body


def _guardrails(response: BedrockRuntimeResponse) -> Callable[[str, str], Mapping[str, Any]]:
    return partial(guardrail_store.find_guardrail, response.current_account, response.region)


def _setup_without_parsing(self: BedrockRuntimeResponse, *args: Any, **kwargs: Any) -> Any:
    self.automated_parameter_parsing = False
    return BaseResponse.setup_class(self, *args, **kwargs)


def _call_action_or_retrieve(self: BedrockResponse) -> Any:
    """moto sends what it cannot tell apart by path to the bedrock service: there Retrieve is found again."""
    runtime = BedrockAgentRuntimeResponse()
    if runtime._get_action_from_method_and_request_uri(self.normalized_request) == "Retrieve":
        return runtime._dispatch(self.normalized_request)
    return _moto_call_action(self)


_OPERATIONS = (converse, apply_guardrail)


def _check_moto() -> None:
    if importlib.util.find_spec("moto.bedrockagentruntime"):
        raise moto_names.MotoChanged("moto has bedrock-agent-runtime now: see local/bedrock/runtime_api.py")
    for operation in _OPERATIONS:
        existing = getattr(BedrockRuntimeResponse, operation.__name__, operation)
        if existing is not operation:
            raise moto_names.MotoChanged(f"moto has {operation.__name__} now: local/bedrock/runtime_api.py can go")
    moto_names.require(
        "moto.core.responses:BaseResponse._get_action_from_method_and_request_uri",
        "moto.core.responses:BaseResponse._dispatch",
    )
