"""adapters/{quality_table,loads_table}.py: counters of many use cases are read whole, and each review adds its own."""

import pytest
from botocore.stub import Stubber

from adapters import dynamodb
from adapters.reviews import loads_table, quality_table

NOW = 1_800_000_000.0
PLACES = [("acme", f"use_case_{number}") for number in range(250)]


def verdict(person: str, name: str, decision: str = "APPROVE") -> dict:
    return {"person": person, "name": name, "decision": decision, "tier": "reviewer", "seconds": 7}


def finished(*verdicts: dict, **changes) -> dict:
    review = {"tenant": "acme", "use_case": "general_question", "kind": "AUDIT", "status": "DECIDED"}
    return review | {"decision": "APPROVE", "verdicts": list(verdicts)} | changes


def count(review: dict, now: float = NOW) -> None:
    dynamodb.transact([quality_table.counted(review, now)])


def test_each_review_adds_its_own(control):
    count(finished(verdict("a-1", "ann")))
    count(finished(verdict("a-1", "ann-with-a-new-name"), decision="REJECT"))

    counts = quality_table.read([("acme", "general_question")], "2027-01")["acme", "general_question"]

    assert {name: int(counts[name]) for name in ("reviews", "audits_judged", "audits_wrong", "by_a1_decided")} == {
        "reviews": 2,
        "audits_judged": 2,
        "audits_wrong": 1,
        "by_a1_decided": 2,
    }
    assert (counts["by_a1_name"], counts["by_a1_seconds"]) == ("ann-with-a-new-name", 14)
    assert counts["expires_at"] == NOW + quality_table.KEPT_DAYS * 86_400


@pytest.mark.parametrize("place", [("globex", "general_question"), ("acme", "product_support")])
def test_a_place_without_a_review_has_no_counters(control, place):
    count(finished())

    assert quality_table.read([place], "2027-01") == {}
    assert quality_table.read([("acme", "general_question")], "2027-02") == {}


def test_more_places_than_one_read_takes_are_all_read(control):
    for tenant, use_case in PLACES[::50]:
        count(finished(tenant=tenant, use_case=use_case))
        loads_table.keep({"tenant": tenant, "use_case": use_case, "waiting": 1}, NOW)

    assert set(quality_table.read(PLACES, "2027-01")) == set(PLACES[::50])
    assert [each["use_case"] for each in loads_table.read(PLACES)] == sorted(place[1] for place in PLACES[::50])


@pytest.mark.parametrize("adapter", [quality_table, loads_table])
def test_what_a_read_left_out_is_read_again(control, monkeypatch, adapter):
    left = {"control": {"Keys": [{"control_key": "left"}]}}
    answers = iter([{"Responses": {}, "UnprocessedKeys": left}, {"Responses": {"control": []}}])
    asked = []

    def read(RequestItems: dict) -> dict:
        asked.append(RequestItems)
        return next(answers)

    monkeypatch.setattr(dynamodb.client, "batch_get_item", read)
    adapter.read(*([PLACES[:2], "2027-01"] if adapter is quality_table else [PLACES[:2]]))

    assert asked[1:] == [left]


def test_no_places_are_read_without_asking(control):
    with Stubber(dynamodb.client):
        assert quality_table.read([], "2027-01") == {}
        assert loads_table.read([]) == []
