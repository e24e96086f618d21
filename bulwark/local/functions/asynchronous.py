"""Gap of moto 5.2: an asynchronous invocation runs at once, is not retried, and knows no queue for failures.

Bridged: accepted at once, two retries, then the function's destination or dead-letter queue. moto has closed
the gap when `LambdaFunction.invoke` returns before an Event invocation has ended.
"""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bulwark.local.functions.host import FunctionHost, HostStopped, TooManyRequests
from bulwark.local.functions.worker import Outcome
from bulwark.local.threads import Threads

ASYNC_LIMIT = 1_048_576
# A minute and two on AWS; nobody waits that long for a test.
RETRY_SECONDS = (0.2, 0.4)

Send = Callable[..., None]


class AsynchronousInvocations:
    """Event invocations; `send` delivers a record to a destination's ARN."""

    def __init__(self, host: FunctionHost, send: Send) -> None:
        self._host, self._send = host, send
        self._threads = Threads("async-invocation", 32)
        self._stopping = threading.Event()
        self._configurations: dict[str, dict[str, Any]] = {}

    def configure(self, name: str, configuration: dict[str, Any]) -> None:
        """Set a function's event invoke configuration: MaximumRetryAttempts and DestinationConfig."""
        self._configurations[self._host.function(name).name] = configuration

    def submit(self, name: str, payload: bytes) -> None:
        self._threads.submit(self._run, name, payload)

    @property
    def pending(self) -> int:
        """Invocations queued, under way or waiting to be retried."""
        return self._threads.pending

    def stop(self) -> None:
        self._stopping.set()
        self._threads.stop()

    def _run(self, name: str, payload: bytes) -> None:
        function = self._host.function(name)
        configuration = self._configurations.get(function.name, {})
        retries = int(configuration.get("MaximumRetryAttempts", 2))
        attempts = 0
        while True:
            attempts += 1
            try:
                outcome = self._host.invoke_raw(function.name, payload)
            except TooManyRequests:
                # Throttled invocations stay in Lambda's own queue for hours; they are no attempts.
                attempts -= 1
                if self._stopping.wait(RETRY_SECONDS[0]):
                    return
                continue
            except HostStopped:
                return
            if outcome.function_error is None or attempts > retries:
                break
            if self._stopping.wait(RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]):
                return
        self._conclude(function.name, payload, outcome, attempts, configuration)

    def _conclude(
        self, name: str, payload: bytes, outcome: Outcome, attempts: int, configuration: dict[str, Any]
    ) -> None:
        function = self._host.function(name)
        failed = outcome.function_error is not None
        destinations = configuration.get("DestinationConfig") or {}
        destination = (destinations.get("OnFailure" if failed else "OnSuccess") or {}).get("Destination")
        if destination:
            self._send(destination, _record(function.arn, payload, outcome, attempts))
        if failed and function.dead_letter_arn:
            message = json.loads(outcome.payload or b"{}").get("errorMessage", "")
            attributes = {"RequestID": outcome.request_id, "ErrorCode": "200", "ErrorMessage": message[:1024]}
            self._send(function.dead_letter_arn, payload.decode(), attributes)


def _record(arn: str, payload: bytes, outcome: Outcome, attempts: int) -> str:
    return json.dumps(
        {
            "version": "1.0",
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "requestContext": {
                "requestId": outcome.request_id,
                "functionArn": f"{arn}:$LATEST",
                "condition": "RetriesExhausted" if outcome.function_error else "Success",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json.loads(payload),
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                **({"functionError": outcome.function_error} if outcome.function_error else {}),
            },
            "responsePayload": json.loads(outcome.payload or b"null"),
        }
    )
