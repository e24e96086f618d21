"""The embedded AWS as a whole: start it from a template, use it, stop it without a trace."""

import atexit
import gc
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bulwark.documents import read_text
from bulwark.local import moto_names, owned, translation
from bulwark.local.clients import CREDENTIALS, REGION, Clients, without_the_users_own
from bulwark.local.functions.host import CONCURRENCY
from bulwark.local.moto_names import MOTO_VERSION, MotoChanged
from bulwark.local.sam import containers
from bulwark.local.server import Application, Server
from bulwark.local.stack import Stack
from bulwark.rules import NotJson, read_json

# What Docker calls the machine that it runs on.
IN_CONTAINERS = "host.docker.internal"
_running: "Cloud | None" = None
_starting = threading.Lock()


class AlreadyRunning(RuntimeError):
    """moto keeps its state in the process, so a process holds one cloud at a time."""


class Cloud:
    """A running embedded AWS; `stop` ends it, as does leaving it as a context."""

    def __init__(
        self,
        python: str | None = None,
        port: int = 0,
        concurrency: int = CONCURRENCY,
        longest_window: float = math.inf,
    ) -> None:
        self._ending: list[Callable[[], None]] = []
        self._stop_lock = threading.Lock()
        self._stopped = False
        self._python, self._port, self._concurrency = python, port, concurrency
        self._longest_window = longest_window

    endpoint: str
    """Any AWS client's AWS_ENDPOINT_URL."""
    container_endpoint: str | None = None
    """The same in a container, once the cloud is open to them."""
    api_url: str = ""
    """Where the HTTP API `Api` is served, or the only one."""
    outputs: dict[str, Any]
    """The stack's outputs, where it is reached, and the local users."""
    stack: Stack

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, the same one each time."""
        return self._clients(service)

    @property
    def calls(self) -> dict[tuple[str, str], int]:
        """How often each operation of each service was called: {("dynamodb", "GetItem"): 3}."""
        return dict(self._application.faults.calls)

    def load_faults(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """Script what goes wrong: {"faults": [...]} in Bedrock, {"services": [...]} in any other service."""
        self._application.faults.load(document.get("services", []))
        return self.bedrock.load_faults({"faults": document.get("faults", [])}) + document.get("services", [])

    def clear_faults(self) -> None:
        """Take back what load_faults scripted."""
        self._application.faults.load([])
        self.bedrock.clear_faults()

    def settle(self, seconds: float = 10) -> bool:
        """Wait until no event is on its way to a target and no asynchronous invocation is under way."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not self.events.pending and not self._surroundings.asynchronous.pending:
                return True
            time.sleep(0.01)
        return False

    def stop(self) -> None:
        """End every process, thread and server, remove what was written, and put moto back."""
        global _running
        with self._stop_lock:
            if self._stopped:
                return
            self._stopped = True
        failures = []
        while self._ending:
            try:
                self._ending.pop()()
            except Exception as error:  # the rest must still be ended
                failures.append(error)
        if _running is self:
            _running = None
        if failures:
            raise failures[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def deploy(
        self,
        template: str | os.PathLike[str],
        stack_name: str,
        parameters: dict[str, Any] | None = None,
        policy: Any = None,
    ) -> Stack:
        """Create another stack in the same account, beside the one that the cloud was started with."""
        stack = self._created(Path(template), stack_name, parameters)
        if policy is not None:
            self._deploy_policy(stack, policy)
        self._surroundings.mappings.start()
        return stack

    def open_to_containers(self, address: str | None = None) -> None:
        """Answer where containers reach this machine as well: at Docker's bridge, or at another engine's address."""
        address = address or containers.address()
        if address is None:
            return
        if containers.is_ours(address):
            server = Server(self._application, threads=4, host=address, names=(address, IN_CONTAINERS))
            self._ending.append(server.stop)
            self.container_endpoint = server.url
        else:
            self._server.open_to(address, IN_CONTAINERS)
            self.container_endpoint = self.endpoint.replace("127.0.0.1", address)

    # The steps of `start`, in order.

    def _open(self) -> None:
        """The endpoint, and moto behind it with its gaps bridged."""
        from moto.moto_api._internal import moto_api_backend

        self._ending.append(moto_api_backend.reset)
        self._application = Application()
        self._server = Server(self._application, self._port)
        self._ending.append(self._server.stop)
        self._ending.append(moto_names.put_back)
        self.endpoint = self._server.url
        self._clients = Clients(self.endpoint, self._application)

    def _bridge(self, scenario: Any, replay: Any) -> None:
        from moto.sqs import sqs_backends

        from bulwark.local import appconfig, bedrock, dynamodb, hot_paths, retained, sqs, stepfunctions
        from bulwark.local.clients import ACCOUNT
        from bulwark.local.events.delivery import Delivery
        from bulwark.local.events.mappings import EventSourceMappings
        from bulwark.local.events.targets import Targets
        from bulwark.local.functions import AsynchronousInvocations, FunctionHost, lambda_api
        from bulwark.local.logs import FunctionLogs, metric_queries, metric_store
        from bulwark.local.surroundings import Surroundings

        hot_paths.install()
        retained.install()
        dynamodb.install()
        metric_store.install()
        metric_queries.install()
        sqs.install()
        targets = Targets(self._clients)
        self.events = Delivery(targets)
        self.events.install()
        self.functions = FunctionHost(self.endpoint, FunctionLogs(), self._python, self._concurrency)
        asynchronous = AsynchronousInvocations(self.functions, targets.send)
        targets.asynchronous = asynchronous
        mappings = EventSourceMappings(self.functions, self._clients, targets, self._longest_window)
        self._surroundings = Surroundings(self.functions, asynchronous, mappings, self._keys, self._invoke)
        self._application.invocations = lambda_api.Invocations(self.functions, asynchronous)
        lambda_api.install(self.functions, asynchronous)
        # Executions are told to end before anything fails under them, and awaited when nothing holds them back.
        self._ending += [stepfunctions.stop, asynchronous.stop, self.functions.stop, mappings.stop, self.events.stop]
        self._ending += [lambda: sqs.stop(sqs_backends[ACCOUNT][REGION]), lambda: stepfunctions.stop(0)]
        self._ending.append(self._surroundings.close)

        stepfunctions.install(self._clients.unchecked)
        appconfig.install(self._clients)
        self.bedrock = bedrock.Emulator(scenario=scenario, replay=replay)
        bedrock.install(self.bedrock)

    def _deploy(self, template: Path, name: str, parameters: dict[str, Any] | None) -> None:
        self.stack = self._created(template, name, parameters)
        translation.abandon()
        apis = {
            each: self.stack.attribute(each, "ApiEndpoint") for each in self.stack.logical_ids("AWS::ApiGatewayV2::Api")
        }
        self.api_url = apis.get("Api") or (next(iter(apis.values())) if len(apis) == 1 else "")

    def _created(self, template: Path, name: str, parameters: dict[str, Any] | None) -> Stack:
        from bulwark.local.stack.resources import HANDLERS

        stack = Stack(template, name, self._clients, HANDLERS, self._surroundings, parameters)
        stack.create()
        return stack

    def _add_users(self) -> None:
        from bulwark.local import users

        for pool in self.stack.logical_ids("AWS::Cognito::UserPool"):
            self.outputs |= users.create_users(self._clients("cognito-idp"), self.stack.physical_id(pool))

    def _deploy_policy(self, stack: Stack, policy: Any) -> None:
        """Deploy a policy, at once, to a stack's one configuration profile."""
        document = policy if isinstance(policy, str) else json.dumps(policy) if isinstance(policy, dict) else None
        is_document = document and document.lstrip().startswith("{")
        content = (document if is_document else read_text(Path(policy))).encode()
        appconfig = self._clients("appconfig")
        names = {
            "ApplicationId": "AWS::AppConfig::Application",
            "EnvironmentId": "AWS::AppConfig::Environment",
            "ConfigurationProfileId": "AWS::AppConfig::ConfigurationProfile",
        }
        ids = {key: stack.physical_id(stack.logical_ids(kind)[0]) for key, kind in names.items()}
        made = appconfig.create_hosted_configuration_version(
            ApplicationId=ids["ApplicationId"],
            ConfigurationProfileId=ids["ConfigurationProfileId"],
            Content=content,
            ContentType="application/json",
        )
        appconfig.start_deployment(
            **ids, ConfigurationVersion=str(made["VersionNumber"]), DeploymentStrategyId="AppConfig.AllAtOnce"
        )

    def _add_controls(self) -> None:
        def put_faults(body: bytes) -> Any:
            return {"faults": self.load_faults(_sent(body))}

        def clear_faults(_: bytes) -> Any:
            self.clear_faults()
            return {"faults": []}

        def kill_workers(body: bytes) -> Any:
            asked = _sent(body)
            return {"killed": self.functions.kill_workers(asked.get("function"), int(asked.get("count", 1)))}

        self._application.control.update(
            {
                ("GET", "outputs"): lambda _: self.outputs,
                ("PUT", "faults"): put_faults,
                ("DELETE", "faults"): clear_faults,
                ("POST", "kill-workers"): kill_workers,
            }
        )

    def _begin(self, schedules: bool) -> None:
        from bulwark.local.events.schedules import Schedules

        self._surroundings.mappings.start()
        if schedules:
            clock = Schedules(self._clients, self.events)
            self._ending.append(clock.stop)
            clock.start()

    def _keys(self, issuer: str) -> dict[str, Any]:
        """A user pool's JWKS; on AWS it stands at the issuer's own address."""
        return json.loads(self._get(f"/{issuer.rpartition('/')[2]}/.well-known/jwks.json"))

    def _get(self, path: str) -> bytes:
        environ = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "REQUEST_URI": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
            "wsgi.errors": BytesIO(),
        }
        return b"".join(self._application(environ, lambda *_: None))

    def _invoke(self, arn: str, event: bytes) -> tuple[bytes, str | None]:
        outcome = self.functions.invoke_raw(arn, event)
        return outcome.payload, outcome.function_error


