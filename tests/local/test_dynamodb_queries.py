"""A Query reads a queue in order and in pages, costs what it reads, and sees every write that came before it."""

import time
from textwrap import dedent

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.dynamodb.models import dynamodb_backends

from bulwark.local import cloud as embedded
from bulwark.local.clients import ACCOUNT, REGION

TEMPLATE = """
Resources:
  Reviews:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: reviews
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - { AttributeName: id, AttributeType: S }
        - { AttributeName: queue, AttributeType: S }
        - { AttributeName: position, AttributeType: S }
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      GlobalSecondaryIndexes:
        - IndexName: queue-index
          KeySchema: [{ AttributeName: queue, KeyType: HASH }, { AttributeName: position, KeyType: RANGE }]
          Projection: { ProjectionType: INCLUDE, NonKeyAttributes: [status, seen_by] }
        - IndexName: all-index
          KeySchema: [{ AttributeName: queue, KeyType: HASH }]
          Projection: { ProjectionType: ALL }
  Verdicts:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: verdicts
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - { AttributeName: month, AttributeType: S }
        - { AttributeName: number, AttributeType: N }
      KeySchema: [{ AttributeName: month, KeyType: HASH }, { AttributeName: number, KeyType: RANGE }]
"""


@pytest.fixture(scope="module")
def dynamodb(tmp_path_factory):
    path = tmp_path_factory.mktemp("queries") / "template.yaml"
    path.write_text(dedent(TEMPLATE))
    with embedded.start(template=path, stack_name="queries", schedules=False) as cloud:
        yield cloud.client("dynamodb")


def put(dynamodb, identifier, queue, position, **more):
    item = {"id": {"S": identifier}, "queue": {"S": queue}, "position": {"S": position}, **more}
    dynamodb.put_item(TableName="reviews", Item=item)


def query(dynamodb, queue, condition="", index="queue-index", **options):
    values = {":q": {"S": queue}} | options.pop("values", {})
    names = {"#queue": "queue"} | ({"#position": "position"} if "#position" in condition else {})
    return dynamodb.query(
        TableName="reviews",
        IndexName=index,
        KeyConditionExpression=f"#queue = :q{condition}",
        ExpressionAttributeNames=names | options.pop("names", {}),
        ExpressionAttributeValues=values,
        **options,
    )


def ids(answer):
    return [item["id"]["S"] for item in answer["Items"]]


@pytest.fixture(scope="module")
def ten(dynamodb):
    """Ten reviews of a queue, put in another order than theirs; every second one is open."""
    for number in (3, 9, 0, 7, 1, 5, 8, 2, 6, 4):
        put(dynamodb, f"T{number}", "ten", f"p{number}", status={"S": "DONE" if number % 2 else "OPEN"})
    return dynamodb


@pytest.mark.parametrize(
    ("condition", "values", "found"),
    [
        ("", {}, "0123456789"),
        (" AND #position > :p", {":p": "p6"}, "789"),
        (" AND #position >= :p", {":p": "p6"}, "6789"),
        (" AND #position < :p", {":p": "p2"}, "01"),
        (" AND #position <= :p", {":p": "p2"}, "012"),
        (" AND #position = :p", {":p": "p2"}, "2"),
        (" AND #position BETWEEN :p AND :r", {":p": "p2", ":r": "p4x"}, "234"),
        (" AND begins_with(#position, :p)", {":p": "p"}, "0123456789"),
        (" AND begins_with(#position, :p)", {":p": "p7"}, "7"),
        (" AND begins_with(#position, :p)", {":p": "q"}, ""),
        (" AND #position > :p", {":p": "p99"}, ""),
    ],
)
def test_a_condition_on_the_position_is_kept_forwards_and_backwards(ten, condition, values, found):
    values = {name: {"S": value} for name, value in values.items()}

    assert ids(query(ten, "ten", condition, values=values)) == [f"T{each}" for each in found]
    backwards = query(ten, "ten", condition, values=values, ScanIndexForward=False)
    assert ids(backwards) == [f"T{each}" for each in reversed(found)]


