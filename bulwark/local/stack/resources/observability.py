"""CloudWatch log groups, alarms and dashboards."""

import json

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.stack.loading import Created, Making


def log_group(making: Making) -> Created:
    name = making.take("LogGroupName") or making.generated_name(512)
    days = making.take("RetentionInDays")
    making.without("DeletionProtectionEnabled")
    if tags := making.take("Tags"):
        making.properties["tags"] = {tag["Key"]: tag["Value"] for tag in tags}
    making.properties["logGroupName"] = name
    making.call("logs", "create_log_group")
    if days:
        making.client("logs").put_retention_policy(logGroupName=name, retentionInDays=int(days))
    return Created(name, {"Arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"})


def log_resource_policy(making: Making) -> Created:
    name = making.properties["PolicyName"]
    making.call("logs", "put_resource_policy")
    return Created(name)


def metric_filter(making: Making) -> Created:
    name = making.name("FilterName")
    making.call("logs", "put_metric_filter")
    return Created(name)


def subscription_filter(making: Making) -> Created:
    name = making.name("FilterName")
    making.call("logs", "put_subscription_filter")
    return Created(name)


def alarm(making: Making) -> Created:
    name = making.name("AlarmName", 255)
    making.call("cloudwatch", "put_metric_alarm")
    return Created(name, {"Arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"})


def composite_alarm(making: Making) -> Created:
    name = making.name("AlarmName", 255)
    making.call("cloudwatch", "put_composite_alarm")
    return Created(name, {"Arn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"})


def dashboard(making: Making) -> Created:
    name = making.name("DashboardName", 255)
    body = making.properties["DashboardBody"]
    making.properties["DashboardBody"] = body if isinstance(body, str) else json.dumps(body)
    making.call("cloudwatch", "put_dashboard")
    return Created(name)


HANDLERS = {
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::CompositeAlarm": composite_alarm,
    "AWS::CloudWatch::Dashboard": dashboard,
    "AWS::Logs::LogGroup": log_group,
    "AWS::Logs::MetricFilter": metric_filter,
    "AWS::Logs::ResourcePolicy": log_resource_policy,
    "AWS::Logs::SubscriptionFilter": subscription_filter,
}