def _sent(body: bytes) -> dict[str, Any]:
    """The object that a control call is sent with; ValueError says what is wrong with it."""
    try:
        sent = read_json(body or b"{}")
    except NotJson as error:
        raise ValueError(f"the body {error}") from error
    if not isinstance(sent, dict):
        raise ValueError("the body is no JSON object")
    return sent


def start(
    template: str | os.PathLike[str] = "template.yaml",
    stack_name: str = "bulwark-local",
    parameters: dict[str, Any] | None = None,
    policy: str | os.PathLike[str] | dict[str, Any] | None = None,
    scenario: Any = None,
    replay: Any = None,
    port: int = 0,
    python: str | None = None,
    schedules: bool = True,
    concurrency: int = CONCURRENCY,
    longest_window: float = math.inf,
) -> Cloud:
    """Start the embedded AWS with a template's resources; whatever fails, nothing is left running.

    A batch of a stream or a queue waits for company as long as the template says, and at most `longest_window` seconds.
    """
    global _running
    if (found := version("moto")) != MOTO_VERSION:
        raise MotoChanged(f"moto {found} is installed, and the embedded AWS is written for moto {MOTO_VERSION}")
    with _starting:
        if _running is not None:
            raise AlreadyRunning("a cloud runs in this process already; stop it first")
        cloud = _running = Cloud(python, port, concurrency, longest_window)
    atexit.register(cloud.stop)
    cloud._ending.append(lambda: atexit.unregister(cloud.stop))
    _stop_on_sigterm(cloud)
    cloud._ending += [without_the_users_own(), translation.abandon]
    try:
        with _uncollected(cloud):
            translation.begin()
            owned.sweep_temporary()
            cloud._open()
            cloud._bridge(scenario, replay)
            cloud._deploy(Path(template), stack_name, parameters)
            cloud.outputs = {
                **cloud.stack.outputs,
                "Endpoint": cloud.endpoint,
                "Region": REGION,
                "AccessKeyId": CREDENTIALS["aws_access_key_id"],
                "SecretAccessKey": CREDENTIALS["aws_secret_access_key"],
            }
            cloud._add_users()
            cloud._add_controls()
            if policy is not None:
                cloud._deploy_policy(cloud.stack, policy)
            cloud._begin(schedules)
    except BaseException:
        cloud.stop()
        raise
    return cloud


@contextmanager
def _uncollected(cloud: Cloud) -> Iterator[None]:
    """Without the garbage collector, which takes a quarter of a start and finds nothing; nor does it look again later.

    What a start makes, modules and descriptions of services above all, is there until the stop.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
        cloud._ending.append(gc.unfreeze)
    finally:
        if was_on:
            gc.enable()


def _stop_on_sigterm(cloud: Cloud) -> None:
    """End as by SIGTERM, but only after stopping; a handler of the owner's own is left alone."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def end(*_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            cloud.stop()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    cloud._ending.append(lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
