"""Two stacks in one account and Region, dev beside prod: nothing of one reaches the other."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from small_cloud import eventually

from bulwark.local.cloud import Cloud, start
from bulwark.local.stack import Stack, TemplateError

ROOT = Path(__file__).parents[2]
# The second's name begins as the first's does, as that of a stage would.
NAMES = ("bulwark", "bulwark-dev")
_MACHINE = "AWS::StepFunctions::StateMachine"


class Deployed(NamedTuple):
    """A stack, and what a test does with it."""

    cloud: Cloud
    stack: Stack
    heard: str
    """A queue that hears what the stack's bus is told by Bulwark."""

    def put(self, detail_type: str, detail: dict[str, Any], source: str = "acme.app") -> None:
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
        bus = {"EventBusName": self.stack.outputs["EventBusName"]}
        assert self.cloud.client("events").put_events(Entries=[bus | entry])["FailedEntryCount"] == 0

    def items(self, table: str) -> list[dict[str, Any]]:
        return self.cloud.client("dynamodb").scan(TableName=self.stack.outputs[table])["Items"]

    def outcomes(self) -> dict[str, str]:
        found = {item["request_id"]["S"]: item["status"]["S"] for item in self.items("RequestsTable")}
        return {request_id: status for request_id, status in found.items() if status != "ADMITTED"}

    def incidents(self) -> list[str]:
        keys = [item["control_key"]["S"] for item in self.items("ControlTable")]
        return [key for key in keys if key.startswith("incident#")]

    def announced(self) -> list[str]:
        """The requests of whose outcomes the bus was told since it was last asked."""
        messages = self.cloud.client("sqs").receive_message(QueueUrl=self.heard, MaxNumberOfMessages=10)
        events = [json.loads(message["Body"]) for message in messages.get("Messages", [])]
        return [event["detail"]["request_id"] for event in events if event["detail-type"].startswith("Inference")]

    def watched(self, alarm: str) -> dict[str, float]:
        """What an alarm's metrics come to by now."""
        metrics = self.cloud.client("cloudwatch")
        [found] = metrics.describe_alarms(AlarmNames=[self.stack.physical_id(alarm)])["MetricAlarms"]
        now = datetime.now(UTC)
        queries = [query for query in found["Metrics"] if "MetricStat" in query]
        answer = metrics.get_metric_data(
            MetricDataQueries=[query | {"ReturnData": True} for query in queries],
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=1),
        )
        return {result["Id"]: sum(result["Values"]) for result in answer["MetricDataResults"]}


def policy(version: str) -> dict[str, Any]:
    read = json.loads((ROOT / "policies/runtime.json").read_text()) | {"version": version}
    for use_case in read["use_cases"].values():
        use_case["review"] |= {"audit_share": 0, "blind_share": 0, "second_reviewer_share": 0}
    return read


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Deployed, Deployed]]:
    with start(ROOT / "template.yaml", NAMES[0], policy=policy("first"), schedules=False) as cloud:
        second = cloud.deploy(ROOT / "template.yaml", NAMES[1], policy=policy("second"))
        yield listening(cloud, cloud.stack), listening(cloud, second)


