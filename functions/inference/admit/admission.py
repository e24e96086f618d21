"""Admission: what is known of a request on its way in; each step takes it and gives it with more."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from adapters.requests_table import Claim
from adapters.sealing import SubjectKey
from domain.modes import NORMAL, EffectiveMode
from domain.policy import Policy, Tenant, UseCase
from domain.requests import Request


# Not a dataclass: a changed copy of so many fields takes dataclasses.replace four times as long.
class Admission(NamedTuple):
    event: dict
    execution_name: str
    own_account: str
    moment: float
    rules: Policy
    detail: dict | None = None  # the body, if it is a JSON object
    tenant: Tenant | None = None
    request: Request | None = None
    use_case: UseCase | None = None  # as its tenant has it, and as its mode leaves it
    mode: EffectiveMode = NORMAL
    recorded: Mapping = MappingProxyType({})  # what the record says of how it is answered, from its claim on
    claim: Claim | None = None
    subject: SubjectKey | None = None
    answer_key: str | None = None
    told: dict | None = None  # what the machine is told; no step comes after it

    @property
    def channel(self) -> str:
        """A call was given its tenant by the authoriser; an event is still to be given its own."""
        return "sync" if "tenant" in self.event else "event"

    @property
    def event_id(self) -> str:
        return self.event.get("id") or self.execution_name
