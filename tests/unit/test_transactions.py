"""adapters/dynamodb.py: transactions that name what stopped them, and how they give way to others."""

import pytest
from botocore.stub import Stubber

from adapters import dynamodb
from adapters.dynamodb import ConditionFailed, get, put, transact, update
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
