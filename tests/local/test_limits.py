"""AWS's limits that are the embedded AWS's to hold, each met exactly and then passed."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from small_cloud import drain, put_event, start_small

from bulwark.local.dynamodb.sizes import ITEM_LIMIT, item_size
from bulwark.local.events.delivery import PUT_EVENTS_LIMIT, entry_size
from bulwark.local.functions.asynchronous import ASYNC_LIMIT
from bulwark.local.functions.host import REQUEST_LIMIT


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


def padded(length: int) -> str:
    """A JSON object of exactly that many bytes."""
    return json.dumps({"pad": "x" * (length - len(json.dumps({"pad": ""})))})


@pytest.mark.parametrize("over", [0, 1])
def test_a_put_events_request_may_have_one_mebibyte(cloud, over):
    entry = {"EventBusName": cloud.outputs["Bus"], "Source": "nobody", "DetailType": "Nothing"}
    room = PUT_EVENTS_LIMIT - entry_size(entry)
    put = cloud.client("events").put_events
    if not over:
        assert put(Entries=[entry | {"Detail": padded(room)}])["FailedEntryCount"] == 0
        return
    with pytest.raises(ClientError, match="ValidationException.*over the limit"):
        put(Entries=[entry | {"Detail": padded(room + over)}])


def test_an_execution_input_over_256_kib_goes_to_the_dead_letter_queue(cloud):
    detail = json.loads(padded(262_145))
    put_event(cloud, "Ordered", detail)
    message = drain(cloud, "UndeliveredQueue")[0]

    assert json.loads(message["Body"])["detail"] == detail
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["TARGET_ARN"] == cloud.stack.physical_id("Flow")
    assert attributes["RULE_ARN"].startswith("arn:aws:events:us-east-1:123456789012:rule/small-bus/")
    assert attributes["ERROR_CODE"] == "INVALID_PARAMETER"
    assert "262144" in attributes["ERROR_MESSAGE"]


def test_an_execution_input_of_256_kib_is_delivered(cloud):
    before = executions(cloud)
    put_event(cloud, "Ordered", padded(262_144))
    cloud.settle()

    assert executions(cloud) == before + 1


def executions(cloud) -> int:
    answer = cloud.client("stepfunctions").list_executions(stateMachineArn=cloud.stack.physical_id("Flow"))
    return len(answer["executions"])


def test_a_synchronous_payload_may_have_six_megabytes(cloud):
    invoke, name = cloud.client("lambda").invoke, cloud.stack.physical_id("CollectorFunction")
    with pytest.raises(ClientError, match="RequestTooLargeException"):
        invoke(FunctionName=name, Payload=padded(REQUEST_LIMIT + 1))
    assert invoke(FunctionName=name, Payload=padded(REQUEST_LIMIT))["StatusCode"] == 200


def test_an_asynchronous_payload_may_have_one_mebibyte(cloud):
    name = cloud.stack.physical_id("AsyncFunction")
    with pytest.raises(ClientError, match="RequestTooLargeException"):
        cloud.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=padded(ASYNC_LIMIT + 1))


@pytest.mark.parametrize(("length", "error"), [(6_291_554, None), (6_291_555, "Unhandled")])
def test_a_response_may_have_six_megabytes(cloud, length, error):
    payload, function_error = cloud.functions.invoke("ReservedFunction", {"do": "large", "length": length})

    assert function_error == error
    assert error is None or payload["errorType"] == "Function.ResponseSizeTooLarge"


def test_invocations_beyond_the_pool_wait_their_turn(cloud):
    cloud.functions.warm("ProbeFunction")
    event = {"do": "sleep", "seconds": 0.2}
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: cloud.functions.invoke("ProbeFunction", event), range(12)))

    assert [error for _, error in answers] == [None] * 12
    assert 1 < len({answer["pid"] for answer, _ in answers}) <= cloud.functions.concurrency == 4


def test_reserved_concurrency_is_refused_when_it_is_used_up(cloud):
    name = cloud.stack.physical_id("ReservedFunction")
    cloud.functions.warm("ReservedFunction")
    busy = threading.Thread(target=cloud.functions.invoke, args=(name, {"do": "sleep", "seconds": 0.6}))
    busy.start()
    time.sleep(0.2)
    with pytest.raises(ClientError, match="TooManyRequestsException") as raised:
        cloud.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    busy.join()

    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert cloud.functions.invoke(name, {})[1] is None


def item_of(size: int, identifier: str = "large") -> dict:
    item = {"id": {"S": identifier}, "pad": {"S": ""}}
    return item | {"pad": {"S": "x" * (size - item_size(item))}}


def test_an_item_may_have_400_kb(cloud):
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["Table"]
    dynamodb.put_item(TableName=table, Item=item_of(ITEM_LIMIT))
    with pytest.raises(ClientError, match="Item size has exceeded the maximum allowed size"):
        dynamodb.put_item(TableName=table, Item=item_of(ITEM_LIMIT + 1))


def test_an_update_that_makes_an_item_too_large_changes_nothing(cloud):
    dynamodb, table, key = cloud.client("dynamodb"), cloud.outputs["Table"], {"id": {"S": "growing"}}
    dynamodb.put_item(TableName=table, Item=item_of(ITEM_LIMIT - 10, "growing"))
    with pytest.raises(ClientError, match="Item size to update has exceeded the maximum allowed size"):
        dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET a = :a, b = :b",
            ExpressionAttributeValues={":a": {"S": "1"}, ":b": {"S": "x" * 20}},
        )

    assert set(dynamodb.get_item(TableName=table, Key=key)["Item"]) == {"id", "pad"}


def test_a_transaction_may_have_a_hundred_actions(cloud):
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["Table"]

    def actions(count: int) -> list[dict]:
        return [{"Put": {"TableName": table, "Item": {"id": {"S": f"t-{number}"}}}} for number in range(count)]

    dynamodb.transact_write_items(TransactItems=actions(100))
    with pytest.raises(ClientError, match="less than or equal to 100"):
        dynamodb.transact_write_items(TransactItems=actions(101))


def test_a_transaction_may_have_four_megabytes(cloud):
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["Table"]
    actions = [{"Put": {"TableName": table, "Item": item_of(400_000, f"heavy-{number}")}} for number in range(11)]
    with pytest.raises(ClientError, match="4 MB"):
        dynamodb.transact_write_items(TransactItems=actions)

    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": {"S": "heavy-0"}})


def test_a_message_may_have_one_mebibyte_with_its_attributes(cloud):
    sqs, url = cloud.client("sqs"), cloud.stack.physical_id("ToldQueue")
    attributes = {"a": {"DataType": "String", "StringValue": "bb"}}
    room = 1_048_576 - len("a") - len("String") - len("bb")
    sqs.send_message(QueueUrl=url, MessageBody="x" * room, MessageAttributes=attributes)
    for body in ("x" * (room + 1), "é" * (room // 2 + 1)):
        with pytest.raises(ClientError, match="1048576 bytes"):
            sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)
    assert len(drain(cloud, "ToldQueue")[0]["Body"]) == room