def test_a_filter_comes_after_the_limit(ten):
    opened = {"FilterExpression": "#status = :s", "names": {"#status": "status"}, "values": {":s": {"S": "OPEN"}}}

    page = query(ten, "ten", Limit=3, **opened)
    assert (ids(page), page["Count"], page["ScannedCount"]) == (["T0", "T2"], 2, 3)
    assert page["LastEvaluatedKey"] == {"id": {"S": "T2"}, "queue": {"S": "ten"}, "position": {"S": "p2"}}
    none = query(ten, "ten", Limit=1, ExclusiveStartKey=page["LastEvaluatedKey"], **opened)
    assert (none["Items"], none["Count"], none["ScannedCount"]) == ([], 0, 1)
    assert none["LastEvaluatedKey"]["id"] == {"S": "T3"}


@pytest.mark.parametrize("forward", [True, False])
def test_pages_join_to_the_whole_and_a_full_last_page_promises_one_more(ten, forward):
    found, pages, start = [], 0, {}
    while True:
        page = query(ten, "ten", Limit=5, ScanIndexForward=forward, **start)
        found += ids(page)
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    assert found == [f"T{each}" for each in (range(10) if forward else range(9, -1, -1))]
    assert pages == 3


def test_a_page_goes_on_after_an_item_that_is_gone(dynamodb):
    for number in range(4):
        put(dynamodb, f"G{number}", "gone", f"p{number}")
    page = query(dynamodb, "gone", Limit=2)
    dynamodb.delete_item(TableName="reviews", Key={"id": {"S": "G1"}})

    assert ids(query(dynamodb, "gone", ExclusiveStartKey=page["LastEvaluatedKey"])) == ["G2", "G3"]


@pytest.mark.parametrize(
    "start",
    [
        {"id": {"S": "T2"}},
        {"id": {"S": "T2"}, "queue": {"S": "other"}, "position": {"S": "p2"}},
        {"id": {"S": "T2"}, "queue": {"S": "ten"}, "position": {"N": "2"}},
    ],
)
def test_a_start_that_is_not_of_the_queue_is_refused(ten, start):
    with pytest.raises(ClientError, match="The provided starting key is invalid"):
        query(ten, "ten", ExclusiveStartKey=start)


def test_a_value_of_another_type_is_refused(ten):
    with pytest.raises(ClientError, match="does not match schema type"):
        query(ten, "ten", " AND #position > :p", values={":p": {"N": "1"}})


def test_an_index_holds_what_it_projects_and_a_filter_sees_no_more(dynamodb):
    put(dynamodb, "P1", "projected", "p1", status={"S": "OPEN"}, draft={"S": "words"})
    drafted = {"FilterExpression": "attribute_exists(draft)"}

    assert query(dynamodb, "projected")["Items"] == [
        {"id": {"S": "P1"}, "queue": {"S": "projected"}, "position": {"S": "p1"}, "status": {"S": "OPEN"}}
    ]
    assert query(dynamodb, "projected", **drafted)["Count"] == 0
    assert query(dynamodb, "projected", index="all-index", **drafted)["Count"] == 1
    assert query(dynamodb, "projected", ProjectionExpression="id")["Items"] == [{"id": {"S": "P1"}}]
    assert query(dynamodb, "projected", Select="COUNT")["Count"] == 1


def test_a_list_is_appended_to_and_looked_into(dynamodb):
    put(dynamodb, "L1", "lists", "p1")
    for name in ("ann", "bob"):
        dynamodb.update_item(
            TableName="reviews",
            Key={"id": {"S": "L1"}},
            UpdateExpression="SET #seen = list_append(if_not_exists(#seen, :none), :who)",
            ConditionExpression="NOT contains(#seen, :name)",
            ExpressionAttributeNames={"#seen": "seen_by"},
            ExpressionAttributeValues={":none": {"L": []}, ":who": {"L": [{"S": name}]}, ":name": {"S": name}},
        )

    def seen_by(name, expression="contains(#seen, :x)"):
        names, values = {"#seen": "seen_by"}, {":x": {"S": name}}
        return ids(query(dynamodb, "lists", FilterExpression=expression, names=names, values=values))

    assert (seen_by("ann"), seen_by("bob"), seen_by("an")) == (["L1"], ["L1"], [])
    assert seen_by("ann", "NOT contains(#seen, :x)") == []


