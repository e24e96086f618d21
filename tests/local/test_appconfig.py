"""AppConfig of the embedded AWS: validated deployments, and clients that poll for what is in force."""

import base64
import json
import time
from io import BytesIO

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from bulwark.local import appconfig

VALIDATOR = "arn:aws:lambda:us-east-1:123456789012:function:validate"


class Validator:
    """A Lambda client whose one function refuses a policy without a version."""

    def __init__(self):
        self.events = []

    def invoke(self, FunctionName, Payload):
        event = json.loads(Payload)
        self.events.append((FunctionName, event))
        if "version" in json.loads(base64.b64decode(event["content"])):
            return {"StatusCode": 200, "Payload": BytesIO(b"null")}
        error = {"errorType": "SchemaViolated", "errorMessage": "version is missing"}
        return {"FunctionError": "Unhandled", "Payload": BytesIO(json.dumps(error).encode())}


@pytest.fixture(scope="module", autouse=True)
def bridged():
    appconfig.install(lambda service: None)


@pytest.fixture
def validator():
    return Validator()


@pytest.fixture
def client(endpoint, validator):
    def make(service):
        if service == "lambda":
            return validator
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    appconfig.install(make)
    return make


@pytest.fixture
def pace(client):
    """Sets how many seconds a minute of a deployment takes."""
    return lambda seconds: appconfig.install(client, seconds_per_minute=seconds)


@pytest.fixture
def stack(client):
    return Stack(client)


class Stack:
    """An application with an environment, a validated profile and, unless told, an immediate strategy."""

    def __init__(self, client, duration=0, bake=0, factor=100, monitors=()):
        self.control, self.data = client("appconfig"), client("appconfigdata")
        self.application = self.control.create_application(Name="bulwark")["Id"]
        self.environment = self.control.create_environment(
            ApplicationId=self.application, Name="live", Monitors=list(monitors)
        )["Id"]
        self.profile = self.control.create_configuration_profile(
            ApplicationId=self.application,
            Name="runtime",
            LocationUri="hosted",
            Validators=[{"Type": "LAMBDA", "Content": VALIDATOR}],
        )["Id"]
        self.strategy = self.control.create_deployment_strategy(
            Name="steady",
            DeploymentDurationInMinutes=duration,
            FinalBakeTimeInMinutes=bake,
            GrowthFactor=factor,
            ReplicateTo="NONE",
        )["Id"]

    def version(self, policy):
        return self.control.create_hosted_configuration_version(
            ApplicationId=self.application,
            ConfigurationProfileId=self.profile,
            Content=json.dumps(policy).encode(),
            ContentType="application/json",
        )["VersionNumber"]

    def deploy(self, policy):
        return self.control.start_deployment(
            ApplicationId=self.application,
            EnvironmentId=self.environment,
            DeploymentStrategyId=self.strategy,
            ConfigurationProfileId=self.profile,
            ConfigurationVersion=str(self.version(policy)),
        )

    def deployment(self, number):
        return self.control.get_deployment(
            ApplicationId=self.application, EnvironmentId=self.environment, DeploymentNumber=number
        )

    def session(self, **options):
        return self.data.start_configuration_session(
            ApplicationIdentifier=self.application,
            EnvironmentIdentifier=self.environment,
            ConfigurationProfileIdentifier=self.profile,
            **options,
        )["InitialConfigurationToken"]

    def poll(self, token):
        answer = self.data.get_latest_configuration(ConfigurationToken=token)
        body = answer["Configuration"].read()
        return (json.loads(body) if body else None), answer["NextPollConfigurationToken"], answer


def until(condition):
    for _ in range(6000):
        if condition():
            return True
        time.sleep(0.01)
    return False


def error_of(call):
    with pytest.raises(ClientError) as raised:
        call()
    answer = raised.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer


def test_a_deployed_policy_reaches_a_client_once_and_again_when_it_changes(stack):
    stack.deploy({"version": 1})

    policy, token, answer = stack.poll(stack.session())
    assert policy == {"version": 1}
    assert answer["ContentType"] == "application/json"
    assert answer["NextPollIntervalInSeconds"] == 60
    unchanged, token, _ = stack.poll(token)
    assert unchanged is None
    stack.deploy({"version": 2})
    changed, _, _ = stack.poll(token)
    assert changed == {"version": 2}


def test_a_session_can_name_its_things_instead_of_their_ids(stack):
    stack.deploy({"version": 1})

    token = stack.data.start_configuration_session(
        ApplicationIdentifier=stack.application,
        EnvironmentIdentifier="live",
        ConfigurationProfileIdentifier="runtime",
    )["InitialConfigurationToken"]

    assert stack.poll(token)[0] == {"version": 1}


def test_the_validator_sees_what_lambda_would_and_its_refusal_stops_the_deployment(stack, validator):
    stack.deploy({"version": 1})

    code, status, answer = error_of(lambda: stack.deploy({"name": "bad"}))

    assert (code, status) == ("BadRequestException", 400)
    assert "SchemaViolated: version is missing" in answer["Error"]["Message"]
    assert answer["Details"]["InvalidConfiguration"][0]["Reason"] == "SchemaViolated: version is missing"
    name, event = validator.events[-1]
    assert name == VALIDATOR
    assert json.loads(base64.b64decode(event["content"])) == {"name": "bad"}
    assert (event["configurationProfileId"], event["configurationVersion"]) == (stack.profile, "2")
    assert stack.poll(stack.session())[0] == {"version": 1}
    assert (
        len(stack.control.list_deployments(ApplicationId=stack.application, EnvironmentId=stack.environment)["Items"])
        == 1
    )


