"""SNS: what a rule or a publisher says to a topic reaches the queues subscribed to it."""

import json
from textwrap import dedent

import pytest
from small_cloud import drain

from bulwark.local import cloud as embedded

TEMPLATE = """
Resources:
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: notifications } }
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: Bulwark
      KmsMasterKeyId: alias/aws/sns
      Subscription: [{ Protocol: sqs, Endpoint: !GetAtt InlineQueue.Arn }]
      Tags: [{ Key: part, Value: desk }]
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Topic]
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: { Service: events.amazonaws.com }
            Action: sns:Publish
            Resource: !Ref Topic
            Condition: { ArnEquals: { "aws:SourceArn": !GetAtt Rule.Arn } }
  Queue: { Type: AWS::SQS::Queue }
  RawQueue: { Type: AWS::SQS::Queue }
  FilteredQueue: { Type: AWS::SQS::Queue }
  InlineQueue: { Type: AWS::SQS::Queue }
  UndeliveredQueue: { Type: AWS::SQS::Queue }
  Subscription:
    Type: AWS::SNS::Subscription
    Properties: { TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Queue.Arn }
  RawSubscription:
    Type: AWS::SNS::Subscription
    Properties: { TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt RawQueue.Arn, RawMessageDelivery: true }
  FilteredSubscription:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref Topic
      Protocol: sqs
      Endpoint: !GetAtt FilteredQueue.Arn
      RawMessageDelivery: true
      FilterPolicyScope: MessageBody
      FilterPolicy: { team: [acme] }
  MailSubscription:
    Type: AWS::SNS::Subscription
    Properties: { TopicArn: !Ref Topic, Protocol: email, Endpoint: desk@example.com }
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: { detail-type: [ReviewOverdue] }
      Targets:
        - Id: people
          Arn: !Ref Topic
          InputTransformer:
            InputPathsMap: { id: $.detail.review_id, due: $.detail.due_at }
            InputTemplate: '"Review <id> is due at <due>."'
  GoneRule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: { detail-type: [Gone] }
      Targets:
        - Id: nobody
          Arn: !Sub arn:aws:sns:${AWS::Region}:${AWS::AccountId}:absent
          DeadLetterConfig: { Arn: !GetAtt UndeliveredQueue.Arn }
Outputs:
  Topic: { Value: !Ref Topic }
  TopicName: { Value: !GetAtt Topic.TopicName }
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    path = tmp_path_factory.mktemp("notifications") / "template.yaml"
    path.write_text(dedent(TEMPLATE))
    with embedded.start(template=path, stack_name="told", schedules=False) as cloud:
        yield cloud


def put_event(cloud, detail_type, detail):
    entry = {"EventBusName": "notifications", "Source": "bulwark", "DetailType": detail_type}
    cloud.client("events").put_events(Entries=[{**entry, "Detail": json.dumps(detail)}])


def test_a_rule_tells_a_topics_subscribers_in_its_own_words(cloud):
    put_event(cloud, "ReviewOverdue", {"review_id": 'R"1', "due_at": "noon"})
    words = '"Review R\\"1 is due at noon."'

    wrapped = json.loads(drain(cloud, "Queue")[0]["Body"])
    assert (wrapped["Type"], wrapped["TopicArn"]) == ("Notification", cloud.outputs["Topic"])
    assert wrapped["Message"] == words
    assert json.loads(drain(cloud, "InlineQueue")[0]["Body"])["Message"] == words
    assert drain(cloud, "RawQueue")[0]["Body"] == words


def test_a_filter_lets_through_what_it_names(cloud):
    for team in ("globex", "acme"):
        cloud.client("sns").publish(TopicArn=cloud.outputs["Topic"], Message=json.dumps({"team": team}))
    drain(cloud, "RawQueue", 2)

    assert [json.loads(message["Body"]) for message in drain(cloud, "FilteredQueue")] == [{"team": "acme"}]
    drain(cloud, "Queue", 2)


def test_a_topic_has_its_policy_tags_and_attributes(cloud):
    sns, topic = cloud.client("sns"), cloud.outputs["Topic"]
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    policy = json.loads(attributes["Policy"])["Statement"][0]

    assert policy["Condition"]["ArnEquals"]["aws:SourceArn"] == cloud.stack.attribute("Rule", "Arn")
    assert (attributes["DisplayName"], attributes["KmsMasterKeyId"]) == ("Bulwark", "alias/aws/sns")
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "part", "Value": "desk"}]
    assert cloud.outputs["TopicName"] == topic.rpartition(":")[2]


def test_an_event_for_a_topic_that_is_gone_goes_to_the_targets_queue(cloud):
    put_event(cloud, "Gone", {"id": 1})
    message = drain(cloud, "UndeliveredQueue")[0]

    assert json.loads(message["Body"])["detail"] == {"id": 1}
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "SDK_CLIENT_ERROR"
