"""Gap of moto 5.2: AppConfig has no environments or deployments, and appconfigdata does not exist.

Bridged: environments, deployment strategies and deployments, with the profile's Lambda validators run first,
growth and bake time at a local pace, roll back on an environment's alarms, and the data plane's sessions.
State hangs on moto's own backend, so that its reset forgets it. moto has closed the gap when
AppConfigResponse has a `start_deployment` of its own; then `install` stops the start and this file can go.
"""

import base64
import json
import math
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.appconfig import urls
from moto.appconfig.models import ConfigurationProfile, HostedConfigurationVersion, appconfig_backends
from moto.appconfig.responses import AppConfigResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import BaseResponse

from bulwark.local import moto_names
from bulwark.local.service_errors import service_error

SECONDS_PER_MINUTE = 0.05  # A deployment of twenty minutes takes a second here.
POLL_INTERVAL_SECONDS = 60
IN_FLIGHT = ("DEPLOYING", "BAKING")
_MANAGED_STRATEGIES = {
    "AppConfig.AllAtOnce": (0, 10, 100.0, "LINEAR"),
    "AppConfig.Linear50PercentEvery30Seconds": (1, 1, 50.0, "LINEAR"),
    "AppConfig.Linear20PercentEvery6Minutes": (30, 30, 20.0, "LINEAR"),
    "AppConfig.Canary10Percent20Minutes": (20, 10, 10.0, "EXPONENTIAL"),
}

ClientFactory = Callable[[str], Any]
_state_lock = threading.RLock()


@dataclass
class Deployment:
    number: int
    strategy: dict[str, Any]
    profile: ConfigurationProfile
    version: HostedConfigurationVersion
    description: str
    started_at: float
    seconds_per_minute: float
    ended: str | None = None  # ROLLED_BACK or REVERTED, once it was

    def state(self, now: float) -> str:
        grown, baked = self._times()
        elapsed = now - self.started_at
        return self.ended or ("DEPLOYING" if elapsed < grown else "BAKING" if elapsed < baked else "COMPLETE")

    def percentage(self, now: float) -> float:
        grown, _ = self._times()
        if self.ended:
            return 0.0
        if now - self.started_at >= grown:
            return 100.0
        share, factor = (now - self.started_at) / grown, self.strategy["GrowthFactor"]
        if self.strategy["GrowthType"] == "EXPONENTIAL":
            return min(100.0, factor * 2 ** int(share * math.log2(100 / factor)))
        return min(100.0, factor * (1 + int(share * 100 / factor)))

    def _times(self) -> tuple[float, float]:
        grown = self.strategy["DeploymentDurationInMinutes"] * self.seconds_per_minute
        return grown, grown + self.strategy["FinalBakeTimeInMinutes"] * self.seconds_per_minute


@dataclass
class Environment:
    id: str
    application_id: str
    name: str
    description: str
    monitors: list[dict[str, str]]
    deployments: list[Deployment] = field(default_factory=list)

    def as_dict(self, now: float) -> dict[str, Any]:
        running = next((each.state(now) for each in self.deployments if each.state(now) in IN_FLIGHT), None)
        return {
            "ApplicationId": self.application_id,
            "Id": self.id,
            "Name": self.name,
            "Description": self.description,
            "State": "DEPLOYING" if running else "READY_FOR_DEPLOYMENT",
            "Monitors": self.monitors,
        }


@dataclass
class Session:
    """A client's session: the share of clients it falls into, what it has seen, and its one valid token."""

    environment: Environment
    profile: ConfigurationProfile
    interval: int | None
    token: str
    percentile: float = field(default_factory=lambda: random.uniform(0, 100))
    seen: HostedConfigurationVersion | None = None
    polled_at: float | None = None


@dataclass
class State:
    environments: dict[str, Environment] = field(default_factory=dict)
    strategies: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)