def test_numbers_are_added_in_a_transaction_or_not_at_all(dynamodb):
    put(dynamodb, "A1", "added", "p1", n={"N": "1.5"})

    def add(identifier, amount, **more):
        update = {
            "TableName": "reviews",
            "Key": {"id": {"S": identifier}},
            "UpdateExpression": "ADD n :n, waiting :one",
        }
        values = {":n": {"N": amount}, ":one": {"N": "1"}, **more.pop("values", {})}
        return {"Update": {**update, "ExpressionAttributeValues": values, **more}}

    dynamodb.transact_write_items(TransactItems=[add("A1", "2.25"), add("A2", "-3")])
    with pytest.raises(ClientError):
        failing = add("A2", "1", ConditionExpression="n > :least", values={":least": {"N": "0"}})
        dynamodb.transact_write_items(TransactItems=[add("A1", "100"), failing])

    items = [dynamodb.get_item(TableName="reviews", Key={"id": {"S": name}})["Item"] for name in ("A1", "A2")]
    assert [(item["n"]["N"], item["waiting"]["N"]) for item in items] == [("3.75", "1"), ("-3", "1")]


def test_a_failed_transaction_leaves_the_queue_as_it_was(dynamodb):
    put(dynamodb, "F1", "failed", "p1")
    query(dynamodb, "failed")

    def move(identifier, **more):
        update = {
            "TableName": "reviews",
            "Key": {"id": {"S": identifier}},
            "UpdateExpression": "SET #queue = :q ADD n :n",
        }
        update |= {"ExpressionAttributeNames": {"#queue": "queue"}}
        return {"Update": {**update, "ExpressionAttributeValues": {":q": {"S": "moved"}, ":n": {"N": "1"}}, **more}}

    put(dynamodb, "F2", "failed", "p2", n={"S": "no number"})
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(TransactItems=[move("F1"), move("F2")])
    assert (ids(query(dynamodb, "failed")), ids(query(dynamodb, "moved"))) == (["F1", "F2"], [])


def test_a_query_consumes_by_what_it_evaluated(dynamodb):
    for number in range(10):
        put(dynamodb, f"C{number}", "costs", f"p{number}", status={"S": "x" * 3000}, draft={"S": "y" * 9000})

    def units(index="queue-index", **options):
        return query(dynamodb, "costs", index=index, ReturnConsumedCapacity="INDEXES", **options)["ConsumedCapacity"]

    half = units(Limit=1, FilterExpression="attribute_not_exists(id)")
    assert half["CapacityUnits"] == half["GlobalSecondaryIndexes"]["queue-index"]["CapacityUnits"] == 0.5
    assert half["Table"]["CapacityUnits"] == 0
    assert units()["CapacityUnits"] == 4.0
    assert units("all-index")["CapacityUnits"] == 15.0
    assert query(dynamodb, "nobody", ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]["CapacityUnits"] == 0.5


def test_a_page_holds_a_megabyte_at_the_most(dynamodb):
    for number in range(4):
        put(dynamodb, f"M{number}", "large", f"p{number}", draft={"S": "x" * 400_000})

    page = query(dynamodb, "large", index="all-index")
    assert (ids(page), page["ScannedCount"]) == (["M0", "M1"], 2)
    assert ids(query(dynamodb, "large", index="all-index", ExclusiveStartKey=page["LastEvaluatedKey"])) == ["M2", "M3"]


