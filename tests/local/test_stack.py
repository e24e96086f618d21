"""The stack loader: what a template says is what stands, and what cannot stand stops the start by name."""

import json
from pathlib import Path
from textwrap import dedent

import pytest
from small_cloud import start_small

from bulwark.local import cloud as embedded
from bulwark.local.moto_names import MotoChanged, require
from bulwark.local.stack import TemplateError, UnsupportedResource
from bulwark.local.stack.api_calls import UnsupportedProperty
from bulwark.local.stack.intrinsics import NO_VALUE, Intrinsics


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


def test_outputs_and_conditions_are_resolved(cloud):
    assert cloud.outputs["Bus"] == "small-bus"
    assert cloud.outputs["Stage"] == "stage-dev"
    assert "Topic" not in cloud.outputs
    assert cloud.client("sns").list_topics()["Topics"] == []


def test_a_nested_application_is_loaded_with_its_parameters(cloud):
    alarm = cloud.client("cloudwatch").describe_alarms(AlarmNames=[cloud.outputs["InnerAlarm"]])["MetricAlarms"][0]

    told = cloud.stack.attribute("ToldQueue", "QueueName")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": told}]
    assert cloud.stack.physical_id("Inner/Alarm") == cloud.outputs["InnerAlarm"]


def test_tables_have_their_stream_expiry_and_key(cloud):
    dynamodb = cloud.client("dynamodb")
    watched = dynamodb.describe_table(TableName=cloud.stack.physical_id("Watched"))["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=cloud.outputs["Table"])["TimeToLiveDescription"]
    table = dynamodb.describe_table(TableName=cloud.outputs["Table"])["Table"]

    assert watched["LatestStreamArn"] == cloud.stack.attribute("Watched", "StreamArn")
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    assert table["SSEDescription"]["KMSMasterKeyArn"] == cloud.stack.attribute("Key", "Arn")


def test_queues_have_their_redrive_policy(cloud):
    attributes = cloud.client("sqs").get_queue_attributes(
        QueueUrl=cloud.stack.physical_id("WorkQueue"), AttributeNames=["All"]
    )["Attributes"]

    assert attributes["VisibilityTimeout"] == "1"
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == cloud.stack.attribute("DeadQueue", "Arn")


def test_a_bus_policy_is_kept(cloud):
    policy = json.loads(cloud.client("events").describe_event_bus(Name="small-bus")["Policy"])

    assert [statement["Sid"] for statement in policy["Statement"]] == ["shop"]


def test_functions_are_known_to_lambda(cloud):
    configuration = cloud.client("lambda").get_function_configuration(
        FunctionName=cloud.stack.physical_id("ProbeFunction")
    )

    assert (configuration["MemorySize"], configuration["Timeout"]) == (256, 1)
    assert configuration["Environment"]["Variables"]["COLOURS"] == "red|green"


def test_names_are_the_same_at_every_start(cloud):
    assert cloud.stack.attribute("ToldQueue", "QueueName") == "small-ToldQueue-066D1F83E307"


def test_a_second_cloud_in_the_process_is_refused(cloud):
    with pytest.raises(embedded.AlreadyRunning):
        start_small()


def test_an_unknown_attribute_is_named(cloud):
    with pytest.raises(TemplateError, match="ToldQueue .* has no attribute Colour"):
        cloud.stack.attribute("ToldQueue", "Colour")


def failing_start(tmp_path: Path, resources: str, **options) -> pytest.ExceptionInfo:
    path = tmp_path / "template.yaml"
    path.write_text(dedent(resources))
    with pytest.raises(TemplateError) as raised:
        embedded.start(template=path, schedules=False, **options)
    assert embedded._running is None
    return raised


class TestRefusedTemplates:
    """A process holds one cloud, so these wait until the module's own has stopped."""

    @pytest.fixture(autouse=True)
    def alone(self, cloud):
        cloud.stop()

    def test_a_type_without_a_handler_stops_the_start_by_name(self, tmp_path):
        raised = failing_start(
            tmp_path,
            """
            Resources:
              Database: { Type: AWS::RDS::DBInstance }
              Queue: { Type: AWS::SQS::Queue }
            """,
        )
        assert raised.type is UnsupportedResource
        assert "Database (AWS::RDS::DBInstance)" in str(raised.value)

    def test_a_property_that_the_api_does_not_take_stops_the_start(self, tmp_path):
        raised = failing_start(
            tmp_path,
            """
            Resources:
              Alias: { Type: AWS::KMS::Alias, Properties: { AliasName: alias/a, TargetKeyId: b, Colour: red } }
            """,
        )
        assert raised.type is UnsupportedProperty
        assert "Alias (AWS::KMS::Alias): property Colour" in str(raised.value)

    def test_resources_in_a_circle_are_named(self, tmp_path):
        raised = failing_start(
            tmp_path,
            """
            Resources:
              One: { Type: AWS::SNS::Topic, Properties: { TopicName: !GetAtt Two.TopicName } }
              Two: { Type: AWS::SNS::Topic, Properties: { TopicName: !GetAtt One.TopicName } }
            """,
        )
        assert "One" in str(raised.value) and "refer to one another" in str(raised.value)

    def test_a_substitution_that_is_missing_is_named(self, tmp_path):
        raised = failing_start(
            tmp_path,
            """
            Resources:
              Machine:
                Type: AWS::StepFunctions::StateMachine
                Properties:
                  RoleArn: arn:aws:iam::123456789012:role/r
                  DefinitionString: '{"StartAt": "${Absent}", "States": {}}'
            """,
        )
        assert "Absent" in str(raised.value)

    def test_a_missing_code_directory_is_named(self, tmp_path):
        raised = failing_start(
            tmp_path,
            """
            Transform: AWS::Serverless-2016-10-31
            Resources:
              F:
                Type: AWS::Serverless::Function
                Properties: { CodeUri: nowhere/, Handler: a.b, Runtime: python3.13 }
            """,
        )
        assert "nowhere" in str(raised.value)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [({"Stage": "moon"}, "must be one of"), ({"Planet": "earth"}, "no parameter Planet")],
    )
    def test_parameters_are_checked(self, parameters, message):
        with pytest.raises(TemplateError, match=message):
            start_small(parameters=parameters)

    def test_another_parameter_makes_another_stack(self):
        with start_small(parameters={"Stage": "prod"}) as production:
            assert production.outputs["Topic"].startswith("arn:aws:sns:")
            assert production.outputs["Stage"] == "none"

    def test_a_name_that_moto_no_longer_has_is_told_with_the_pinned_version(self):
        with pytest.raises(MotoChanged, match=r"no moto\.sqs\.models:Queue\.absent .* moto 5\.2\.5"):
            require("moto.sqs.models:Queue.absent")

    def test_another_version_of_moto_stops_the_start(self, monkeypatch):
        monkeypatch.setattr(embedded, "MOTO_VERSION", "5.2.6")

        with pytest.raises(MotoChanged, match=r"moto 5\.2\.5 is installed"):
            start_small()

    def test_replaced_names_are_put_back(self):
        from moto.sqs.models import SQSBackend

        assert SQSBackend.receive_message.__module__ == "moto.sqs.models"


