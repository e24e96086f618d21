"""What functions print is in their log group, alone; what they measure is in CloudWatch."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from small_cloud import start_small


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


def lines(cloud, group: str) -> list[str]:
    events = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events]


def test_a_functions_lines_are_in_its_log_group_when_it_has_answered(cloud):
    cloud.functions.invoke("ProbeFunction", {"do": "print", "lines": ["one", "", "grüße"]})

    assert lines(cloud, cloud.stack.physical_id("ProbeLogGroup")) == ["one", "grüße", "to stderr"]


def test_a_function_without_a_log_group_writes_to_its_own(cloud):
    cloud.functions.invoke("ReservedFunction", {"do": "print", "lines": ["mine"]})
    name = cloud.stack.physical_id("ReservedFunction")
    streams = cloud.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{name}")["logStreams"]

    assert lines(cloud, f"/aws/lambda/{name}") == ["mine", "to stderr"]
    assert streams[0]["logStreamName"].startswith(f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]")


def test_a_timeout_is_in_the_log(cloud):
    group = cloud.stack.physical_id("ProbeLogGroup")
    cloud.functions.invoke("ProbeFunction", {"do": "sleep", "seconds": 5})

    assert lines(cloud, group)[-1].endswith("Task timed out after 1.00 seconds")


def test_an_embedded_metric_is_a_metric(cloud):
    line = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": "Small",
                    "Dimensions": [["service"], ["service", "kind"]],
                    "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "Count"}],
                }
            ],
        },
        "service": "probe",
        "kind": "test",
        "Latency": [10, 30],
        "Count": 1,
    }
    cloud.functions.invoke("ProbeFunction", {"do": "measure", "line": line})
    cloudwatch = cloud.client("cloudwatch")
    now = datetime.now(UTC)
    statistics = cloudwatch.get_metric_statistics(
        Namespace="Small",
        MetricName="Latency",
        Dimensions=[{"Name": "service", "Value": "probe"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    listed = cloudwatch.list_metrics(Namespace="Small")["Metrics"]

    assert [(point["Sum"], point["SampleCount"]) for point in statistics] == [(40.0, 2.0)]
    assert len(listed) == 4


@pytest.mark.parametrize("line", [{"_aws": {}}, {"_aws": {"CloudWatchMetrics": [{}]}}, {"a": "_aws"}])
def test_a_line_that_only_looks_like_a_metric_is_a_line(cloud, line):
    assert cloud.functions.invoke("ProbeFunction", {"do": "measure", "line": line}) == (None, None)
