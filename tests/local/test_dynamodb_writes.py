"""DynamoDB's writes happen one after another, wholly or not at all, and its streams tell what happened."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_cloud import start_small

THREADS = 8


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def dynamodb(cloud):
    return cloud.client("dynamodb")


@pytest.fixture(scope="module")
def table(cloud):
    return cloud.outputs["Table"]


@pytest.fixture(scope="module")
def watched(cloud):
    return cloud.stack.physical_id("Watched")


def number(dynamodb, table, identifier: str) -> int:
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": identifier}}, ConsistentRead=True).get("Item", {})
    return int(item.get("n", {"N": "0"})["N"])


def add(table: str, identifier: str, amount: int, condition: str | None = None) -> dict:
    update = {
        "TableName": table,
        "Key": {"id": {"S": identifier}},
        "UpdateExpression": "ADD n :n",
        "ExpressionAttributeValues": {":n": {"N": str(amount)}},
    }
    return update | ({"ConditionExpression": condition} if condition else {})


def in_threads(work) -> None:
    ready = threading.Barrier(THREADS)

    def run(index: int) -> None:
        ready.wait()
        work(index)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))


def test_no_update_is_lost(dynamodb, table):
    in_threads(lambda _: [dynamodb.update_item(**add(table, "counter", 1)) for _ in range(25)])

    assert number(dynamodb, table, "counter") == THREADS * 25


def test_one_of_many_claims_wins(dynamodb, table):
    won = []

    def claim(index: int) -> None:
        try:
            dynamodb.put_item(
                TableName=table,
                Item={"id": {"S": "claim"}, "by": {"N": str(index)}},
                ConditionExpression="attribute_not_exists(id)",
            )
            won.append(index)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            pass

    in_threads(claim)
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": "claim"}})["Item"]
    assert [item["by"]["N"]] == [str(index) for index in won]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    transfers=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 60)).filter(lambda each: each[0] != each[1]),
        min_size=8,
        max_size=40,
    )
)
def test_transfers_between_accounts_neither_make_nor_lose_money(dynamodb, table, transfers):
    accounts = [f"account-{index}" for index in range(4)]
    for account in accounts:
        dynamodb.put_item(TableName=table, Item={"id": {"S": account}, "n": {"N": "100"}})
    refused = []

    def transfer(source: int, target: int, amount: int) -> None:
        take = add(table, accounts[source], -amount, "n >= :least")
        take["ExpressionAttributeValues"] |= {":least": {"N": str(amount)}}
        try:
            dynamodb.transact_write_items(
                TransactItems=[{"Update": take}, {"Update": add(table, accounts[target], amount)}]
            )
        except dynamodb.exceptions.TransactionCanceledException as error:
            assert [reason["Code"] for reason in error.response["CancellationReasons"]] == [
                "ConditionalCheckFailed",
                "None",
            ]
            refused.append((source, target, amount))

    def work(index: int) -> None:
        for each in transfers[index::THREADS]:
            transfer(*each)

    in_threads(work)
    balances = [number(dynamodb, table, account) for account in accounts]
    made = list(transfers)
    for each in refused:
        made.remove(each)
    expected = [
        100 - sum(amount for source, _, amount in made if source == index)
        + sum(amount for _, target, amount in made if target == index)
        for index in range(4)
    ]  # fmt: skip
    assert balances == expected
    assert min(balances) >= 0


def test_a_failed_condition_gives_the_reason_and_the_item(dynamodb, table):
    dynamodb.put_item(TableName=table, Item={"id": {"S": "held"}, "by": {"S": "ann"}})
    put = {"TableName": table, "Item": {"id": {"S": "held"}}, "ConditionExpression": "attribute_not_exists(id)"}
    put["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    with pytest.raises(ClientError) as single:
        dynamodb.put_item(**put)
    with pytest.raises(ClientError) as transaction:
        dynamodb.transact_write_items(
            TransactItems=[{"Put": put}, {"Put": {"TableName": table, "Item": {"id": {"S": "unheld"}}}}]
        )

    item = {"id": {"S": "held"}, "by": {"S": "ann"}}
    assert single.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert single.value.response["Item"] == item
    reasons = transaction.value.response["CancellationReasons"]
    assert transaction.value.response["Error"]["Code"] == "TransactionCanceledException"
    assert "[ConditionalCheckFailed, None]" in transaction.value.response["Error"]["Message"]
    assert reasons[0] == {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", "Item": item}
    assert reasons[1]["Code"] == "None"
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": {"S": "unheld"}})


def test_an_action_that_cannot_be_applied_undoes_those_before_it(dynamodb, table):
    dynamodb.put_item(TableName=table, Item={"id": {"S": "text"}, "n": {"S": "not a number"}})
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(
            TransactItems=[{"Update": add(table, "undone", 1)}, {"Update": add(table, "text", 1)}]
        )

    assert [reason["Code"] for reason in raised.value.response["CancellationReasons"]] == ["None", "ValidationError"]
    assert number(dynamodb, table, "undone") == 0


def test_a_repeated_token_changes_nothing_twice(dynamodb, table):
    actions = [{"Update": add(table, "token", 1)}]
    for _ in range(3):
        dynamodb.transact_write_items(TransactItems=actions, ClientRequestToken="once")
    assert number(dynamodb, table, "token") == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        dynamodb.transact_write_items(TransactItems=[{"Update": add(table, "token", 2)}], ClientRequestToken="once")


def test_one_item_cannot_be_in_a_transaction_twice(dynamodb, table):
    with pytest.raises(ClientError, match="multiple operations on one item"):
        dynamodb.transact_write_items(
            TransactItems=[{"Update": add(table, "one", 1)}, {"Update": add(table, "one", 1)}]
        )


def test_a_check_alone_writes_nothing(dynamodb, table):
    check = {"TableName": table, "Key": {"id": {"S": "unwritten"}}, "ConditionExpression": "attribute_not_exists(id)"}
    dynamodb.transact_write_items(TransactItems=[{"ConditionCheck": check}])

    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": {"S": "unwritten"}})


def records(cloud, watched: str) -> list[tuple[str, str]]:
    streams = cloud.client("dynamodbstreams")
    arn = cloud.stack.attribute("Watched", "StreamArn")
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    found = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    return [(record["eventName"], record["dynamodb"]["Keys"]["id"]["S"]) for record in found]


def test_every_change_is_one_record_of_the_stream(cloud, dynamodb, watched):
    def changes(identifier: str) -> list[str]:
        return [name for name, each in records(cloud, watched) if each == identifier]

    dynamodb.update_item(**add(watched, "upserted", 1))
    dynamodb.update_item(**add(watched, "upserted", 1))
    dynamodb.transact_write_items(TransactItems=[{"Update": add(watched, "upserted", 1)}])
    dynamodb.put_item(TableName=watched, Item={"id": {"S": "same"}})
    dynamodb.put_item(TableName=watched, Item={"id": {"S": "same"}})
    dynamodb.delete_item(TableName=watched, Key={"id": {"S": "same"}})
    dynamodb.batch_write_item(RequestItems={watched: [{"PutRequest": {"Item": {"id": {"S": "batched"}}}}]})
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(
            TransactItems=[{"Update": add(watched, "failed", 1)}, {"Update": add(watched, "same", 1, "n > :n")}]
        )

    assert changes("upserted") == ["INSERT", "MODIFY", "MODIFY"]
    assert changes("same") == ["INSERT", "REMOVE"]
    assert changes("batched") == ["INSERT"]
    assert changes("failed") == []


def test_the_stream_shows_the_image_before_and_after(cloud, dynamodb, watched):
    dynamodb.update_item(**add(watched, "images", 1))
    dynamodb.update_item(**add(watched, "images", 4))
    streams, arn = cloud.client("dynamodbstreams"), cloud.stack.attribute("Watched", "StreamArn")
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    last = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"][-1]["dynamodb"]

    assert (last["OldImage"]["n"], last["NewImage"]["n"]) == ({"N": "1"}, {"N": "5"})