class AppConfigDataResponse(BaseResponse):
    """appconfigdata: sessions, and the configuration in force for each."""

    def __init__(self) -> None:
        super().__init__(service_name="appconfigdata")

    def start_configuration_session(self) -> tuple[str, dict[str, Any]]:
        asked = json.loads(self.body)
        backend = appconfig_backends[self.current_account][self.region]
        with _state_lock:
            application = _named("Application", asked["ApplicationIdentifier"], backend.applications)
            in_application = {
                key: each for key, each in _state(self).environments.items() if each.application_id == application.id
            }
            environment = _named("Environment", asked["EnvironmentIdentifier"], in_application)
            profiles = application.config_profiles
            profile = _named("ConfigurationProfile", asked["ConfigurationProfileIdentifier"], profiles)
            session = Session(
                environment,
                profile,
                asked.get("RequiredMinimumPollIntervalInSeconds"),
                secrets.token_urlsafe(32),
            )
            _state(self).sessions[session.token] = session
        return json.dumps({"InitialConfigurationToken": session.token}), {"status": 201}

    def get_latest_configuration(self) -> tuple[bytes, dict[str, Any]]:
        token = (self.querystring.get("configuration_token") or [""])[0]
        with _state_lock:
            sessions = _state(self).sessions
            session = sessions.get(token)
            if session is None:
                raise _refused("Token is not valid: each token serves one call, and the next one comes with it.")
            now = time.monotonic()
            if session.interval and session.polled_at and now - session.polled_at < session.interval:
                raise _refused(f"This session polls no more often than every {session.interval} seconds.")
            version = _in_force(session, now)
            if version is None:
                message = f"No configuration of {session.profile.name} is deployed to {session.environment.name}."
                raise service_error("appconfigdata", "ResourceNotFoundException", message)
            del sessions[token]
            session.token, session.polled_at = secrets.token_urlsafe(32), now
            sessions[session.token] = session
            changed, session.seen = version is not session.seen, version
        headers = {
            "Next-Poll-Configuration-Token": session.token,
            "Next-Poll-Interval-In-Seconds": str(session.interval or POLL_INTERVAL_SECONDS),
            "Content-Type": version.content_type or "application/octet-stream",
        }
        if version.version_label:
            headers["Version-Label"] = version.version_label
        return (_content(version) if changed else b""), headers


@dataclass
class _Installed:
    client: ClientFactory
    seconds_per_minute: float
    call_action: Callable[[AppConfigResponse], Any] = AppConfigResponse.call_action


def install(client_factory: ClientFactory, seconds_per_minute: float = SECONDS_PER_MINUTE) -> None:
    """Add what moto lacks; validators and alarms are reached with what `client_factory(service)` makes."""
    global _installed
    for name, operation in _OPERATIONS.items():
        existing = getattr(AppConfigResponse, name, None)
        if existing is not None and existing.__module__ != __name__:
            raise moto_names.MotoChanged(f"moto has {name} of AppConfig now: local/appconfig.py can go")
        setattr(AppConfigResponse, name, operation)
    moto_names.require(
        "moto.appconfig.models:Application.to_json",
        "moto.appconfig.models:ConfigurationProfile.get_version",
        "moto.core.responses:BaseResponse._get_action_from_method_and_request_uri",
        "moto.core.responses:BaseResponse._dispatch",
    )
    # moto lists each path it serves; everything else that signs as appconfig is ours.
    urls.url_paths["{0}/.*$"] = AppConfigResponse.dispatch
    _installed = _Installed(client_factory, seconds_per_minute)
    if AppConfigResponse.call_action is not _call_action_or_data_plane:
        moto_names.replace("moto.appconfig.responses:AppConfigResponse.call_action", _call_action_or_data_plane)


def _call_action_or_data_plane(self: AppConfigResponse) -> Any:
    data_plane = AppConfigDataResponse()
    if data_plane._get_action_from_method_and_request_uri(self.normalized_request):
        return data_plane._dispatch(self.normalized_request)
    return _installed.call_action(self)