def listening(cloud: Cloud, stack: Stack) -> Deployed:
    sqs, events = cloud.client("sqs"), cloud.client("events")
    url = sqs.create_queue(QueueName=f"heard-{stack.name}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.outputs["EventBusName"]
    events.put_rule(Name="heard", EventBusName=bus, EventPattern='{"source": ["bulwark"]}')
    events.put_targets(Rule="heard", EventBusName=bus, Targets=[{"Id": "heard", "Arn": arn}])
    return Deployed(cloud, stack, url)


def waited(found: Callable[[], Any]) -> Any:
    return eventually(found, 120)


def test_a_request_is_answered_counted_and_announced_where_it_was_put(both):
    first, second = both
    second.put("InferenceRequested", {"request_id": "theirs", "use_case": "general_question", "query": "What is it?"})

    status = waited(lambda: second.outcomes().get("theirs"))
    waited(lambda: "theirs" in second.announced())
    waited(lambda: sum(second.watched("RequestsFailedAlarm").values()) == 1)

    assert status in ("COMPLETED", "HELD")
    assert first.outcomes() == {} and first.announced() == []
    assert sum(first.watched("RequestsFailedAlarm").values()) == 0


def test_failures_of_one_are_no_alarm_of_the_other(both):
    first, second = both
    first.cloud.load_faults({"faults": [{"kind": "internal_error"}]})
    second.put("InferenceRequested", {"request_id": "ill", "use_case": "general_question", "query": "What is it?"})

    waited(lambda: second.outcomes().get("ill") == "FAILED")
    first.cloud.clear_faults()
    waited(lambda: second.watched("RequestsFailedAlarm")["failed"] == 1)

    assert sum(first.watched("RequestsFailedAlarm").values()) == 0


def test_a_use_case_s_bands_are_of_its_own_stack(both):
    for own in both:
        name = own.stack.physical_id("Observability/PolicyAdviceAlarms/TrafficUnusualAlarm")
        [alarm] = own.cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        [measured] = [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]
        found = {each["Name"]: each["Value"] for each in measured["Dimensions"]}
        assert found == {"service": own.stack.name, "use_case": "policy_advice"}


def test_an_incident_is_of_the_stack_that_was_told(both):
    first, second = both
    detail = {"use_case": "product_support", "words": "it names a manual that does not exist", "severity": 3}
    second.put("IncidentReported", detail)

    waited(second.incidents)

    assert first.cloud.settle() and first.incidents() == []


@pytest.mark.parametrize("source", ["bulwark", "nobody.app"])
def test_nobody_but_a_producer_has_a_person_erased_over_the_bus(both, source):
    first, _ = both
    detail = {"subject_id": "ana", "reason": "SUBJECT_REQUEST", "requested_by": "a stranger", "tenant": "acme"}
    first.put("ErasureRequested", detail, source)

    assert first.cloud.settle()
    assert [item for item in first.items("ControlTable") if item["control_key"]["S"].startswith("erasure#")] == []


def test_an_alarm_is_heard_by_its_own_stack(both):
    first, second = both
    known = second.incidents()
    change = {"alarmName": second.stack.physical_id("Observability/DeadLettersAlarm"), "state": {"value": "ALARM"}}
    entry = {"Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change", "Detail": json.dumps(change)}
    first.cloud.client("events").put_events(Entries=[entry])

    waited(lambda: len(second.incidents()) > len(known))

    assert first.cloud.settle() and first.incidents() == []


def test_each_has_its_own_policy(both):
    first, second = both

    def version(of: Deployed) -> str:
        client = of.cloud.client("appconfigdata")
        session = client.start_configuration_session(
            ApplicationIdentifier=of.stack.outputs["PolicyApplicationId"],
            EnvironmentIdentifier=of.stack.outputs["PolicyEnvironmentId"],
            ConfigurationProfileIdentifier=of.stack.outputs["PolicyProfileId"],
        )
        latest = client.get_latest_configuration(ConfigurationToken=session["InitialConfigurationToken"])
        return json.loads(latest["Configuration"].read())["version"]

    assert [version(first), version(second)] == ["first", "second"]


def test_each_schedule_starts_what_is_of_its_stack(both):
    scheduler = both[0].cloud.client("scheduler")
    targets = {}
    for each in scheduler.list_schedules()["Schedules"]:
        targets[each["Name"]] = scheduler.get_schedule(Name=each["Name"])["Target"]["Arn"]

    for own in both:
        kinds = ("AWS::Lambda::Function", _MACHINE)
        arns = {own.stack.attribute(each, "Arn") for kind in kinds for each in own.stack.logical_ids(kind)}
        names = [own.stack.physical_id(each) for each in own.stack.logical_ids("AWS::Scheduler::Schedule")]
        assert len(names) == 5 and {targets[name] for name in names} <= arns
    assert len(targets) == 10


def test_no_role_reaches_the_machines_of_the_other(both):
    """What a role may start, describe or stop by a name, not by a reference."""
    iam = both[0].cloud.client("iam")
    for own, other in (both, both[::-1]):
        machines = [other.stack.attribute(each, "Name") for each in other.stack.logical_ids(_MACHINE)]
        for role in own.stack.logical_ids("AWS::IAM::Role"):
            name = own.stack.physical_id(role)
            for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                document = json.dumps(iam.get_role_policy(RoleName=name, PolicyName=inline)["PolicyDocument"])
                assert not [each for each in machines if f":{each}" in document], (role, inline)
                assert "StateMachine-*" not in document, (role, inline)


@pytest.mark.parametrize(
    "resource",
    [
        "  Alarm: {Type: 'AWS::CloudWatch::Alarm', Properties: {AlarmName: failed, ComparisonOperator: "
        "GreaterThanThreshold, EvaluationPeriods: 1, Namespace: A, MetricName: b, Statistic: Sum, Period: 60, "
        "Threshold: 1}}",
        "  Allowed: {Type: 'AWS::Events::EventBusPolicy', Properties: {EventBusName: !Ref Bus, StatementId: all, "
        "Statement: {Effect: Allow, Principal: '*', Action: 'events:PutEvents', Resource: '*'}}}",
        "  Clock: {Type: 'AWS::Scheduler::Schedule', Properties: {Name: clock, FlexibleTimeWindow: {Mode: 'OFF'}, "
        "ScheduleExpression: rate(1 hour), Target: {Arn: 'arn:aws:sqs:us-east-1:123456789012:q', RoleArn: "
        "'arn:aws:iam::123456789012:role/r'}}}",
    ],
    ids=["alarm", "statement", "schedule"],
)
def test_a_twin_of_what_an_account_has_once_is_refused(both, tmp_path, resource):
    path = tmp_path / "template.yaml"
    bus = "Resources:\n  Bus: {Type: 'AWS::Events::EventBus', Properties: {Name: !Ref AWS::StackName}}\n"
    path.write_text(bus + resource)
    names = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("one", "two")]

    both[0].cloud.deploy(path, names[0])
    with pytest.raises(TemplateError, match="(?i)exist"):
        both[0].cloud.deploy(path, names[1])


