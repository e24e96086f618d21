"""Scripted failures and a count of the AWS calls that reach the endpoint: no gap of moto, AWS has its bad days too."""

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bulwark.local.service_errors import status_of

StartResponse = Callable[..., Any]
NAMES = {"states": "stepfunctions", "monitoring": "cloudwatch"}


@dataclass
class ServiceFault:
    """Calls of a service fail with an AWS error, or answer late, while `left` lasts (None: until cleared)."""

    service: str
    error: str | None
    operation: str | None
    contains: str
    delay_seconds: float
    left: int | None
    after: bool

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "ServiceFault":
        if not isinstance(raw, Mapping):
            raise ValueError(f"a service fault is an object, not {raw!r}")
        known = {"service", "error", "operation", "contains", "delay_ms", "count", "after"}
        if unknown := set(raw) - known:
            raise ValueError(
                f"service fault: unknown field {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        if not raw.get("service"):
            raise ValueError("service fault: service is missing, such as dynamodb, lambda or states")
        return cls(
            raw["service"],
            raw.get("error"),
            raw.get("operation"),
            raw.get("contains", ""),
            raw.get("delay_ms", 0) / 1000,
            raw.get("count"),
            bool(raw.get("after")),
        )


class ServiceFaults:
    """Counts every call, and answers those that a fault is for in the service's place."""

    def __init__(self) -> None:
        self._faults: list[ServiceFault] = []
        self._lock = threading.Lock()
        self.calls: Counter[tuple[str, str]] = Counter()

    def load(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Put these faults in place of those loaded before; ValueError says what makes no sense."""
        if not isinstance(faults, list):
            raise ValueError('service faults come as {"services": [...]}')
        loaded = [ServiceFault.from_json(raw) for raw in faults]
        with self._lock:
            self._faults = loaded

    def meet(self, service: str, environ: dict[str, Any], answer: Callable[..., Any], start: StartResponse) -> Any:
        """Let a call through, or fail it; `after` fails it once the service has done its work."""
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        operation = operation or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        with self._lock:
            self.calls[service, operation] += 1
        fault = self._take(service, operation, environ) if self._faults else None
        if fault is None:
            return answer(environ, start)
        if fault.delay_seconds:
            threading.Event().wait(fault.delay_seconds)
        if fault.error is None:
            return answer(environ, start)
        if fault.after:
            b"".join(answer(environ, lambda *_: None))
        status = status_of(NAMES.get(service, service), fault.error)
        body = json.dumps({"__type": fault.error, "message": "scripted fault"}).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("x-amzn-ErrorType", fault.error),
        ]
        start(f"{status} Scripted Fault", headers)
        return [body]

    def _take(self, service: str, operation: str, environ: dict[str, Any]) -> ServiceFault | None:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        if length:
            environ["wsgi.input"] = io.BytesIO(body)
        text = environ["PATH_INFO"] + " " + body.decode("utf-8", "replace")
        with self._lock:
            for fault in self._faults:
                if (
                    fault.service == service
                    and (fault.operation or operation) == operation
                    and fault.contains in text
                    and fault.left != 0
                ):
                    if fault.left:
                        fault.left -= 1
                    return fault
        return None
