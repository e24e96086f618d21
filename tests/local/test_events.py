"""EventBridge delivers what rules say; queues, streams and schedules invoke functions as on AWS."""

import json
import time
from datetime import UTC, datetime

import pytest
from small_cloud import drain, eventually, put_event, seen, start_small

from bulwark.local.events.cron import Cron
from bulwark.local.events.input import fill, target_input
from bulwark.local.events.schedules import next_firing


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


def test_an_event_starts_an_execution_with_the_part_that_the_rule_names(cloud):
    sfn, machine = cloud.client("stepfunctions"), cloud.stack.physical_id("Flow")
    put_event(cloud, "Ordered", {"order": 7})

    def finished():
        found = sfn.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]
        return found and sfn.describe_execution(executionArn=found[0]["executionArn"])

    execution = eventually(finished)
    assert json.loads(execution["input"]) == {"order": 7}
    assert json.loads(execution["output"])["echo"] == {"order": 7}


def test_an_input_transformer_shapes_the_message_and_a_disabled_rule_sends_none(cloud):
    put_event(cloud, "Told", {"who": 'Ann "A"', "n": [1, 2]})
    cloud.settle()
    messages = drain(cloud, "ToldQueue")

    assert [json.loads(message["Body"]) for message in messages] == [
        {"said": 'Hello Ann "A"', "detail": {"who": 'Ann "A"', "n": [1, 2]}}
    ]


def test_an_event_invokes_a_function(cloud):
    put_event(cloud, "Collected", {"id": "collected"})

    eventually(lambda: seen(cloud, "collected") == 1)


def test_an_undeliverable_event_goes_whole_to_the_targets_queue(cloud):
    put_event(cloud, "Lost", {"id": "lost"})
    message = drain(cloud, "UndeliveredQueue")[0]
    event = json.loads(message["Body"])
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}

    assert (event["source"], event["detail-type"], event["detail"]) == ("shop", "Lost", {"id": "lost"})
    assert event["version"] == "0" and datetime.fromisoformat(event["time"])
    assert attributes["TARGET_ARN"].endswith(":stateMachine:absent")
    assert attributes["ERROR_CODE"] == "SDK_CLIENT_ERROR"
    assert "StateMachineDoesNotExist" in attributes["ERROR_MESSAGE"]


def test_a_delivery_can_be_made_twice_on_purpose(cloud):
    cloud.events.deliver_twice = True
    try:
        put_event(cloud, "Collected", {"id": "twice"})
        eventually(lambda: seen(cloud, "twice") == 2)
    finally:
        cloud.events.deliver_twice = False


def test_a_target_that_comes_back_gets_the_event_after_all(cloud):
    rule = {"Name": "late", "EventBusName": cloud.outputs["Bus"], "EventPattern": '{"detail-type": ["Late"]}'}
    cloud.client("events").put_rule(**rule)
    target = {"Id": "late", "Arn": cloud.stack.physical_id("Flow"), "RoleArn": "arn:aws:iam::123456789012:role/r"}
    cloud.client("events").put_targets(Rule="late", EventBusName=cloud.outputs["Bus"], Targets=[target])
    fault = {"service": "states", "operation": "StartExecution", "error": "ServiceUnavailable", "count": 2}
    cloud.load_faults({"services": [fault]})
    put_event(cloud, "Late", {"order": 8})
    sfn = cloud.client("stepfunctions")

    def arrived():
        found = sfn.list_executions(stateMachineArn=cloud.stack.physical_id("Flow"))["executions"]
        inputs = [sfn.describe_execution(executionArn=each["executionArn"])["input"] for each in found]
        return any(json.loads(each).get("detail") == {"order": 8} for each in inputs)

    eventually(arrived)


def send(cloud, **body) -> None:
    cloud.client("sqs").send_message(QueueUrl=cloud.stack.physical_id("WorkQueue"), MessageBody=json.dumps(body))


def test_a_message_invokes_the_queues_function_at_once(cloud):
    send(cloud, id="warm")
    eventually(lambda: seen(cloud, "warm"))
    before = time.monotonic()
    send(cloud, id="quick")
    eventually(lambda: seen(cloud, "quick"))

    assert time.monotonic() - before < 0.5


def test_a_reported_message_comes_again_and_the_others_do_not(cloud):
    for body in ({"id": "again", "fail_times": 1}, {"id": "fine-1"}, {"id": "fine-2"}):
        send(cloud, **body)
    eventually(lambda: seen(cloud, "again") == 2)
    time.sleep(1.2)

    assert (seen(cloud, "again"), seen(cloud, "fine-1"), seen(cloud, "fine-2")) == (2, 1, 1)


def test_a_message_that_keeps_failing_goes_to_the_dead_letter_queue(cloud):
    send(cloud, id="hopeless", fail_times=99)
    dead = json.loads(drain(cloud, "DeadQueue")[0]["Body"])

    assert dead["id"] == "hopeless"
    assert seen(cloud, "hopeless") == 2


