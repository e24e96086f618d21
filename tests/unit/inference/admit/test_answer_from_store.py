"""inference/admit/answer_from_store.py: in cache-only mode the earlier answer is given, or none."""

from decimal import Decimal

import pytest
from words import sealed, text_of

from adapters.inference import answers_table
from domain.inference.answers import answer_key
from domain.modes import EffectiveMode, Mode
from inference.admit.answer_from_store import answer_from_store

CACHE_ONLY = {"mode": EffectiveMode(Mode.CACHE_ONLY)}


@pytest.fixture
def answered(admission, requests, rules):
    """Record that the question was answered before."""
    detail = admission("identify_tenant").detail
    key = answer_key(rules.use_cases["general_question"], "acme", detail)
    record = {"request_key": "acme#r-0", "tenant": "acme", "status": "COMPLETED", "answer_key": key}
    record |= {"model": "nova-pro", "confidence": Decimal("0.97"), "expires_at": 1_900_000_000}
    requests.put_item(Item=record | sealed("answer", "acme#r-0", "Eleven hours."))
    answers_table.keep([record])


def test_a_use_case_in_order_asks_the_model_and_keeps_the_question_s_key(admission, answered):
    seen = answer_from_store(admission("answer_from_store"))

    assert seen.told is None
    assert seen.answer_key.startswith("acme#")


def test_an_earlier_answer_is_given_under_the_new_request(admission, answered, requests):
    told = answer_from_store(admission("answer_from_store", known=CACHE_ONLY)).told

    assert (told["admission"], told["outcome"]["status"]) == ("REFUSED", "COMPLETED")
    record = requests.get_item(Key={"request_key": "acme#r-1"})["Item"]
    assert (text_of(record, "answer"), record["decided_by"], record["cost_usd"]) == ("Eleven hours.", "store", 0)
    assert (record["model"], record["mode"]) == ("nova-pro", "cache_only")


def test_a_new_question_is_refused_until_later_and_gives_its_place_back(admission, requests, control):
    told = answer_from_store(admission("answer_from_store", known=CACHE_ONLY)).told

    assert (told["outcome"]["status"], told["outcome"]["reason"]) == ("REFUSED", "CACHE_ONLY")
    counts = {item["control_key"]: item["count"] for item in control.scan()["Items"] if "in-flight" in str(item)}
    assert list(counts.values()) == [0]
