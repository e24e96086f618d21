"""logs/metric_store.py: what was measured is found under the metric and the time it was measured for."""

import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from moto.cloudwatch.models import cloudwatch_backends
from small_cloud import start_small

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.logs.metric_store import MetricData, _Datum, seconds

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def datum(value: float, name: str = "size", colour: str = "red", at: datetime = NOW) -> _Datum:
    return _Datum("shop", name, value, [{"Name": "colour", "Value": colour}], at)


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


@pytest.fixture
def restless():
    """Threads that are switched as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_values_put_at_once_stay_with_their_metric(restless):
    data = MetricData()

    def put(number: int) -> None:
        for second in range(500):
            data.append(datum(number * 1000 + second, f"of-{number}", at=NOW + timedelta(seconds=second)))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for number in range(8):
        found = [(each.value, each.timestamp) for each in data.read("shop", f"of-{number}")]
        assert found == [(number * 1000 + second, NOW + timedelta(seconds=second)) for second in range(500)]
    assert len(data) == 8 * 500


def test_a_metric_is_read_by_name_and_from_a_time_to_before_another():
    data = MetricData()
    for value in range(5):
        data.append(datum(value, colour=("red", "blue")[value % 2], at=NOW + timedelta(seconds=value)))
    data.append(datum(99, "weight"))

    start, end = seconds(NOW + timedelta(seconds=1)), seconds(NOW + timedelta(seconds=4))
    found = {(each.value, each.dimensions[0].value) for each in data.read("shop", "size", start, end)}
    assert found == {(1, "blue"), (2, "red"), (3, "blue")}
    assert [each.value for each in data.read("shop", "weight")] == [99]
    assert data.read("shop", "length") == []


def test_a_time_without_a_zone_comes_back_without_one():
    data = MetricData()
    data.append(datum(1, at=NOW.replace(tzinfo=None)))

    [found] = data.read("shop", "size")
    assert found.timestamp == NOW.replace(tzinfo=None)
    assert seconds(found.timestamp) == NOW.timestamp()


def test_what_was_put_as_statistics_is_among_the_rest(cloud):
    metrics = cloud.client("cloudwatch")
    whole = {"SampleCount": 3, "Sum": 12, "Minimum": 1, "Maximum": 9}
    metrics.put_metric_data(Namespace="put", MetricData=[{"MetricName": "whole", "StatisticValues": whole}])
    metrics.put_metric_data(Namespace="put", MetricData=[{"MetricName": "single", "Value": 4}])

    assert {each["MetricName"] for each in metrics.list_metrics(Namespace="put")["Metrics"]} == {"whole", "single"}
    now = datetime.now(UTC)
    [point] = metrics.get_metric_statistics(
        Namespace="put",
        MetricName="whole",
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=600,
        Statistics=["Sum", "Maximum"],
    )["Datapoints"]
    assert (point["Sum"], point["Maximum"]) == (12, 9)


def test_a_cloud_after_another_files_its_own_whatever_came_late_of_the_other(cloud):
    cloud.client("cloudwatch").put_metric_data(Namespace="earlier", MetricData=[{"MetricName": "one", "Value": 1}])
    cloud.stop()
    cloudwatch_backends[ACCOUNT][REGION].metric_data  # noqa: B018 - a call that comes late has moto make the backend

    with start_small() as another:
        metrics = another.client("cloudwatch")
        metrics.put_metric_data(Namespace="later", MetricData=[{"MetricName": "one", "Value": 2}])
        assert [each["Namespace"] for each in metrics.list_metrics()["Metrics"]] == ["later"]
        query = {"Metric": {"Namespace": "later", "MetricName": "one"}, "Period": 60, "Stat": "Sum"}
        now = datetime.now(UTC)
        [found] = metrics.get_metric_data(
            MetricDataQueries=[{"Id": "one", "MetricStat": query}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
        )["MetricDataResults"]
        assert found["Values"] == [2]
