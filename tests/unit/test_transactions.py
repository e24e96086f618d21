"""adapters/dynamodb.py: transactions that name what stopped them, reads, how both give way to others, and numbers."""

import pytest
from botocore.stub import Stubber

from adapters import dynamodb
from adapters.dynamodb import ConditionFailed, as_json, decimal, get, get_many, put, transact, update
from domain.errors import TableContended

COUNT = update("control", {"control_key": "count"}, add={"count": 1})


def cancelled(*codes: str) -> dict:
    return {"CancellationReasons": [{"Code": code} for code in codes]}


@pytest.fixture
def scripted(monkeypatch):
    """The table's answers, one after another, without waiting between attempts."""
    monkeypatch.setattr(dynamodb.time, "sleep", lambda seconds: None)
    with Stubber(dynamodb.client) as stubber:
        yield stubber


def test_a_transaction_writes_all_or_nothing_and_names_the_first_that_failed(requests, control):
    requests.put_item(Item={"request_key": "acme#1", "status": "ADMITTED"})

    with pytest.raises(ConditionFailed) as failed:
        transact(
            [
                update("control", {"control_key": "count"}, add={"count": 1}),
                put("requests", {"request_key": "acme#1", "status": "REFUSED"}, "request_key"),
            ]
        )

    assert failed.value.index == 1
    assert failed.value.item == {"request_key": "acme#1", "status": "ADMITTED"}
    assert "Item" not in control.get_item(Key={"control_key": "count"})


def test_an_update_sets_adds_and_removes(control):
    control.put_item(Item={"control_key": "k", "count": 1, "old": "x"})

    transact([update("control", {"control_key": "k"}, set={"status": "S"}, add={"count": 2}, remove=("old",))])

    assert get("control", {"control_key": "k"}) == {"control_key": "k", "count": 3, "status": "S"}


@pytest.mark.parametrize("code", sorted(dynamodb.CONTENDED))
def test_a_contended_transaction_is_tried_again(scripted, code):
    scripted.add_client_error(
        "transact_write_items", "TransactionCanceledException", modeled_fields=cancelled("None", code)
    )
    scripted.add_response("transact_write_items", {})

    transact([COUNT])


def test_contention_without_end_is_told_by_name(scripted):
    for _ in range(dynamodb.ATTEMPTS):
        scripted.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields=cancelled("TransactionConflict"),
        )

    with pytest.raises(TableContended):
        transact([COUNT])


def test_a_transaction_that_can_never_pass_is_not_tried_again(scripted):
    scripted.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields=cancelled("ValidationError"),
    )

    with pytest.raises(dynamodb.client.exceptions.TransactionCanceledException):
        transact([COUNT])


def test_a_key_longer_than_dynamodb_takes_is_not_asked_for(scripted):
    assert get("requests", {"request_key": "acme#" + "x" * 5000}) is None


def test_nothing_is_read_that_is_not_there(requests):
    assert get("requests", {"request_key": "acme#unknown"}) is None


def test_many_items_are_read_in_batches(control):
    keys = [{"control_key": f"k-{number:03}"} for number in range(dynamodb.MAX_BATCH_KEYS + 1)]
    for key in keys[:-1:50] + keys[-1:]:
        control.put_item(Item=key)

    assert sorted(get_many("control", keys), key=lambda item: item["control_key"]) == [keys[0], keys[50], keys[100]]


def left(key: str) -> dict:
    """A batch of which the table gave nothing but a key to ask for again."""
    unread = {"Keys": [{"control_key": {"S": key}}], "ConsistentRead": True}
    return {"Responses": {}, "UnprocessedKeys": {"control": unread}}


def test_what_a_batch_left_out_is_asked_for_as_the_table_says(scripted):
    given = {"Responses": {"control": [{"control_key": {"S": "a"}}]}}
    asked = {"RequestItems": {"control": {"Keys": [{"control_key": "b"}], "ConsistentRead": True}}}
    scripted.add_response("batch_get_item", left("b") | given)
    scripted.add_response("batch_get_item", {"Responses": {"control": [{"control_key": {"S": "b"}}]}}, asked)

    items = get_many("control", [{"control_key": "a"}, {"control_key": "b"}])

    assert items == [{"control_key": "a"}, {"control_key": "b"}]


def test_a_batch_that_is_never_whole_is_told_by_name(scripted):
    for _ in range(dynamodb.ATTEMPTS):
        scripted.add_response("batch_get_item", left("a"))

    with pytest.raises(TableContended):
        get_many("control", [{"control_key": "a"}])


@pytest.mark.parametrize("numbers", [{"a": 1, "b": 0.25, "c": "text", "d": True}, {}])
def test_stored_numbers_come_back_as_json_has_them(numbers):
    stored = {name: decimal(value) if isinstance(value, float) else value for name, value in numbers.items()}

    assert as_json(stored) == numbers


def test_nothing_stored_is_nothing():
    assert as_json(None) is None
