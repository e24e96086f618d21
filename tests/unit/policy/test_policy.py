"""adapters/policy.py: the newest valid policy, and the last good one while a new one is bad."""

import json

import pytest
from botocore.exceptions import ClientError

from adapters import policy
from adapters.policy import MAX_AGE_SECONDS, RETRY_AFTER_SECONDS
from adapters.schemas import SchemaViolated
from domain.errors import PolicyUnavailable
from domain.policy import PolicyInvalid


class Deployed:
    """AppConfig as the provider calls it: one document, or an outage."""

    def __init__(self):
        self.content: str | None = None
        self.sessions = 0

    def start_configuration_session(self, **_) -> dict:
        self.sessions += 1
        return {"InitialConfigurationToken": "token"}

    def get_latest_configuration(self, **_) -> dict:
        if self.content is None:
            raise ClientError({"Error": {"Code": "InternalServerException"}}, "GetLatestConfiguration")
        return {"Configuration": self, "NextPollConfigurationToken": "token"}

    def read(self) -> bytes:
        return self.content.encode()


@pytest.fixture
def deployed(monkeypatch, clock) -> Deployed:
    """An environment without a policy, met by a process that has just begun."""
    fake = Deployed()
    for name, value in {"_provider": None, "_last_good": None, "_retry_at": 0.0, "client": fake}.items():
        monkeypatch.setattr(policy, name, value)
    return fake


@pytest.fixture
def wait(monkeypatch, clock):
    """Let time pass, for the provider's own cache as well."""

    def run(seconds: float) -> None:
        clock(seconds)
        if policy._provider:
            policy._provider.store.clear()

    return run


def version(document: dict, name: str, **change: object) -> str:
    return json.dumps(document | {"version": name} | change)


def test_a_deployed_policy_is_in_force(deployed, policy_document):
    deployed.content = version(policy_document, "one")

    assert policy.current().version == "one"


def test_what_the_validator_can_read_the_functions_can(deployed, policy_document):
    deployed.content = "\ufeff" + version(policy_document, "one")

    assert policy.current().version == "one"


def test_without_any_policy_nothing_is_decided(deployed):
    with pytest.raises(PolicyUnavailable, match="bulwark policy deploy"):
        policy.current()


def test_a_first_policy_that_is_bad_is_told_by_name(deployed, policy_document):
    deployed.content = version(policy_document, "one", models={})

    with pytest.raises(PolicyUnavailable, match="SchemaViolated"):
        policy.current()


def test_a_new_policy_replaces_the_old(deployed, policy_document, wait):
    deployed.content = version(policy_document, "one")
    policy.current()
    deployed.content = version(policy_document, "two")
    wait(MAX_AGE_SECONDS + 1)

    assert policy.current().version == "two"


@pytest.mark.parametrize("bad", [None, "{", "[]", '{"version": "two"}', "contradiction"])
def test_the_last_good_policy_outlives_a_bad_one_and_gives_way_to_the_next(deployed, policy_document, wait, bad):
    deployed.content = version(policy_document, "one")
    policy.current()
    contradiction = {"risk_classes": {}}
    deployed.content = version(policy_document, "two", **contradiction) if bad == "contradiction" else bad
    wait(MAX_AGE_SECONDS + 1)

    assert policy.current().version == "one"

    deployed.content = version(policy_document, "three")
    assert policy.current().version == "one", "an outage is not asked about for each request"
    wait(RETRY_AFTER_SECONDS + 1)
    assert policy.current().version == "three"
    assert deployed.sessions == 2, "a session does not outlive its failure"


def test_a_document_is_checked_twice(policy_document):
    with pytest.raises(SchemaViolated):
        policy.load(policy_document | {"models": {}})
    with pytest.raises(PolicyInvalid):
        policy.load(policy_document | {"risk_classes": {}})


@pytest.mark.parametrize(
    "incidents",
    [
        None,
        {},
        {"detection": {}, "correlation": {}},
        {"detection": {}, "correlation": {}, "mitigation": {}},
        {"detection": {}, "correlation": {}, "mitigation": {"ladders": {"LATENCY": ["ask_less"]}}},
        {"detection": {}, "correlation": {}, "mitigation": {"ladders": {"LATENCY": "refuse"}}},
        {"detection": {}, "correlation": {}, "mitigation": {"ladders": {"BAD_MOOD": ["refuse"]}}},
        {"detection": {"false_alarms_per_day": -1}, "correlation": {}, "mitigation": {"ladders": {}}},
        {"detection": {}, "correlation": {}, "mitigation": {"ladders": {}}, "unforeseen": {}},
    ],
)
def test_what_is_no_section_on_incidents_is_told_by_the_schema(policy_document, incidents):
    document = policy_document | {"incidents": incidents}
    if incidents is None:
        del document["incidents"]

    with pytest.raises(SchemaViolated, match="incidents"):
        policy.load(document)


def test_a_section_on_incidents_may_leave_all_to_what_is_usual(policy_document):
    least = {"detection": {}, "correlation": {}, "mitigation": {"ladders": {}}}

    assert policy.load(policy_document | {"incidents": least}).incidents == least