def test_a_tables_own_numbers_are_in_their_order(dynamodb):
    for number in ("10", "9", "-1", "2.5"):
        dynamodb.put_item(TableName="verdicts", Item={"month": {"S": "2026-03"}, "number": {"N": number}})

    def numbers(condition="", **values):
        answer = dynamodb.query(
            TableName="verdicts",
            KeyConditionExpression=f"#m = :m{condition}",
            ExpressionAttributeNames={"#m": "month"} | ({"#n": "number"} if condition else {}),
            ExpressionAttributeValues={":m": {"S": "2026-03"}} | {f":{k}": {"N": v} for k, v in values.items()},
            ConsistentRead=True,
        )
        return [item["number"]["N"] for item in answer["Items"]]

    assert numbers() == ["-1", "2.5", "9", "10"]
    assert numbers(" AND #n BETWEEN :a AND :b", a="2.50", b="9") == ["2.5", "9"]


def test_what_partiql_wrote_is_found_as_well(dynamodb):
    put(dynamodb, "Q1", "partiql", "p1")
    assert ids(query(dynamodb, "partiql")) == ["Q1"]
    dynamodb.execute_statement(Statement="INSERT INTO reviews VALUE {'id': 'Q2', 'queue': 'partiql', 'position': 'p0'}")
    assert ids(query(dynamodb, "partiql")) == ["Q2", "Q1"]


WRITES = st.lists(
    st.tuples(
        st.sampled_from(["put", "move", "leave", "delete"]),
        st.integers(0, 5),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["p1", "p2", "p3"]),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def crowd(dynamodb):
    """Enough other items that the order of a few is mended and not made anew."""
    for number in range(60):
        put(dynamodb, f"B{number}", "crowd", "p1")
    return dynamodb


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=WRITES)
def test_after_any_writes_a_queue_holds_what_it_should(crowd, writes):
    dynamodb = crowd
    for number in range(6):
        dynamodb.delete_item(TableName="reviews", Key={"id": {"S": f"H{number}"}})
    expected: dict[str, tuple[str, str]] = {}
    for kind, number, queue, position in writes:
        identifier, key = f"H{number}", {"id": {"S": f"H{number}"}}
        if kind == "put":
            put(dynamodb, identifier, queue, position)
            expected[identifier] = (queue, position)
        elif kind == "delete":
            dynamodb.delete_item(TableName="reviews", Key=key)
            expected.pop(identifier, None)
        else:
            moves = kind == "move"
            dynamodb.update_item(
                TableName="reviews",
                Key=key,
                UpdateExpression="SET #q = :q, #p = :p" if moves else "REMOVE #q",
                ExpressionAttributeNames={"#q": "queue"} | ({"#p": "position"} if moves else {}),
                **({"ExpressionAttributeValues": {":q": {"S": queue}, ":p": {"S": position}}} if moves else {}),
            )
            expected.pop(identifier, None)
            if moves:
                expected[identifier] = (queue, position)
        for each in ("a", "b"):
            found = query(dynamodb, each)["Items"]
            held = sorted((position, name) for name, (queue, position) in expected.items() if queue == each)
            assert [(item["position"]["S"], item["id"]["S"]) for item in found] == held


def test_the_first_of_many_thousands_are_found_at_once(dynamodb):
    backend = dynamodb_backends[ACCOUNT][REGION]

    def seconds(size: int) -> float:
        for number in range(size):
            backend.put_item(
                "reviews",
                {
                    "id": {"S": f"{size}-{number}"},
                    "queue": {"S": f"of {size}"},
                    "position": {"S": f"{number * 7919 % size:05d}"},
                },
            )
        query(dynamodb, f"of {size}", Limit=1)
        took = []
        for number in range(5):
            put(dynamodb, f"{size}-{number}", f"of {size}", f"0000{number}")
            before = time.process_time()
            answer = query(dynamodb, f"of {size}", " AND #position > :p", values={":p": {"S": "00100"}}, Limit=25)
            took.append(time.process_time() - before)
            assert answer["ScannedCount"] == 25
        return min(took)

    # A read of them all would take fifty times as long.
    assert seconds(10_000) < 10 * seconds(200)