def test_a_version_can_be_validated_without_deploying_it(stack):
    def validate(policy):
        stack.control.validate_configuration(
            ApplicationId=stack.application,
            ConfigurationProfileId=stack.profile,
            ConfigurationVersion=str(stack.version(policy)),
        )

    validate({"version": 1})
    assert error_of(lambda: validate({}))[0] == "BadRequestException"


def test_a_token_serves_one_call(stack):
    stack.deploy({"version": 1})
    token = stack.session()
    stack.poll(token)

    assert error_of(lambda: stack.poll(token))[:2] == ("BadRequestException", 400)
    assert error_of(lambda: stack.poll("made-up"))[:2] == ("BadRequestException", 400)


def test_a_session_keeps_to_the_interval_it_asked_for(stack):
    stack.deploy({"version": 1})
    _, token, answer = stack.poll(stack.session(RequiredMinimumPollIntervalInSeconds=15))

    assert answer["NextPollIntervalInSeconds"] == 15
    assert error_of(lambda: stack.poll(token))[0] == "BadRequestException"


def test_nothing_deployed_is_not_found_and_so_is_what_never_was(stack):
    assert error_of(lambda: stack.poll(stack.session()))[:2] == ("ResourceNotFoundException", 404)

    def unknown(**changed):
        names = {
            "ApplicationIdentifier": stack.application,
            "EnvironmentIdentifier": stack.environment,
            "ConfigurationProfileIdentifier": stack.profile,
        }
        return error_of(lambda: stack.data.start_configuration_session(**{**names, **changed}))[0]

    for name in ("ApplicationIdentifier", "EnvironmentIdentifier", "ConfigurationProfileIdentifier"):
        assert unknown(**{name: "nowhere"}) == "ResourceNotFoundException"
    assert error_of(lambda: stack.deployment(7))[0] == "ResourceNotFoundException"


def test_a_deployment_grows_then_bakes_then_is_complete(client):
    stack = Stack(client, duration=6, bake=6, factor=50)
    states = [stack.deploy({"version": 1})["State"]]

    def complete():
        state = stack.deployment(1)["State"]
        if state != states[-1]:
            states.append(state)
        return state == "COMPLETE"

    assert until(complete)
    assert states == ["DEPLOYING", "BAKING", "COMPLETE"]
    assert stack.deployment(1)["PercentageComplete"] == 100


def test_growth_reaches_some_clients_before_others(client, pace):
    stack = Stack(client, duration=10, factor=50)
    pace(0)
    stack.deploy({"version": 1})
    pace(60)
    stack.deploy({"version": 2})

    seen = [stack.poll(stack.session())[0]["version"] for _ in range(60)]

    assert stack.deployment(2)["PercentageComplete"] == 50
    assert 10 < seen.count(2) < 50


def test_one_deployment_at_a_time_and_a_stopped_one_gives_back_the_last(client, pace):
    stack = Stack(client, bake=10)
    pace(0)
    stack.deploy({"version": 1})
    stack.deploy({"version": 2})
    pace(60)
    stack.deploy({"version": 3})
    policy, token, _ = stack.poll(stack.session())
    assert policy == {"version": 3}

    assert error_of(lambda: stack.deploy({"version": 4}))[:2] == ("ConflictException", 409)
    place = {"ApplicationId": stack.application, "EnvironmentId": stack.environment}
    assert stack.control.get_environment(**place)["State"] == "DEPLOYING"
    assert stack.control.stop_deployment(**place, DeploymentNumber=3)["State"] == "ROLLED_BACK"
    assert stack.poll(token)[0] == {"version": 2}
    assert stack.control.get_environment(**place)["State"] == "READY_FOR_DEPLOYMENT"


def test_a_finished_deployment_is_stopped_only_to_revert_it(client, pace):
    pace(0)
    stack = Stack(client)
    stack.deploy({"version": 1})
    stack.deploy({"version": 2})
    place = {"ApplicationId": stack.application, "EnvironmentId": stack.environment, "DeploymentNumber": 2}

    assert error_of(lambda: stack.control.stop_deployment(**place))[0] == "BadRequestException"
    assert stack.control.stop_deployment(**place, AllowRevert=True)["State"] == "REVERTED"
    assert stack.poll(stack.session())[0] == {"version": 1}


def test_an_alarm_during_bake_rolls_back(client, pace):
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:too-many-failures"
    stack = Stack(client, monitors=[{"AlarmArn": arn}])
    stack.deploy({"version": 1})
    client("cloudwatch").put_metric_alarm(
        AlarmName="too-many-failures", ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1
    )
    pace(60)
    stack.strategy = "AppConfig.AllAtOnce"
    stack.deploy({"version": 2})
    policy, token, _ = stack.poll(stack.session())
    assert policy == {"version": 2}

    client("cloudwatch").set_alarm_state(AlarmName="too-many-failures", StateValue="ALARM", StateReason="test")

    assert stack.poll(token)[0] == {"version": 1}
    assert stack.deployment(2)["State"] == "ROLLED_BACK"