def create_environment(self: AppConfigResponse) -> tuple[str, dict[str, Any]]:
    asked = json.loads(self.body)
    application = self.appconfig_backend.get_application(self.uri_match["ApplicationId"])
    environment = Environment(
        secrets.token_hex(4)[:7],
        application.id,
        asked["Name"],
        asked.get("Description", ""),
        asked.get("Monitors", []),
    )
    with _state_lock:
        _state(self).environments[environment.id] = environment
    return json.dumps(environment.as_dict(time.monotonic())), {"status": 201}


def get_environment(self: AppConfigResponse) -> str:
    with _state_lock:
        return json.dumps(_environment(self).as_dict(time.monotonic()))


def list_environments(self: AppConfigResponse) -> str:
    application = self.appconfig_backend.get_application(self.uri_match["ApplicationId"])
    with _state_lock:
        found = [each for each in _state(self).environments.values() if each.application_id == application.id]
        return json.dumps({"Items": [each.as_dict(time.monotonic()) for each in found]})


def delete_environment(self: AppConfigResponse) -> tuple[str, dict[str, Any]]:
    with _state_lock:
        del _state(self).environments[_environment(self).id]
    return "", {"status": 204}


def create_deployment_strategy(self: AppConfigResponse) -> tuple[str, dict[str, Any]]:
    asked = json.loads(self.body)
    strategy = {
        "Id": secrets.token_hex(4)[:7],
        "Name": asked["Name"],
        "Description": asked.get("Description", ""),
        "DeploymentDurationInMinutes": asked["DeploymentDurationInMinutes"],
        "GrowthType": asked.get("GrowthType", "LINEAR"),
        "GrowthFactor": float(asked["GrowthFactor"]),
        "FinalBakeTimeInMinutes": asked.get("FinalBakeTimeInMinutes", 0),
        "ReplicateTo": asked.get("ReplicateTo", "NONE"),
    }
    with _state_lock:
        _state(self).strategies[strategy["Id"]] = strategy
    return json.dumps(strategy), {"status": 201}


def get_deployment_strategy(self: AppConfigResponse) -> str:
    with _state_lock:
        return json.dumps(_strategy(self, self.uri_match["DeploymentStrategyId"]))


def list_deployment_strategies(self: AppConfigResponse) -> str:
    with _state_lock:
        return json.dumps({"Items": list(_state(self).strategies.values())})


def validate_configuration(self: AppConfigResponse) -> tuple[str, dict[str, Any]]:
    profile = self.appconfig_backend.get_configuration_profile(
        self.uri_match["ApplicationId"], self.uri_match["ConfigurationProfileId"]
    )
    _validate(profile, _version(profile, (self.querystring.get("configuration_version") or [""])[0]))
    return "", {"status": 204}


def start_deployment(self: AppConfigResponse) -> tuple[str, dict[str, Any]]:
    asked = json.loads(self.body)
    profile = self.appconfig_backend.get_configuration_profile(
        self.uri_match["ApplicationId"], asked["ConfigurationProfileId"]
    )
    version = _version(profile, asked["ConfigurationVersion"])
    with _state_lock:
        environment, strategy = _environment(self), _strategy(self, asked["DeploymentStrategyId"])
        _refuse_second(environment)
    # The validator may itself read the policy in force, so it runs without the lock.
    _validate(profile, version)
    with _state_lock:
        _refuse_second(environment)
        number, description = len(environment.deployments) + 1, asked.get("Description", "")
        deployment = Deployment(
            number, strategy, profile, version, description, time.monotonic(), _installed.seconds_per_minute
        )
        environment.deployments.append(deployment)
        return json.dumps(_described(environment, deployment)), {"status": 201}


def get_deployment(self: AppConfigResponse) -> str:
    with _state_lock:
        return json.dumps(_described(*_deployment(self)))


