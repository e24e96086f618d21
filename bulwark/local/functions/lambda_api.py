"""Gap of moto 5.2: Lambda needs Docker to invoke.

Bridged: the server's Invoke call goes straight to the function host; what moto invokes by itself (an SNS
subscription, say) goes there too. moto has closed the gap when a function can be invoked by a hook of its own.
"""

import base64
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from bulwark.local.functions.asynchronous import ASYNC_LIMIT, AsynchronousInvocations
from bulwark.local.functions.host import FunctionHost, FunctionNotFound, HostStopped, RequestTooLarge, TooManyRequests
from bulwark.local.moto_names import replace
from bulwark.local.server import StartResponse, respond
from bulwark.rules import NotJson, read_json

_PATH = re.compile(r"/2015-03-31/functions/(.+)/invocations$")


class Invocations:
    """WSGI: POST /2015-03-31/functions/NAME/invocations."""

    def __init__(self, host: FunctionHost, asynchronous: AsynchronousInvocations) -> None:
        self._host, self._asynchronous = host, asynchronous

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        name = unquote(_PATH.search(environ["PATH_INFO"])[1])
        length = int(environ.get("CONTENT_LENGTH") or 0)
        payload = environ["wsgi.input"].read(length) if length else environ["wsgi.input"].read()
        kind = environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse")
        try:
            return self._invoke(name, payload or b"{}", kind, environ, start_response)
        except FunctionNotFound as error:
            return _refuse(start_response, "404 Not Found", "ResourceNotFoundException", str(error))
        except RequestTooLarge as error:
            return _refuse(start_response, "413 Request Entity Too Large", "RequestTooLargeException", str(error))
        except TooManyRequests as error:
            return _refuse(
                start_response,
                "429 Too Many Requests",
                "TooManyRequestsException",
                str(error),
                Reason="ReservedFunctionConcurrentInvocationLimitExceeded",
            )
        except HostStopped as error:
            return _refuse(start_response, "500 Internal Server Error", "ServiceException", str(error))

    def _invoke(
        self, name: str, payload: bytes, kind: str, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        self._host.function(name)
        try:
            read_json(payload)
        except NotJson as error:
            message = f"Could not parse request body into json: it {error}"
            return _refuse(start_response, "400 Bad Request", "InvalidRequestContentException", message)
        if kind == "DryRun":
            start_response("204 No Content", [])
            return []
        if kind == "Event":
            if len(payload) > ASYNC_LIMIT:
                raise RequestTooLarge(f"{len(payload)} byte payload is too large for the Event invocation type")
            self._asynchronous.submit(name, payload)
            return respond(start_response, "202 Accepted", b"")
        outcome = self._host.invoke_raw(name, payload, environ.get("HTTP_X_AMZ_CLIENT_CONTEXT"))
        headers = [("X-Amzn-RequestId", outcome.request_id), ("X-Amz-Executed-Version", "$LATEST")]
        if outcome.function_error:
            headers.append(("X-Amz-Function-Error", outcome.function_error))
        return respond(start_response, "200 OK", outcome.payload, headers)


def install(host: FunctionHost, asynchronous: AsynchronousInvocations) -> None:
    """Let moto's own invocations run on the host."""

    def invoke(self: Any, body: str, request_headers: Any, response_headers: dict[str, str]) -> bytes:
        payload = body.encode() if isinstance(body, str) else body or b"{}"
        if request_headers.get("X-Amz-Invocation-Type", request_headers.get("x-amz-invocation-type")) == "Event":
            asynchronous.submit(self.function_name, payload)
            return b""
        outcome = host.invoke_raw(self.function_name, payload)
        if outcome.function_error:
            response_headers["x-amz-function-error"] = outcome.function_error
        response_headers["x-amz-log-result"] = base64.b64encode(b"").decode()
        return outcome.payload

    replace("moto.awslambda.models:LambdaFunction.invoke", invoke)


def _refuse(start_response: StartResponse, status: str, code: str, message: str, **more: str) -> Iterable[bytes]:
    body = json.dumps({"Type": "User", "Message": message, "message": message, **more}).encode()
    return respond(start_response, status, body, [("x-amzn-ErrorType", code)])
