"""Bridge: moto asks every execution about a token, trips over one that is starting, and reuses tokens.

Here a token is found by name, each attempt has a token of its own, exactly one answer wins, and an answer
after the task has ended gets TaskTimedOut; a token that was never issued gets InvalidToken. moto has closed
the gap when a second SendTaskSuccess raises TaskTimedOut and no loop over `_get_executions()` is left.
"""

import hashlib
import hmac
import secrets
import threading
from typing import Any

from moto.core.responses import EmptyResult
from moto.stepfunctions.exceptions import AWSError, InvalidToken
from moto.stepfunctions.parser.asl.eval.callback.callback import (
    CallbackEndpoint,
    CallbackOutcome,
    CallbackOutcomeFailure,
    CallbackOutcomeSuccess,
)

from bulwark.local.moto_names import replace
from bulwark.local.stepfunctions import limits
from bulwark.local.stepfunctions.loop import Signal
from bulwark.local.stepfunctions.waiting import current_run, task_seconds_left
from bulwark.rules import NotJson, read_json

_key = secrets.token_bytes(32)
_open: dict[str, CallbackEndpoint] = {}
_deciding = threading.Lock()


class TaskTimedOut(AWSError):
    TYPE = "TaskTimedOut"
    STATUS = 400


class InvalidOutput(AWSError):
    TYPE = "InvalidOutput"
    STATUS = 400


def issue(env: Any) -> str:
    """Open a new token for the task that the environment is about to run."""
    nonce = secrets.token_urlsafe(96)
    token = nonce + _signature(nonce)
    endpoint = _open[token] = env.callback_pool_manager.add(token)
    endpoint._notify_event = Signal()
    env.states.context_object.context_object_data["Task"] = {"Token": token}
    return token


def close(env: Any, token: str) -> None:
    """Turn every later answer away."""
    with _deciding:
        _open.pop(token, None)
    env.callback_pool_manager._pool.pop(token, None)


def answer(token: str, outcome: CallbackOutcome) -> None:
    """Give a task its outcome; the first one wins, and the others are told."""
    with _deciding:
        endpoint = _open.pop(token, None)
        if endpoint:
            endpoint.notify(outcome)
    if not endpoint:
        _refuse(token)


def _refuse(token: str) -> None:
    nonce, signature = token[:-64], token[-64:]
    if hmac.compare_digest(_signature(nonce).encode(), signature.encode()):
        raise TaskTimedOut("Task Timed Out: 'Provided task does not exist anymore'")
    raise InvalidToken("'Invalid token'")


def _signature(nonce: str) -> str:
    return hmac.new(_key, nonce.encode(), hashlib.sha256).hexdigest()


def _await_answer(self: Any, timeout_seconds: int, callback_endpoint: CallbackEndpoint) -> CallbackOutcome | None:
    current_run().wait(callback_endpoint._notify_event, task_seconds_left())
    with _deciding:
        _open.pop(callback_endpoint.callback_id, None)
        return callback_endpoint.get_outcome()


def _send_task_success(self: Any) -> EmptyResult:
    output = self._get_param("output")
    try:
        read_json(output)
    except NotJson as error:
        raise InvalidOutput(f"Invalid Output: 'it {error}'") from error
    limits.check_request("output", output)
    token = self._get_param("taskToken")
    answer(token, CallbackOutcomeSuccess(callback_id=token, output=output))
    return EmptyResult()


def _send_task_failure(self: Any) -> EmptyResult:
    token = self._get_param("taskToken")
    error, cause = self._get_param("error"), self._get_param("cause")
    answer(token, CallbackOutcomeFailure(callback_id=token, error=error, cause=cause))
    return EmptyResult()


def _send_task_heartbeat(self: Any) -> EmptyResult:
    token = self._get_param("taskToken")
    endpoint = _open.get(token)
    if endpoint is None:
        _refuse(token)
    endpoint.notify_heartbeat()
    return EmptyResult()


def install() -> None:
    """Take over the tokens, and the three calls that answer them."""
    services = "moto.stepfunctions.parser.asl.component.state.exec.state_task.service"
    responses = "moto.stepfunctions.responses:StepFunctionResponse"
    replace(
        f"{services}.state_task_service_callback:StateTaskServiceCallback._wait_for_task_token_timeout",
        _await_answer,
    )
    replace(f"{responses}.send_task_success", _send_task_success)
    replace(f"{responses}.send_task_failure", _send_task_failure)
    replace(f"{responses}.send_task_heartbeat", _send_task_heartbeat)
