"""A Scan reads each item once, whole or in segments, in pages that cost what they read, while items are deleted."""

from textwrap import dedent

import pytest

from bulwark.local import cloud as embedded

TEMPLATE = """
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: things
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
"""
MANY = 300


@pytest.fixture(scope="module")
def dynamodb(tmp_path_factory):
    path = tmp_path_factory.mktemp("scans") / "template.yaml"
    path.write_text(dedent(TEMPLATE))
    with embedded.start(template=path, stack_name="scans", schedules=False) as cloud:
        yield cloud.client("dynamodb")


@pytest.fixture
def things(dynamodb):
    for number in range(MANY):
        item = {"id": {"S": f"t-{number}"}, "number": {"N": str(number)}, "filler": {"S": "x" * 10_000}}
        dynamodb.put_item(TableName="things", Item=item)


def pages(dynamodb, **options):
    start = {}
    while True:
        page = dynamodb.scan(TableName="things", **options, **start)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def numbers(dynamodb, **options):
    return [int(item["number"]["N"]) for page in pages(dynamodb, **options) for item in page["Items"]]


def test_a_scan_reads_each_item_once_in_pages_of_a_megabyte(dynamodb, things):
    counts = [page["ScannedCount"] for page in pages(dynamodb)]

    assert sum(counts) == MANY and max(counts) * 10_000 < 1_048_576 and len(counts) == 3
    assert sorted(numbers(dynamodb)) == list(range(MANY))
    assert sorted(numbers(dynamodb, Limit=7)) == list(range(MANY))


@pytest.mark.parametrize("segments", [2, 3, 7, 400])
def test_segments_share_the_items_out(dynamodb, things, segments):
    shares = [numbers(dynamodb, Segment=each, TotalSegments=segments) for each in range(segments)]

    assert sorted(sum(shares, [])) == list(range(MANY))
    assert segments > 7 or all(len(share) > MANY / segments / 2 for share in shares)


def test_a_scan_goes_on_behind_what_was_deleted(dynamodb, things):
    options = {
        "FilterExpression": "#number < :limit",
        "ExpressionAttributeNames": {"#number": "number", "#id": "id"},
        "ExpressionAttributeValues": {":limit": {"N": "200"}},
        "ProjectionExpression": "#id",
    }
    deleted = 0
    for page in pages(dynamodb, Limit=13, **options):
        for item in page["Items"]:
            assert item.keys() == {"id"}
            dynamodb.delete_item(TableName="things", Key=item)
            deleted += 1

    assert deleted == 200
    assert sorted(numbers(dynamodb)) == list(range(200, MANY))