TEMPLATE = {
    "Mappings": {"M": {"a": {"b": 7}}},
    "Conditions": {"Yes": {"Fn::Equals": ["1", 1]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}},
}


def resolve(value):
    refs = {"Name": "n", "List": ["x", "y"], "AWS::NoValue": NO_VALUE}
    intrinsics = Intrinsics(TEMPLATE, refs.__getitem__, lambda name, at: f"{name}.{at}", {"Exported": "e"}, "us-east-1")
    return intrinsics.resolve(value)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Name"}, "n"),
        ({"Fn::GetAtt": ["A", "Arn"]}, "A.Arn"),
        ({"Fn::GetAtt": "A.Outputs.B"}, "A.Outputs.B"),
        ({"Fn::Sub": "${Name}-${A.Arn}-${!Kept}"}, "n-A.Arn-${Kept}"),
        ({"Fn::Sub": ["${Local}${Name}", {"Local": True}]}, "truen"),
        ({"Fn::Join": ["-", {"Ref": "List"}]}, "x-y"),
        ({"Fn::Select": ["1", {"Ref": "List"}]}, "y"),
        ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, {"Ref": "Name"}]}, "n"),
        ({"Fn::And": [{"Condition": "Yes"}, {"Condition": "No"}]}, False),
        ({"Fn::Or": [{"Condition": "Yes"}, {"Condition": "No"}]}, True),
        ({"Fn::FindInMap": ["M", "a", "b"]}, 7),
        ({"Fn::FindInMap": ["M", "a", "z", {"DefaultValue": 8}]}, 8),
        ({"Fn::Base64": "a"}, "YQ=="),
        ({"Fn::ImportValue": "Exported"}, "e"),
        ({"Fn::ToJsonString": {"a": {"Ref": "Name"}}}, '{"a":"n"}'),
        ({"Fn::Length": {"Ref": "List"}}, 2),
        ({"Fn::Cidr": ["10.0.0.0/16", 2, 8]}, ["10.0.0.0/24", "10.0.1.0/24"]),
        ({"kept": 1, "gone": {"Ref": "AWS::NoValue"}}, {"kept": 1}),
        ({"IAM": {"Condition": {"StringEquals": {"a": "b"}}}}, {"IAM": {"Condition": {"StringEquals": {"a": "b"}}}}),
    ],
)
def test_intrinsic_functions(value, resolved):
    assert resolve(value) == resolved


@pytest.mark.parametrize("value", [{"Fn::Rain": 1}, "{{resolve:ssm:name}}", {"Fn::FindInMap": ["M", "a", "z"]}])
def test_what_cannot_be_resolved_is_refused(value):
    with pytest.raises(TemplateError):
        resolve(value)
