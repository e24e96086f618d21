"""What an account and Region has once: another stack in it has other names, and none that is too long."""

import pytest

STACK = "${AWS::StackName}"
# Names that are unique in an account and Region (or nearly: AppConfig takes twins, which nobody could tell apart), and
# how long each may be, by the service's API reference.
LONGEST = {
    ("AWS::AppConfig::Application", "Name"): 64,
    ("AWS::AppConfig::DeploymentStrategy", "Name"): 64,
    ("AWS::Bedrock::Guardrail", "Name"): 50,
    ("AWS::Cognito::UserPool", "UserPoolName"): 128,
    ("AWS::Events::EventBus", "Name"): 256,
    ("AWS::Events::EventBusPolicy", "StatementId"): 64,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::SSM::Parameter", "Name"): 1011,
    ("AWS::Serverless::StateMachine", "Name"): 80,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
}
# A name in one of these is within what the stack owns already.
WITHIN = {
    ("AWS::AppConfig::ConfigurationProfile", "Name"),
    ("AWS::AppConfig::Environment", "Name"),
    ("AWS::Cognito::UserPoolGroup", "GroupName"),
    ("AWS::Cognito::UserPoolResourceServer", "Name"),
}
# As docs/first-deploy.md promises.
LONGEST_STACK_NAME = 50


def named(template: dict) -> list[tuple[str, tuple[str, str], str]]:
    """Each name that the template gives: of which resource, which property of which type, and the text."""
    found = []
    for logical_id, resource in template["Resources"].items():
        for key, value in resource.get("Properties", {}).items():
            if key in ("Name", "StatementId") or (key.endswith("Name") and resource["Type"].endswith(key[:-4])):
                text = STACK if value == "AWS::StackName" else value
                found.append((logical_id, (resource["Type"], key), text))
    return found


def test_each_name_carries_the_stack_s_and_has_room_for_it(template):
    names = [each for each in named(template) if each[1] not in WITHIN]

    for logical_id, kind, text in names:
        assert kind in LONGEST, f"{logical_id}: how long may {kind[1]} be, and is it unique in an account?"
        assert text.count(STACK) == 1, f"{logical_id}: {text} is the same in each stack"
        assert len(text) - len(STACK) + LONGEST_STACK_NAME <= LONGEST[kind], logical_id
    assert len(names) > 10


def test_no_schedule_has_the_name_that_sam_would_give_it(template):
    """SAM's is that of the function or machine and the event, in every stack."""
    schedules = [
        (logical_id, event["Properties"])
        for logical_id, resource in template["Resources"].items()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    ]

    assert [logical_id for logical_id, properties in schedules if properties.get("OmitName") is not True] == []
    assert len(schedules) == 5


def alarms(template: dict) -> dict[str, dict]:
    return {
        logical_id: resource["Properties"]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def test_each_alarm_goes_to_the_topic_that_somebody_is_subscribed_to(template, observability, use_case_alarms):
    topic = ["HasAlarmTopic", "AlarmTopicArn", "AlarmTopic"]
    resources = template["Resources"]

    told = {logical_id: alarm["AlarmActions"] for logical_id, alarm in alarms(template).items()}
    for nested in (observability, use_case_alarms):
        told |= {logical_id: alarm["AlarmActions"] for logical_id, alarm in alarms(nested).items()}
    assert told.pop("RequestsFailedAlarm") == [topic]
    assert [logical_id for logical_id, actions in told.items() if actions != ["AlarmTopicArn"]] == []
    assert resources["Observability"]["Properties"]["Parameters"]["AlarmTopicArn"] == topic
    assert resources["AlarmSubscription"]["Properties"]["TopicArn"] == "AlarmTopic"


def test_each_use_case_of_the_policy_is_watched_by_bands_of_cloudwatch_s_own(
    observability, use_case_alarms, policy_document
):
    nested = [each["Properties"] for each in observability["Resources"].values() if "Location" in each["Properties"]]
    watched = alarms(use_case_alarms)

    assert {each["Parameters"]["UseCase"] for each in nested} == policy_document["use_cases"].keys()
    assert all(each["Location"] == "use_case_alarms.yaml" for each in nested)
    stats = set()
    for logical_id, alarm in watched.items():
        band, measured = (query for query in alarm["Metrics"])
        assert band["Id"] == alarm["ThresholdMetricId"], logical_id
        assert band["Expression"].startswith(f"ANOMALY_DETECTION_BAND({measured['Id']},"), logical_id
        assert measured["MetricStat"]["Metric"]["Dimensions"] == [
            {"Name": "service", "Value": "Service"},
            {"Name": "use_case", "Value": "UseCase"},
        ]
        stats.add((measured["MetricStat"]["Metric"]["MetricName"], measured["MetricStat"]["Stat"]))
    assert stats == {("Latency", "SampleCount"), ("Latency", "p95")}


def test_an_alarm_of_a_machine_sums_every_way_in_which_an_execution_is_cut_off(observability):
    machines = {}
    for logical_id, alarm in alarms(observability).items():
        queries = {query["Id"]: query for query in alarm.get("Metrics", ())}
        watched = {
            query["MetricStat"]["Metric"]["MetricName"]: name
            for name, query in queries.items()
            if query.get("MetricStat", {}).get("Metric", {}).get("Namespace") == "AWS/States"
        }
        assert alarm.get("Namespace") != "AWS/States", logical_id
        if watched:
            assert watched.keys() == {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}, logical_id
            [sum_of] = [query["Expression"] for query in queries.values() if "Expression" in query]
            assert all(f"FILL({name}, 0)" in sum_of.split(" + ") for name in watched.values()), logical_id
            machines[logical_id] = watched

    assert len(machines) == 4


@pytest.mark.parametrize("nested", [False, True])
def test_each_metric_of_ours_that_an_alarm_watches_is_of_this_stack(template, observability, nested):
    service = {"Name": "service", "Value": "Service" if nested else "AWS::StackName"}
    watched = []
    for logical_id, alarm in alarms(observability if nested else template).items():
        metrics = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", ()) if "MetricStat" in query]
        watched += [(logical_id, metric) for metric in metrics or [alarm] if metric["Namespace"] == "Bulwark"]

    assert [logical_id for logical_id, metric in watched if service not in metric["Dimensions"]] == []
    assert len(watched) >= 3
