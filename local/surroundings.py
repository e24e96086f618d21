"""What a stack's resources stand in besides moto: functions, layers, mappings and HTTP APIs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.events.mappings import EventSourceMappings
from local.functions import AsynchronousInvocations, FunctionHost


@dataclass(frozen=True)
class Api:
    """An HTTP API as its template describes it."""

    logical_id: str
    identifier: str
    body: dict[str, Any]
    properties: dict[str, Any]
    stages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def placeholder(self) -> str:
        """The address that it would have on AWS, until it is known where it is served here."""
        return f"https://{self.identifier}.execute-api.us-east-1.amazonaws.com"


@dataclass
class Surroundings:
    """Handed to the handlers of resources."""

    functions: FunctionHost
    asynchronous: AsynchronousInvocations
    mappings: EventSourceMappings
    layers: dict[str, Path] = field(default_factory=dict)
    apis: list[Api] = field(default_factory=list)

    def add_api(self, api: Api) -> None:
        self.apis.append(api)

    def add_stage(self, api_id: str, stage: dict[str, Any]) -> None:
        next(api for api in self.apis if api.identifier == api_id).stages.append(stage)