def list_deployments(self: AppConfigResponse) -> str:
    hidden = (
        "ApplicationId",
        "EnvironmentId",
        "DeploymentStrategyId",
        "ConfigurationLocationUri",
        "Description",
    )
    with _state_lock:
        environment = _environment(self)
        items = [_described(environment, each) for each in reversed(environment.deployments)]
    return json.dumps({"Items": [{key: item[key] for key in item if key not in hidden} for item in items]})


def stop_deployment(self: AppConfigResponse) -> tuple[str, dict[str, Any]]:
    with _state_lock:
        environment, deployment = _deployment(self)
        if deployment.state(time.monotonic()) in IN_FLIGHT:
            deployment.ended = "ROLLED_BACK"
        elif str(self.headers.get("Allow-Revert", "")).lower() == "true" and not deployment.ended:
            deployment.ended = "REVERTED"
        else:
            message = "Only a deployment that is deploying or baking can be stopped."
            raise service_error("appconfig", "BadRequestException", message)
        return json.dumps(_described(environment, deployment)), {"status": 202}


_OPERATIONS = {
    operation.__name__: operation
    for operation in (
        create_environment,
        get_environment,
        list_environments,
        delete_environment,
        create_deployment_strategy,
        get_deployment_strategy,
        list_deployment_strategies,
        validate_configuration,
        start_deployment,
        get_deployment,
        list_deployments,
        stop_deployment,
    )
}


def _state(response: BaseResponse) -> State:
    backend = appconfig_backends[response.current_account][response.region]
    return vars(backend).setdefault("_bulwark_state", State())


def _environment(response: AppConfigResponse) -> Environment:
    application = response.appconfig_backend.get_application(response.uri_match["ApplicationId"])
    environment = _state(response).environments.get(response.uri_match["EnvironmentId"])
    if environment is None or environment.application_id != application.id:
        raise _missing("Environment", response.uri_match["EnvironmentId"])
    return environment


def _deployment(response: AppConfigResponse) -> tuple[Environment, Deployment]:
    environment = _environment(response)
    number = int(response.uri_match["DeploymentNumber"])
    if not 0 < number <= len(environment.deployments):
        raise _missing("Deployment", str(number))
    return environment, environment.deployments[number - 1]


def _strategy(response: AppConfigResponse, strategy_id: str) -> dict[str, Any]:
    if strategy_id in _MANAGED_STRATEGIES:
        duration, bake, factor, growth = _MANAGED_STRATEGIES[strategy_id]
        return {
            "Id": strategy_id,
            "Name": strategy_id,
            "DeploymentDurationInMinutes": duration,
            "GrowthType": growth,
            "GrowthFactor": factor,
            "FinalBakeTimeInMinutes": bake,
            "ReplicateTo": "NONE",
        }
    strategy = _state(response).strategies.get(strategy_id)
    if strategy is None:
        raise _missing("DeploymentStrategy", strategy_id)
    return strategy


def _version(profile: ConfigurationProfile, asked: str) -> HostedConfigurationVersion:
    for number, version in profile.config_versions.items():
        if asked in (str(number), version.version_label):
            return version
    raise _missing("HostedConfigurationVersion", asked)


def _named(kind: str, identifier: str, things: dict[str, Any]) -> Any:
    """A thing by its id or its name."""
    found = things.get(identifier) or next((each for each in things.values() if each.name == identifier), None)
    if found is None:
        raise service_error("appconfigdata", "ResourceNotFoundException", f"{kind} {identifier} could not be found")
    return found


def _refuse_second(environment: Environment) -> None:
    if any(each.state(time.monotonic()) in IN_FLIGHT for each in environment.deployments):
        message = "Another deployment to this environment is in progress: wait for its end, or stop it."
        raise service_error("appconfig", "ConflictException", message)


