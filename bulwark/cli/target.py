"""Where a command works: the embedded AWS that `bulwark up` started, or a deployed stack."""

import functools
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem
from bulwark.rules import ROOT, NotJson, read_json

# A file for each embedded AWS that runs.
RUNNING = ROOT / ".bulwark" / "running"
# Named in samconfig.toml.
SAM_FILES = ROOT / ".bulwark" / "sam"

StackOption = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        envvar="BULWARK_STACK",
        help="A deployed stack instead of the embedded AWS; takes your default AWS credentials and region.",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        envvar="BULWARK_ENDPOINT",
        help="The embedded AWS at this endpoint; without it, the one that was started last.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]


class FunctionFailed(Exception):
    """A function raised something: its name is `kind`, and the text says it with its message."""

    def __init__(self, said: dict):
        super().__init__(f"{said.get('errorType')}: {said.get('errorMessage')}")
        self.kind = said.get("errorType")


class Target:
    """The stack's outputs, clients of its services, and its HTTP API."""

    def __init__(self, name: str, outputs: dict[str, str], clients: Callable[[str], Any], endpoint: str | None = None):
        self.name, self.outputs, self.endpoint = name, outputs, endpoint
        self._clients, self._making = clients, threading.Lock()

    @property
    def is_local(self) -> bool:
        return self.endpoint is not None

    def client(self, service: str) -> Any:
        with self._making:
            return self._clients(service)

    def invoke(self, function: str, event: dict) -> Any:
        """Call a function and wait for what it returns; raises FunctionFailed."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
        said = read_json(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise FunctionFailed(said if isinstance(said, dict) else {})
        return said

    def sign_in(self, role: str) -> "Api":
        """The HTTP API as a local user of a role, or as the user that the environment or a prompt names."""
        if self.is_local:
            username, password = self.outputs[f"{role}Username"], self.outputs[f"{role}Password"]
        else:
            username, password = _asked("BULWARK_USERNAME", False), _asked("BULWARK_PASSWORD", True)
        cognito = self.client("cognito-idp")
        try:
            # Who has credentials of the account signs in by them; prod takes a password from nobody else.
            answer = cognito.admin_initiate_auth(
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                UserPoolId=self.outputs["UserPoolId"],
                ClientId=self.outputs["UserPoolClientId"],
                AuthParameters={"USERNAME": username, "PASSWORD": password},
            )
        except cognito.exceptions.NotAuthorizedException as error:
            raise Problem(f"{username} could not sign in: {error}", code=Exit.UNREACHABLE) from error
        if "AuthenticationResult" not in answer:
            hint = "Sign in once where you can answer it (a new user sets a password), then come back."
            raise Problem(
                f"{username} cannot sign in yet: Cognito asks for {answer.get('ChallengeName')}.",
                hint,
                Exit.UNREACHABLE,
            )
        return Api(self.outputs["ApiUrl"], answer["AuthenticationResult"]["AccessToken"])

    def policy(self) -> dict:
        """The runtime policy in force; empty where none is deployed."""
        client = self.client("appconfigdata")
        try:
            session = client.start_configuration_session(
                ApplicationIdentifier=self.outputs["PolicyApplicationId"],
                EnvironmentIdentifier=self.outputs["PolicyEnvironmentId"],
                ConfigurationProfileIdentifier=self.outputs["PolicyProfileId"],
            )
            latest = client.get_latest_configuration(ConfigurationToken=session["InitialConfigurationToken"])
        except client.exceptions.ResourceNotFoundException:
            return {}
        return read_json(latest["Configuration"].read() or b"{}")


class Api:
    """The HTTP API, as somebody who has signed in."""

    def __init__(self, url: str, token: str):
        self._url, self._token = url.rstrip("/"), token

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict]:
        """Call a route; gives the status and the JSON of the answer, whatever the status."""
        import urllib.error
        import urllib.request

        from bulwark.local.loopback import open_url

        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self._token}", "content-type": "application/json"},
        )
        try:
            with open_url(request, timeout=60) as response:
                return response.status, _json_or_text(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, _json_or_text(error.read())
        except OSError as error:
            raise Problem(f"The HTTP API at {self._url} does not answer: {error}", code=Exit.UNREACHABLE) from error

    def expect(self, method: str, path: str, body: Any = None) -> dict:
        """Call a route; what it refuses ends the command with its reason."""
        status, answer = self.call(method, path, body)
        if status >= 400:
            raise refusal(status, answer)
        return answer


def refusal(status: int, answer: dict) -> Problem:
    error = answer.get("error") or {}
    said = error.get("message") or answer.get("message") or f"HTTP {status}"
    return Problem(f"{error.get('code', status)}: {said}", code=Exit.REFUSED)


def reach(stack: str | None, endpoint: str | None) -> Target:
    """The target that the options name, or the embedded AWS that runs."""
    if stack:
        return _deployed(stack)
    if endpoint:
        return embedded(endpoint)
    found = running_locally()
    if not found:
        raise Problem(
            "No embedded AWS is running.",
            "Start one with 'bulwark up' in another terminal, or name a deployed stack with --stack NAME.",
            Exit.UNREACHABLE,
        )
    latest = found[-1]["endpoint"]
    if len(found) > 1:
        render.warn(
            f"{len(found)} embedded AWSs run here; this is of {latest}, the last started. --endpoint names one."
        )
    return embedded(latest)


def running_locally() -> list[dict]:
    """What each embedded AWS that runs here says of itself, the last started last."""
    from bulwark.local import owned

    found = [path for path in RUNNING.glob("*.json") if owned.has_owner(path)]
    states = []
    for path in found:
        # Its owner may just have ended.
        with suppress(OSError, NotJson):
            states.append(read_json(path.read_bytes()))
    return sorted(states, key=lambda state: state["started_at"])


def embedded(endpoint: str) -> Target:
    """The embedded AWS at an endpoint, from another process."""
    outputs = ask(endpoint, "GET", "outputs")

    @functools.cache
    def clients(service: str) -> Any:
        from botocore.config import Config

        from bulwark.local.clients import DIRECTLY

        config = Config(inject_host_prefix=False, s3={"addressing_style": "path"}, max_pool_connections=32, **DIRECTLY)
        return session().client(service, endpoint_url=endpoint, config=config)

    @functools.cache
    def session() -> Any:
        from bulwark.local.clients import own_session

        return own_session()

    return Target(f"the embedded AWS at {endpoint}", outputs, clients, endpoint)


def started(cloud: Any) -> Target:
    """The embedded AWS of this very process."""
    return Target(f"the embedded AWS at {cloud.endpoint}", dict(cloud.outputs), cloud.client, cloud.endpoint)


def ask(endpoint: str, method: str, call: str, body: bytes | None = None) -> Any:
    """A control call of the embedded AWS."""
    import urllib.error
    import urllib.request

    from bulwark.local.loopback import open_url

    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{endpoint.rstrip('/')}/_bulwark/{call}", body, headers, method=method)
    try:
        with open_url(request, timeout=10) as response:
            return read_json(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        raise Problem(_json_or_text(error.read()).get("error", f"HTTP {error.code}"), code=Exit.REFUSED) from error
    except (OSError, ValueError) as error:
        raise Problem(f"No embedded AWS answers at {endpoint}: {error}", code=Exit.UNREACHABLE) from error


def _deployed(stack: str) -> Target:
    import boto3

    session = boto3.Session()
    formation = session.client("cloudformation")
    try:
        found = formation.describe_stacks(StackName=stack)["Stacks"][0]
    except formation.exceptions.ClientError as error:
        said = error.response["Error"]
        if said["Code"] != "ValidationError":
            raise
        raise Problem(
            f"There is no stack {stack} in {session.region_name}: {said['Message']}", code=Exit.UNREACHABLE
        ) from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    return Target(f"stack {stack} in {session.region_name}", outputs, functools.cache(session.client))


def _asked(variable: str, hidden: bool) -> str:
    if value := os.environ.get(variable):
        return value
    if not sys.stdin.isatty():
        hint = "Set BULWARK_USERNAME and BULWARK_PASSWORD to a user of the stack's user pool."
        raise Problem(f"{variable} is not set.", hint, Exit.UNREACHABLE)
    return typer.prompt(variable.removeprefix("BULWARK_").capitalize(), hide_input=hidden, err=True)


def _json_or_text(body: bytes) -> dict:
    try:
        value = read_json(body)
    except NotJson:
        return {"message": body.decode(errors="replace")[:500]}
    return value if isinstance(value, dict) else {"message": str(value)}
