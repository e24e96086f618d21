"""What is found once or copied by hand answers as moto does."""

import copy

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from small_cloud import start_small

ATTRIBUTES = {
    "id": {"S": "1"},
    "text": {"S": "grüße"},
    "number": {"N": "1.50"},
    "bytes": {"B": "AAEC"},
    "nothing": {"NULL": True},
    "truth": {"BOOL": False},
    "words": {"SS": ["a", "b"]},
    "deep": {"M": {"list": {"L": [{"N": "1"}, {"M": {"x": {"S": "y"}}}]}, "empty": {"L": []}}},
}


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


@pytest.fixture
def update(cloud):
    table = cloud.outputs["Table"]
    cloud.client("dynamodb").put_item(TableName=table, Item=ATTRIBUTES)

    def update(expression, **options):
        return cloud.client("dynamodb").update_item(
            TableName=table, Key={"id": {"S": "1"}}, UpdateExpression=expression, ReturnValues="ALL_NEW", **options
        )["Attributes"]

    return update


def test_a_copy_of_an_item_is_the_same_and_its_own(cloud):
    item = Item(DynamoType({"S": "1"}), None, ATTRIBUTES)
    copied = copy.deepcopy(item)
    before = {name: value.to_regular_json() for name, value in item.attrs.items()}

    assert copied == item
    copied.attrs["words"].value.append("c")
    copied.attrs["deep"].value["list"].value[1].value["x"].value = "z"
    copied.attrs["text"] = DynamoType({"S": "other"})
    assert {name: value.to_regular_json() for name, value in item.attrs.items()} == before


def test_an_update_of_many_parts_does_what_it_says(update):
    found = update(
        "SET deep.#list[0] = deep.#list[0] + :one, #text = if_not_exists(absent, :text) "
        "REMOVE truth, #number ADD #words :c",
        ExpressionAttributeNames={"#list": "list", "#text": "text", "#number": "number", "#words": "words"},
        ExpressionAttributeValues={":one": {"N": "1"}, ":text": {"S": "new"}, ":c": {"SS": ["c"]}},
    )

    assert found["deep"]["M"]["list"]["L"][0] == {"N": "2"}
    assert found["text"] == {"S": "new"}
    assert sorted(found["words"]["SS"]) == ["a", "b", "c"]
    assert "truth" not in found and "number" not in found


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("SET a = :v SET b = :v", 'The "SET" section can only be used once'),
        ("REMOVE a REMOVE b", 'The "REMOVE" section can only be used once'),
        ("SET a = :v, b = :v, a = :v", "Two document paths overlap"),
        ("SET deep.x = :v, b = :v, deep.x.y = :v", "Two document paths overlap"),
        ("SET id = :v", "Cannot update attribute id"),
    ],
)
def test_an_update_that_contradicts_itself_is_refused(update, expression, said):
    values = {":v": {"S": "v"}} if ":v" in expression else {}

    with pytest.raises(ClientError, match=said):
        update(expression, **({"ExpressionAttributeValues": values} if values else {}))


def test_a_client_of_another_region_finds_its_own(cloud):
    import boto3

    elsewhere = boto3.client(
        "sqs", region_name="eu-central-1", endpoint_url=cloud.endpoint, aws_access_key_id="a", aws_secret_access_key="b"
    )

    assert "QueueUrls" not in elsewhere.list_queues()