def _validate(profile: ConfigurationProfile, version: HostedConfigurationVersion) -> None:
    """Ask the profile's validators; what one raises refuses the configuration."""
    for validator in profile.validators or []:
        if validator["Type"] != "LAMBDA":
            raise service_error("appconfig", "BadRequestException", "The local AppConfig runs LAMBDA validators only.")
        event = {
            "applicationId": profile.application_id,
            "configurationProfileId": profile.id,
            "configurationVersion": str(version.version),
            "content": base64.b64encode(_content(version)).decode(),
            "uri": profile.location_uri,
        }
        answer = _installed.client("lambda").invoke(
            FunctionName=validator["Content"], Payload=json.dumps(event).encode()
        )
        if answer.get("FunctionError"):
            raise _invalid_configuration(json.loads(answer["Payload"].read() or b"{}"))


def _invalid_configuration(error: dict[str, Any]) -> JsonRESTError:
    reason = f"{error.get('errorType', 'Error')}: {error.get('errorMessage', 'the validator failed')}"
    refusal = service_error("appconfig", "BadRequestException", reason)
    detail = {"Constraint": "Lambda Validation Error", "Reason": reason, "Type": "INVALID_CONFIGURATION"}
    refusal.description = json.dumps(
        {
            "__type": "BadRequestException",
            "Message": f"Error validating configuration. {reason}",
            "Reason": "InvalidConfiguration",
            "Details": {"InvalidConfiguration": [detail]},
        }
    )
    return refusal


def _described(environment: Environment, deployment: Deployment) -> dict[str, Any]:
    now = time.monotonic()
    _roll_back_on_alarm(environment, deployment, now)
    strategy, state = deployment.strategy, deployment.state(now)
    described = {
        "ApplicationId": environment.application_id,
        "EnvironmentId": environment.id,
        "DeploymentStrategyId": strategy["Id"],
        "ConfigurationProfileId": deployment.profile.id,
        "DeploymentNumber": deployment.number,
        "ConfigurationName": deployment.profile.name,
        "ConfigurationLocationUri": deployment.profile.location_uri,
        "ConfigurationVersion": str(deployment.version.version),
        "Description": deployment.description,
        **{name: strategy[name] for name in ("DeploymentDurationInMinutes", "GrowthType", "GrowthFactor")},
        "FinalBakeTimeInMinutes": strategy["FinalBakeTimeInMinutes"],
        "State": state,
        "PercentageComplete": deployment.percentage(now),
        "StartedAt": _timestamp(deployment.started_at),
    }
    if deployment.version.version_label:
        described["VersionLabel"] = deployment.version.version_label
    if state not in IN_FLIGHT:
        described["CompletedAt"] = _timestamp(now)
    return described


def _roll_back_on_alarm(environment: Environment, deployment: Deployment, now: float) -> None:
    """An alarm of the environment's monitors during growth or bake undoes the deployment."""
    if not environment.monitors or deployment.state(now) not in IN_FLIGHT:
        return
    names = [monitor["AlarmArn"].rpartition(":alarm:")[2] for monitor in environment.monitors]
    alarms = _installed.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    if any(alarm["StateValue"] == "ALARM" for alarm in alarms):
        deployment.ended = "ROLLED_BACK"


def _in_force(session: Session, now: float) -> HostedConfigurationVersion | None:
    """The newest version whose deployment has reached this client; the first ever reaches everyone."""
    reached = None
    for deployment in session.environment.deployments:
        if deployment.profile is not session.profile:
            continue
        _roll_back_on_alarm(session.environment, deployment, now)
        if deployment.ended:
            continue
        if reached is None or session.percentile < deployment.percentage(now):
            reached = deployment.version
    return reached


def _content(version: HostedConfigurationVersion) -> bytes:
    return version.content if isinstance(version.content, bytes) else version.content.encode()


def _timestamp(monotonic: float) -> str:
    at = time.time() - time.monotonic() + monotonic
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _missing(kind: str, identifier: str) -> JsonRESTError:
    return service_error("appconfig", "ResourceNotFoundException", f"{kind} {identifier} could not be found")


def _refused(message: str) -> JsonRESTError:
    return service_error("appconfigdata", "BadRequestException", message)
