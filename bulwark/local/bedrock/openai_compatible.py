"""Converse answered by any OpenAI-compatible server (Ollama, vLLM, llama.cpp) named in BULWARK_MODEL_URL."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from bulwark.local.bedrock.conversation import Conversation
from bulwark.local.bedrock.errors import BedrockError, invalid, scripted
from bulwark.local.bedrock.lexical import count_tokens
from bulwark.local.loopback import open_url

TIMEOUT_SECONDS = 120
_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}
_ERRORS = {
    401: "access_denied", 403: "access_denied", 408: "model_timeout", 429: "throttle",
    503: "service_unavailable", 504: "model_timeout",
}  # fmt: skip


def model_url() -> str | None:
    """Where the other server's chat completions are, if one was named."""
    base = os.environ.get("BULWARK_MODEL_URL", "").rstrip("/")
    if not base:
        return None
    return f"{base}/chat/completions" if base.endswith("/v1") else f"{base}/v1/chat/completions"


def complete(url: str, model_id: str, conversation: Conversation) -> tuple[str, str, dict[str, int]]:
    """The server's answer as text, stop reason and usage; its errors as Bedrock's."""
    request = urllib.request.Request(
        url, data=json.dumps(_request(model_id, conversation)).encode(), headers=_headers(), method="POST"
    )
    try:
        with open_url(request, TIMEOUT_SECONDS) as response:
            return _answer(json.load(response), conversation)
    except urllib.error.HTTPError as error:
        raise _bedrock_error(error) from error
    except TimeoutError as error:
        raise scripted("model_timeout") from error
    except (urllib.error.URLError, ConnectionError) as error:
        raise BedrockError("ServiceUnavailableException", f"The model's server does not answer: {error}") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BedrockError("ModelErrorException", "The model's server sent no chat completion.") from error


def _request(model_id: str, conversation: Conversation) -> dict[str, Any]:
    body = conversation.body
    settings = body.get("inferenceConfig") or {}
    names = {
        "maxTokens": "max_tokens",
        "temperature": "temperature",
        "topP": "top_p",
        "stopSequences": "stop",
    }
    system = [{"role": "system", "content": _joined(body["system"])}] if body.get("system") else []
    turns = [{"role": turn["role"], "content": _joined(turn["content"])} for turn in body["messages"]]
    return {
        "model": os.environ.get("BULWARK_MODEL_NAME", model_id),
        "messages": system + turns,
        "stream": False,
        **{names[key]: value for key, value in settings.items() if key in names},
    }


def _joined(blocks: list[Mapping[str, Any]]) -> str:
    texts = (block.get("text") or block.get("guardContent", {}).get("text", {}).get("text") for block in blocks)
    return "\n\n".join(filter(None, texts))


def _headers() -> dict[str, str]:
    key = os.environ.get("BULWARK_MODEL_KEY")
    return {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}


def _answer(completion: Mapping[str, Any], conversation: Conversation) -> tuple[str, str, dict[str, int]]:
    choice = completion["choices"][0]
    text = choice["message"].get("content") or ""
    counted = completion.get("usage") or {}
    usage = {
        "inputTokens": counted.get("prompt_tokens", count_tokens(conversation.text)),
        "outputTokens": counted.get("completion_tokens", count_tokens(text)),
    }
    return text, _STOP_REASONS.get(choice.get("finish_reason"), "end_turn"), usage


def _bedrock_error(error: urllib.error.HTTPError) -> BedrockError:
    if error.code in _ERRORS:
        return scripted(_ERRORS[error.code])
    if 400 <= error.code < 500:
        return invalid(f"The model's server refused the request with status {error.code}.")
    return scripted("internal_error")