@pytest.mark.parametrize(
    ("given", "hears"),
    [
        ({"AlarmEmail": "oncall@example.com"}, "oncall@example.com"),
        ({"AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:theirs"}, None),
    ],
)
def test_prod_is_refused_until_somebody_hears_its_alarms_and_takes_no_password_alone(both, given, hears):
    cloud, name = both[0].cloud, f"prod-{uuid.uuid4().hex[:8]}"
    with pytest.raises(TemplateError, match="SomebodyHearsAlarms: Nobody would hear"):
        cloud.deploy(ROOT / "template.yaml", name, {"Stage": "prod"})

    stack = cloud.deploy(ROOT / "template.yaml", name, {"Stage": "prod"} | given)

    topic = stack.outputs["AlarmTopicArn"]
    [alarm] = cloud.client("cloudwatch").describe_alarms(
        AlarmNames=[stack.physical_id("Observability/DeadLettersAlarm")]
    )["MetricAlarms"]
    assert alarm["AlarmActions"] == [given.get("AlarmTopicArn", topic)]
    if hears:
        [found] = cloud.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        assert (found["Protocol"], found["Endpoint"]) == ("email", hears)
    known = cloud.client("cognito-idp").describe_user_pool_client(
        UserPoolId=stack.outputs["UserPoolId"], ClientId=stack.outputs["UserPoolClientId"]
    )
    assert "ALLOW_USER_PASSWORD_AUTH" not in known["UserPoolClient"]["ExplicitAuthFlows"]
