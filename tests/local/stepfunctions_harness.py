"""Real machines on moto's server, whose Lambda and Bedrock are answered by the test, over HTTP."""

import json
import logging
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

import bulwark.local.stepfunctions

ROLE = "arn:aws:iam::123456789012:role/machines"
SCRIPTED = {"lambda", "bedrock-runtime"}


class Scripted(Exception):
    """An error for a service to answer with."""

    def __init__(self, status: int, code: str = ""):
        super().__init__(code)
        self.status, self.code = status, code


class FunctionError(Exception):
    """What a function that fails leaves as its payload."""

    def __init__(self, payload: Any):
        super().__init__(payload)
        self.payload = payload


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "null")
        name = self.path.split("/")[-2]
        try:
            self._send(200, self.server.answers[name](body))
        except FunctionError as error:
            self._send(200, error.payload, {"X-Amz-Function-Error": "Unhandled"})
        except Scripted as error:
            self._send(error.status, {"message": "scripted"}, {"x-amzn-ErrorType": error.code})

    def _send(self, status: int, payload: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(payload).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


class Machines:
    """Creates machines, runs them, and answers for the functions and models they call."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._moto.start()
        self._services = _Server(("127.0.0.1", 0), _Answers)
        self._services.answers = self.answers = {}
        Thread(target=self._services.serve_forever, daemon=True).start()
        bulwark.local.stepfunctions.install(self.client)
        self.sfn = self.client("stepfunctions")

    def __enter__(self) -> "Machines":
        return self

    def __exit__(self, *_: Any) -> None:
        self._services.shutdown()
        self._moto.stop()

    def client(self, service: str) -> Any:
        host, port = self._services.server_address if service in SCRIPTED else self._moto.get_host_and_port()
        config = Config(
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            inject_host_prefix=False,
            read_timeout=900,
            max_pool_connections=200,
        )
        return boto3.client(
            service,
            endpoint_url=f"http://{host}:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )

    def answer(self, name: str, function: Callable[[Any], Any]) -> None:
        """Let a test's function be a Lambda function or a model."""
        self.answers[name] = function

    def create(self, states: dict[str, Any], kind: str = "STANDARD", **more: Any) -> str:
        """A JSONata machine that starts at its first state."""
        top = {name: more.pop(name) for name in ("TimeoutSeconds",) if name in more}
        definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **top}
        created = self.sfn.create_state_machine(
            name=f"m{uuid4().hex}", definition=json.dumps(definition), roleArn=ROLE, type=kind, **more
        )
        return created["stateMachineArn"]

    def start(self, machine: str, data: Any = None, **more: Any) -> str:
        """Start an execution and return its ARN."""
        started = self.sfn.start_execution(stateMachineArn=machine, input=json.dumps(data or {}), **more)
        return started["executionArn"]

    def end_of(self, execution: str, seconds: float = 60) -> dict[str, Any]:
        """How a Standard execution ended."""
        return until(lambda: self._ended(execution), seconds)

    def run(self, states: dict[str, Any], data: Any = None, kind: str = "STANDARD", **more: Any) -> dict[str, Any]:
        """Run a new machine once, and say how it ended, its output read."""
        machine = self.create(states, kind, **more)
        if kind == "EXPRESS":
            text = json.dumps(data or {})
            end = self.sfn.start_sync_execution(stateMachineArn=machine, input=text)
        else:
            end = self.end_of(self.start(machine, data))
        return {**end, "output": json.loads(end["output"])} if "output" in end else end

    def history(self, execution: str) -> list[dict[str, Any]]:
        pages = self.sfn.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def _ended(self, execution: str) -> dict[str, Any] | None:
        described = self.sfn.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None


def task(resource: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A Task that ends the machine unless it says where to go."""
    state = {"Type": "Task", "Resource": f"arn:aws:states:::{resource}", "Arguments": arguments, **more}
    return state if "Next" in state else {**state, "End": True}


def invoke(function: str, payload: Any = None, **more: Any) -> dict[str, Any]:
    """A Task that calls a Lambda function."""
    return task("lambda:invoke", {"FunctionName": function, "Payload": payload or {}}, **more)


def until(ready: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something to be true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := ready():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not so within {seconds} seconds")
