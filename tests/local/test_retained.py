"""What is kept on disk, or once for all, is read back as it was."""

import time
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from small_cloud import start_small

WORDS = ["plain", "grüße 🎉", '{"a": "' + "x" * 10_000 + '"}', "line\nline", " "]


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


def test_a_line_of_a_log_is_what_was_written(cloud):
    logs, now = cloud.client("logs"), int(time.time() * 1000)
    logs.create_log_group(logGroupName="kept")
    logs.create_log_stream(logGroupName="kept", logStreamName="one")
    events = [{"timestamp": now + number, "message": words} for number, words in enumerate(WORDS)]
    logs.put_log_events(logGroupName="kept", logStreamName="one", logEvents=events)

    found = logs.filter_log_events(logGroupName="kept")["events"]
    assert [(event["timestamp"], event["message"]) for event in found] == [
        (event["timestamp"], event["message"]) for event in events
    ]
    assert len({event["eventId"] for event in found}) == len(WORDS)
    read = logs.get_log_events(logGroupName="kept", logStreamName="one", startFromHead=True)["events"]
    assert [event["message"] for event in read] == WORDS
    assert len(logs.filter_log_events(logGroupName="kept", filterPattern="plain")["events"]) == 1


def test_a_metric_is_found_by_its_dimensions(cloud):
    metrics, now = cloud.client("cloudwatch"), datetime.now(UTC)
    for colour, value in (("red", 1), ("red", 3), ("blue", 10)):
        dimensions = [{"Name": "colour", "Value": colour}, {"Name": "shape", "Value": "round"}]
        metrics.put_metric_data(
            Namespace="kept", MetricData=[{"MetricName": "size", "Value": value, "Dimensions": dimensions}]
        )

    def statistics(*dimensions):
        return metrics.get_metric_statistics(
            Namespace="kept",
            MetricName="size",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=600,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]

    assert sum(point["Sum"] for point in statistics(("colour", "red"), ("shape", "round"))) == 4
    assert sum(point["SampleCount"] for point in statistics(("colour", "blue"), ("shape", "round"))) == 1


def test_a_stream_shows_both_images(cloud):
    dynamodb, table = cloud.client("dynamodb"), cloud.stack.physical_id("Watched")
    deep = {"M": {"words": {"SS": ["a", "b"]}, "list": {"L": [{"N": "1.50"}, {"B": b"\x00\xff"}]}}}
    dynamodb.put_item(TableName=table, Item={"id": {"S": "kept"}, "deep": deep})
    dynamodb.update_item(TableName=table, Key={"id": {"S": "kept"}}, UpdateExpression="REMOVE deep")

    streams = cloud.client("dynamodbstreams")
    arn = dynamodb.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    first, second = [each for each in records if each["dynamodb"]["Keys"]["id"]["S"] == "kept"]
    assert (first["eventName"], second["eventName"]) == ("INSERT", "MODIFY")
    assert first["dynamodb"]["NewImage"]["deep"]["M"]["list"] == deep["M"]["list"]
    assert second["dynamodb"]["OldImage"]["deep"] == first["dynamodb"]["NewImage"]["deep"]
    assert "deep" not in second["dynamodb"]["NewImage"]


def test_what_moto_adds_to_a_description_is_its_own(cloud):
    queues = cloud.client("sqs")
    with pytest.raises(ClientError, match="QueueDoesNotExist|NonExistentQueue"):
        queues.get_queue_url(QueueName="nobody's")

    session = botocore.session.get_session()
    shapes = session.get_service_model("sqs").error_shapes
    assert "QueueDoesNotExist" in {shape.error_code for shape in shapes}


ANYTHING = st.recursive(
    st.one_of(
        st.text(max_size=5).map(lambda text: {"S": text}),
        st.integers(-(10**20), 10**20).map(lambda number: {"N": str(number)}),
        st.booleans().map(lambda value: {"BOOL": value}),
        st.just({"NULL": True}),
        st.binary(min_size=1, max_size=5).map(lambda value: {"B": value}),
        st.sets(st.text(min_size=1, max_size=3), min_size=1, max_size=3).map(lambda texts: {"SS": sorted(texts)}),
        st.sets(st.integers(0, 99), min_size=1, max_size=3).map(lambda some: {"NS": [str(one) for one in some]}),
    ),
    lambda values: st.one_of(
        st.lists(values, max_size=3).map(lambda several: {"L": several}),
        st.dictionaries(st.text(min_size=1, max_size=3), values, max_size=3).map(lambda several: {"M": several}),
    ),
    max_leaves=8,
)


@given(attributes=st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), ANYTHING), more=ANYTHING)
def test_an_item_at_rest_is_read_and_changed_as_it_was_written(cloud, attributes, more):
    dynamodb, table = cloud.client("dynamodb"), cloud.stack.physical_id("Watched")
    key = {"id": {"S": "rests"}}

    def stored() -> dict:
        return dynamodb.get_item(TableName=table, Key=key)["Item"]

    dynamodb.put_item(TableName=table, Item=key | attributes)
    assert stored() == key | attributes
    update = {"UpdateExpression": "SET #n = :v", "ExpressionAttributeNames": {"#n": "a"}}
    dynamodb.update_item(TableName=table, Key=key, ExpressionAttributeValues={":v": more}, **update)
    assert stored() == key | attributes | {"a": more}
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        dynamodb.update_item(
            TableName=table,
            Key=key,
            ConditionExpression="attribute_not_exists(id)",
            ExpressionAttributeValues={":v": {"S": "lost"}},
            **update,
        )
    assert stored() == key | attributes | {"a": more}
    assert stored() in dynamodb.scan(TableName=table)["Items"]


def test_an_object_is_what_was_put(cloud):
    objects = cloud.client("s3")
    objects.create_bucket(Bucket="kept")
    for body in (b"", b"small", bytes(range(256)) * 10_000):
        objects.put_object(Bucket="kept", Key="one", Body=body)

        assert objects.get_object(Bucket="kept", Key="one")["Body"].read() == body
    assert objects.get_object(Bucket="kept", Key="one", Range="bytes=255-257")["Body"].read() == b"\xff\x00\x01"
