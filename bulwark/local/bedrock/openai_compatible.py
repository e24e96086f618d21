"""Converse answered by any OpenAI-compatible server (Ollama, vLLM, llama.cpp) named in BULWARK_MODEL_URL."""

import http.client
import json
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bulwark.local.bedrock.conversation import Conversation
from bulwark.local.bedrock.errors import BedrockError, invalid, scripted
from bulwark.local.bedrock.lexical import count_tokens
from bulwark.local.loopback import direct
from bulwark.rules import read_json

TIMEOUT_SECONDS = 120  # from the call to the last byte, however slowly they come
MOST_BYTES = 10_000_000
MOST_TOKENS = 10_000_000
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
    """The server's answer as text, stop reason and usage; its errors, and whatever is no answer, as Bedrock's."""
    call = _Call(url)
    try:
        return _answer(read_json(call.post(json.dumps(_request(model_id, conversation)).encode())), conversation)
    except urllib.error.HTTPError as error:
        error.close()
        raise _bedrock_error(error) from error
    except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if call.is_over or isinstance(reason, TimeoutError):
            raise scripted("model_timeout") from error
        if isinstance(reason, OSError):
            raise BedrockError(
                "ServiceUnavailableException", f"The model's server does not answer: {type(reason).__name__}."
            ) from error
        raise BedrockError("ModelErrorException", "The model's server sent no chat completion.") from error


class _Call:
    """One call with a deadline of its own: a socket's ends only the wait for the next byte, not a drip of them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sockets: list[socket.socket] = []
        self.is_over = False

    def post(self, body: bytes) -> bytes:
        request = urllib.request.Request(self._url, data=body, headers=_headers(), method="POST")
        opener = urllib.request.build_opener(_NoRedirect, *self._handlers(), *direct(self._url))
        watch = threading.Timer(TIMEOUT_SECONDS, self._end)
        watch.daemon = True
        watch.start()
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                read = response.read(MOST_BYTES + 1)
        finally:
            watch.cancel()
        if len(read) > MOST_BYTES:
            raise ValueError("more than any answer has")
        return read

    def _handlers(self) -> list[urllib.request.BaseHandler]:
        sockets = self._sockets

        class Plain(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        class Secure(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        class Http(urllib.request.HTTPHandler):
            def http_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(Plain, request)

        class Https(urllib.request.HTTPSHandler):
            def https_open(self, request: urllib.request.Request) -> Any:
                return self.do_open(Secure, request)

        return [Http(), Https()]

    def _end(self) -> None:
        self.is_over = True
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A conversation and a key go to the server that was named, and to no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


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
    text = _text(choice["message"].get("content"))
    counted = completion.get("usage")
    counted = counted if isinstance(counted, dict) else {}
    usage = {
        "inputTokens": _tokens(counted.get("prompt_tokens"), conversation.text),
        "outputTokens": _tokens(counted.get("completion_tokens"), text),
    }
    return text, _STOP_REASONS.get(choice.get("finish_reason"), "end_turn"), usage


def _text(content: Any) -> str:
    """What an assistant says, as a text or as parts that are texts."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str | None):
        raise TypeError("no text")
    return content or ""


def _tokens(counted: Any, text: str) -> int:
    """What the server counted, where that is a count; else our own."""
    is_count = isinstance(counted, int) and not isinstance(counted, bool) and 0 <= counted <= MOST_TOKENS
    return counted if is_count else count_tokens(text)


def _bedrock_error(error: urllib.error.HTTPError) -> BedrockError:
    if error.code in _ERRORS:
        return scripted(_ERRORS[error.code])
    if 400 <= error.code < 500:
        return invalid(f"The model's server refused the request with status {error.code}.")
    if error.code < 400:
        return BedrockError("ModelErrorException", f"The model's server answered with status {error.code}.")
    return scripted("internal_error")
