"""SQS queues, SNS topics, EventBridge buses, rules and schedules."""

import json
from typing import Any

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.stack.loading import Created, Making


def queue(making: Making) -> Created:
    fifo = str(making.properties.get("FifoQueue", "")).lower() == "true"
    given = making.take("QueueName")
    name = given or (f"{making.generated_name(75)}.fifo" if fifo else making.generated_name(80))
    tags = {tag["Key"]: tag["Value"] for tag in making.take("Tags") or []}
    attributes = {key: _attribute(value) for key, value in making.properties.items()}
    url = making.client("sqs").create_queue(QueueName=name, Attributes=attributes, tags=tags)["QueueUrl"]
    return Created(url, {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "QueueName": name, "QueueUrl": url})


def _attribute(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def queue_policy(making: Making) -> Created:
    document = json.dumps(making.take("PolicyDocument"))
    for url in making.take("Queues"):
        making.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document})
    making.finish()
    return Created(making.logical_id, {"Id": making.logical_id})


def topic(making: Making) -> Created:
    name = making.take("TopicName") or making.generated_name(256)
    subscriptions, tags = making.take("Subscription") or [], making.take("Tags") or []
    attributes = {key: _attribute(value) for key, value in making.properties.items()}
    sns = making.client("sns")
    arn = sns.create_topic(Name=name, Attributes=attributes, Tags=tags)["TopicArn"]
    for subscribed in subscriptions:
        sns.subscribe(TopicArn=arn, **subscribed)
    return Created(arn, {"TopicArn": arn, "TopicName": name})


def topic_policy(making: Making) -> Created:
    document = json.dumps(making.take("PolicyDocument"))
    for arn in making.take("Topics"):
        making.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=document)
    making.finish()
    return Created(making.logical_id, {"Id": making.logical_id})


def subscription(making: Making) -> Created:
    parameters = {key: making.take(key) for key in ("TopicArn", "Protocol", "Endpoint")}
    attributes = {key: _attribute(value) for key, value in making.properties.items()}
    made = making.client("sns").subscribe(**parameters, Attributes=attributes, ReturnSubscriptionArn=True)
    return Created(made["SubscriptionArn"], {"Arn": made["SubscriptionArn"]})


def event_bus(making: Making) -> Created:
    name = making.properties["Name"]
    policy = making.take("Policy")
    arn = making.call("events", "create_event_bus")["EventBusArn"]
    if policy:
        making.client("events").put_permission(EventBusName=name, Policy=json.dumps(policy))
    return Created(name, {"Arn": arn, "Name": name})


def event_bus_policy(making: Making) -> Created:
    bus, identifier = making.take("EventBusName", "default"), making.take("StatementId")
    events = making.client("events")
    statement = making.take("Statement")
    if statement is None:
        events.put_permission(EventBusName=bus, StatementId=identifier, **making.properties)
        return Created(identifier)
    making.finish()
    # moto's PutPermission replaces the whole policy, so the statements already there are given again.
    document = json.loads(
        events.describe_event_bus(Name=bus).get("Policy") or '{"Version": "2012-10-17", "Statement": []}'
    )
    document["Statement"].append({"Sid": identifier, **statement})
    events.put_permission(EventBusName=bus, Policy=json.dumps(document))
    return Created(identifier)


def rule(making: Making) -> Created:
    name, targets = making.name("Name"), making.take("Targets") or []
    bus = making.properties.get("EventBusName", "default").rpartition("/")[2]
    making.properties["EventBusName"] = bus
    arn = making.call("events", "put_rule")["RuleArn"]
    if targets:
        events = making.client("events")
        answer = events.put_targets(Rule=name, EventBusName=bus, Targets=targets)
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"targets refused: {answer['FailedEntries']}")
    return Created(name if bus == "default" else f"{bus}|{name}", {"Arn": arn})


def archive(making: Making) -> Created:
    making.properties["EventSourceArn"] = making.take("SourceArn")
    name = making.name("ArchiveName", 48)
    return Created(name, {"Arn": making.call("events", "create_archive")["ArchiveArn"], "ArchiveName": name})


def schedule(making: Making) -> Created:
    name = making.name("Name")
    arn = making.call("scheduler", "create_schedule")["ScheduleArn"]
    return Created(name, {"Arn": arn})


def schedule_group(making: Making) -> Created:
    name = making.name("Name")
    arn = making.call("scheduler", "create_schedule_group")["ScheduleGroupArn"]
    return Created(name, {"Arn": arn})


HANDLERS = {
    "AWS::Events::Archive": archive,
    "AWS::Events::EventBus": event_bus,
    "AWS::Events::EventBusPolicy": event_bus_policy,
    "AWS::Events::Rule": rule,
    "AWS::SNS::Subscription": subscription,
    "AWS::SNS::Topic": topic,
    "AWS::SNS::TopicPolicy": topic_policy,
    "AWS::SQS::Queue": queue,
    "AWS::SQS::QueuePolicy": queue_policy,
    "AWS::Scheduler::Schedule": schedule,
    "AWS::Scheduler::ScheduleGroup": schedule_group,
}