def write(cloud, identifier: str, kind: str, **more) -> None:
    item = {"id": {"S": identifier}, "kind": {"S": kind}, **more}
    cloud.client("dynamodb").put_item(TableName=cloud.stack.physical_id("Watched"), Item=item)


def test_a_change_invokes_the_streams_function_if_the_filter_lets_it(cloud):
    write(cloud, "a", "unseen")
    write(cloud, "b", "seen")
    eventually(lambda: seen(cloud, "stream-b") == 1)
    before = time.monotonic()
    write(cloud, "c", "seen")
    eventually(lambda: seen(cloud, "stream-c") == 1)

    assert time.monotonic() - before < 0.5
    assert seen(cloud, "stream-a") == 0


def test_a_write_that_changes_nothing_is_not_in_the_stream(cloud):
    write(cloud, "same", "seen")
    eventually(lambda: seen(cloud, "stream-same") == 1)
    write(cloud, "same", "seen")
    write(cloud, "after", "seen")
    eventually(lambda: seen(cloud, "stream-after") == 1)

    assert seen(cloud, "stream-same") == 1


@pytest.mark.parametrize(("how", "given_up"), [("report", 2), ("raise", 1)])
def test_what_keeps_failing_is_given_up_from_the_poison_on_or_alone_where_batches_are_halved(cloud, how, given_up):
    poison = f"poison-{how}"
    actions = [(f"{how}-1", "seen"), (poison, "poison"), (f"{how}-2", "seen")]
    cloud.client("dynamodb").transact_write_items(
        TransactItems=[
            {
                "Put": {
                    "TableName": cloud.stack.physical_id("Watched"),
                    "Item": {"id": {"S": identifier}, "kind": {"S": kind}, "how": {"S": how}},
                }
            }
            for identifier, kind in actions
        ]
    )
    record = json.loads(drain(cloud, "GaveUpQueue")[0]["Body"])
    write(cloud, f"{how}-3", "seen")
    eventually(lambda: seen(cloud, f"stream-{how}-3") == 1)

    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["DDBStreamBatchInfo"]["batchSize"] == given_up
    assert record["DDBStreamBatchInfo"]["streamArn"] == cloud.stack.attribute("Watched", "StreamArn")
    assert seen(cloud, f"stream-{poison}") >= 3
    assert (seen(cloud, f"stream-{how}-2") > 0) is (given_up == 1)


@pytest.mark.parametrize(
    ("expression", "after", "fires"),
    [
        ("rate(1 minute)", "2026-03-01T10:00:30", "2026-03-01T10:01:30"),
        ("rate(2 hours)", "2026-03-01T10:00:00", "2026-03-01T12:00:00"),
        ("cron(15 10 * * ? *)", "2026-03-01T10:15:00", "2026-03-02T10:15:00"),
        ("cron(0/20 8-9 ? * MON-FRI *)", "2026-03-06T09:45:00", "2026-03-09T08:00:00"),
        ("cron(0 0 29 FEB ? *)", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("at(2026-03-01T10:00:00)", "2026-03-01T09:00:00", "2026-03-01T10:00:00"),
        ("at(2026-03-01T10:00:00)", "2026-03-01T11:00:00", None),
    ],
)
def test_when_a_schedule_fires(expression, after, fires):
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    expected = fires and datetime.fromisoformat(fires).replace(tzinfo=UTC)

    assert next_firing({"ScheduleExpression": expression}, moment) == expected


@pytest.mark.parametrize("expression", ["* * *", "99 * * * ? *", "0 0 L * ? *"])
def test_a_cron_expression_that_is_none_is_refused(expression):
    with pytest.raises(ValueError):
        Cron(expression)


EVENT = {"id": "1", "time": "t", "detail-type": "T", "detail": {"a": {"b": [10, 20]}, "s": 'x"y'}}


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ({"Input": '{"fixed": 1}'}, '{"fixed": 1}'),
        ({"InputPath": "$.detail.a.b[1]"}, "20"),
        ({"InputTransformer": {"InputPathsMap": {"s": "$.detail.s"}, "InputTemplate": '"told <s>"'}}, r'"told x\"y"'),
        ({"InputTransformer": {"InputPathsMap": {"a": "$.detail.a"}, "InputTemplate": "<a>"}}, '{"b": [10, 20]}'),
        ({"InputTransformer": {"InputPathsMap": {"n": "$.none"}, "InputTemplate": '{"n": <n>}'}}, '{"n": ""}'),
    ],
)
def test_what_a_target_receives(target, text):
    assert target_input(target, EVENT) == text


def test_reserved_names_are_filled_in():
    template = {
        "InputTransformer": {"InputTemplate": '{"rule": <aws.events.rule-name>, "id": <aws.events.event.json>}'}
    }

    assert json.loads(target_input(template, EVENT, rule_name="r")) == {"rule": "r", "id": EVENT}
    assert fill("<unknown>", {}) == "<unknown>"
