"""The functions of retention_cleanup on the template's tables: what is over goes, and nothing else."""

import hashlib
import json

import pytest
from botocore.exceptions import ClientError

from adapters import payloads
from adapters.governance import expired_items
from domain.governance.retention import Store, Unit
from retention_cleanup import clean_segment, plan_retention, report_retention

NOW = 1_800_000_000
TODAY = "2027-01-15"
OWNER = hashlib.sha256(b"acme#r-1").hexdigest()


@pytest.fixture
def clean(stores, context, clock, monkeypatch, reviews):
    """Run every unit that is planned to its end; gives the report."""
    monkeypatch.setenv("REVIEWS_TABLE", "reviews")

    def run(dry_run: bool = False) -> dict:
        units = plan_retention.handler({"execution_name": "night"}, context)["units"]
        results = []
        for unit in units:
            told = {"cursor": "", "tally": {}, "done": False}
            while not told["done"]:
                event = {"execution_name": "night", "unit": unit, "dry_run": dry_run}
                told = clean_segment.handler(event | {"cursor": told["cursor"], "tally": told["tally"]}, context)
            results.append({"unit": unit, "tally": told["tally"], "error": ""})
        event = {"execution_name": "night", "started_at": "2027-01-15T00:05:00.000Z", "dry_run": dry_run}
        return report_retention.handler(event | {"units": units, "results": results}, context)

    return run


def keys(table):
    return {item[table.key_schema[0]["AttributeName"]] for item in table.scan()["Items"]}


def objects(bucket):
    return {each.key for each in bucket.objects.all()}


@pytest.fixture
def filled(requests, reviews, cache, control, bucket):
    """Something over, something not over and something held, in every store."""
    for name, end in {"over": {"expires_at": NOW}, "young": {"expires_at": NOW + 1}, "held": {}}.items():
        requests.put_item(Item={"request_key": f"acme#{name}", "retention_class": "standard", "tenant": "acme"} | end)
        reviews.put_item(Item={"review_id": f"r-{name}", "retention_class": "sensitive"} | end)
        cache.put_item(Item={"answer_key": name} | end)
        control.put_item(Item={"control_key": f"rate#{name}"} | end)
    for name in (f"requests/{TODAY}/a/x.json", "requests/2027-01-14/a/x.json", "held/2027-01-14/a/x.json"):
        payloads.put(name, b"x")


def test_what_is_over_goes_from_every_store_and_nothing_else(filled, clean, requests, reviews, cache, control, bucket):
    report = clean()

    assert keys(requests) == {"acme#young", "acme#held"}
    assert keys(reviews) == {"r-young", "r-held"}
    assert keys(cache) == {"young", "held"}
    assert keys(control) == {"rate#young", "rate#held"}
    assert objects(bucket) == {f"requests/{TODAY}/a/x.json", "held/2027-01-14/a/x.json", report["report"]}
    assert {store: told["deleted"] for store, told in report["stores"].items()} == {
        "requests": {"standard": 1},
        "reviews": {"sensitive": 1},
        "cache": {"cache": 1},
        "control": {"rate": 1},
        "payloads": {"dated": 1},
    }
    assert (report["outcome"], report["deleted"], report["failures"]) == ("COMPLETE", 5, 0)
    assert json.loads(payloads.get(report["report"])) == report


def test_a_dry_run_counts_the_same_and_changes_nothing(filled, clean, requests, bucket):
    before = keys(requests), objects(bucket)

    dry = clean(dry_run=True)

    assert (keys(requests), objects(bucket)) == before
    real = clean()
    assert "report" not in dry
    assert {store: told["deleted"] for store, told in dry["stores"].items()} == {
        store: told["deleted"] for store, told in real["stores"].items()
    }


def test_a_second_run_finds_nothing(filled, clean):
    clean()

    assert clean()["deleted"] == 0


def test_what_was_prolonged_or_held_meanwhile_stays(requests, reviews, monkeypatch, control):
    for name in ("gone", "prolonged", "held", "over"):
        requests.put_item(Item={"request_key": name, "expires_at": NOW})
    unit = Unit(Store.REQUESTS)
    page = expired_items.page(unit, "", NOW)
    requests.delete_item(Key={"request_key": "gone"})
    requests.put_item(Item={"request_key": "prolonged", "expires_at": NOW + 5})
    requests.put_item(Item={"request_key": "held", "held_expires_at": NOW})

    deletion = expired_items.delete(unit, page.expired)

    assert deletion.kept == {"prolonged", "held"}
    assert keys(requests) == {"prolonged", "held"}


def test_one_bad_item_stops_nothing_and_is_listed(clean, requests):
    for number in range(250):
        requests.put_item(Item={"request_key": f"acme#r-{number}", "expires_at": NOW - 10, "tenant": "acme"})

    def refuse(params, **_):
        # As DynamoDB does with a transaction that has a bad item.
        if any(action["Delete"]["Key"] == {"request_key": "acme#r-77"} for action in params["TransactItems"]):
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "bad"}}, "TransactWriteItems")

    events = expired_items.client.meta.events
    events.register("provide-client-params.dynamodb.TransactWriteItems", refuse)
    try:
        report = clean()
    finally:
        events.unregister("provide-client-params.dynamodb.TransactWriteItems", refuse)

    assert keys(requests) == {"acme#r-77"}
    assert (report["outcome"], report["failures"]) == ("INCOMPLETE", 1)
    assert report["failed"] == [{"store": "requests", "key": "acme#r-77", "error": "ValidationException"}]
    assert report["stores"]["requests"]["deleted"] == {"unknown": 249}


def test_an_object_without_a_day_goes_with_its_record(clean, requests, bucket):
    known, other = f"requests/{OWNER}/payload-1.json", f"requests/20{OWNER[2:]}/payload-1.json"
    requests.put_item(Item={"request_key": "acme#r-1", "expires_at": NOW - 1, "payload_ref": known})
    for name in (known, other, "requests/2027-03-01/b/y.json"):
        payloads.put(name, b"x")

    report = clean()

    assert objects(bucket) == {other, "requests/2027-03-01/b/y.json", report["report"]}


@pytest.mark.parametrize(("days", "stays"), [(14, {"orphan", "events"}), (16, {"orphan"}), (91, set())])
def test_age_tells_where_no_day_does(clean, bucket, clock, monkeypatch, days, stays):
    names = {"orphan": f"requests/20{OWNER[2:]}/payload-1.json", "events": "events/1.json"}
    for name in (*names.values(), "requests/2030-01-01/b/y.json", "requests/2026-12-31/b/y.json"):
        payloads.put(name, b"x")
    put = next(iter(bucket.objects.all())).last_modified.timestamp()
    clock(put + days * 86_400 - NOW)

    clean()

    left = objects(bucket)
    assert {name for name, key in names.items() if key in left} == stays


def test_a_long_segment_goes_on_where_it_was_left(stores, requests, context, clock, monkeypatch):
    for number in range(30):
        requests.put_item(Item={"request_key": f"r-{number:02}", "expires_at": NOW - 1})
    context.get_remaining_time_in_millis = lambda: 1_000
    monkeypatch.setattr(expired_items, "PAGE_ITEMS", 7)
    event = {"execution_name": "n", "unit": Unit(Store.REQUESTS).to_json(), "dry_run": False}
    turns, told = 0, {"cursor": "", "tally": {}}

    while turns == 0 or told["cursor"]:
        told = clean_segment.handler(event | {"cursor": told["cursor"], "tally": told["tally"]}, context)
        turns += 1

    assert turns >= 5 and told["tally"]["deleted"] == {"unknown": 30}
    assert keys(requests) == set()
