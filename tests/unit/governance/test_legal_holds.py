"""Legal holds on the template's tables: complete, repeatable, and gone without a trace when lifted."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from people import judge, reviewer
from words import text_of

from adapters import payloads, requests_table, subject_keys
from adapters.governance import legal_holds
from adapters.reviews import reviews_table
from domain.errors import HoldChanged
from domain.governance import audit
from legal_hold import lift_hold, set_hold
from retention_cleanup import apply_holds

NOW = 1_800_000_000
LONG = "word " * 20_000


@pytest.fixture
def subject(stores, rules, reviews, clock, open_review, requests):
    """A subject with some records, one of them with a review that has a verdict, and a stranger; gives the ref."""
    ref = subject_keys.subject_ref("acme", "customer-17")
    review = open_review("reviewed", draft=LONG, subject_id="customer-17", subject_ref=ref, retention_class="standard")
    words = subject_keys.make(ref, "acme", NOW)
    for name, owner in {"reviewed": ref, "large": ref, "small": ref, "stranger": "0" * 32}.items():
        key = f"acme#{name}"
        record = requests_table.find(key) or {"request_key": key, "status": "COMPLETED", "tenant": "acme"}
        record |= {"subject_ref": owner, "expires_at": NOW + 1000}
        record |= payloads.keep("payload", key, "small" if name == "small" else LONG + name, words, NOW + 1000)
        requests.put_item(Item=record)
    judge(review["review_id"], reviewer("kim"), "APPROVE", NOW)
    return ref


@pytest.fixture
def act(context):
    def run(handler, **more):
        event = {"tenant": "acme", "subject_id": "customer-17", "reason": "case 118", "by": "kim"} | more
        told = handler(event, context)
        while not told["done"]:
            told = handler(event | {"cursor": told["cursor"]}, context)
        return told

    return run


def everything(requests, reviews, bucket):
    return (
        sorted(requests.scan()["Items"], key=lambda item: item["request_key"]),
        sorted(
            ({k: v for k, v in item.items() if k != "version"} for item in reviews.scan()["Items"]),
            key=lambda item: item["review_id"],
        ),
        sorted(each.key for each in bucket.objects.all()),
    )


def ends(table):
    return {list(item.values())[0]: item for item in table.scan()["Items"] if "expires_at" in item}


def test_a_hold_takes_the_end_from_all_of_a_subject_and_from_nobody_else(subject, act, requests, reviews, bucket):
    told = act(set_hold.handler)

    assert (told["standing"], told["subject_ref"], told["lost"]) == ("HELD", subject, 0)
    assert [item["request_key"] for item in requests.scan()["Items"] if "expires_at" in item] == ["acme#stranger"]
    assert not [item for item in reviews.scan()["Items"] if "expires_at" in item]
    assert len(reviews.scan()["Items"]) == 2  # the review, and its verdict
    record = requests_table.find("acme#large")
    assert record["payload_ref"].startswith("held/") and record["held_expires_at"] == NOW + 1000
    assert text_of(record, "payload") == LONG + "large"
    review = reviews_table.find(requests_table.find("acme#reviewed")["review_id"])
    assert text_of(requests_table.find("acme#reviewed"), "answer") == LONG and review


def test_lifting_a_hold_leaves_all_as_it_was(subject, act, requests, reviews, bucket):
    before = everything(requests, reviews, bucket)

    act(set_hold.handler)
    told = act(lift_hold.handler)

    assert told["standing"] == "LIFTED"
    assert everything(requests, reviews, bucket) == before
    assert subject_keys.held() == []


def test_what_ended_under_a_hold_ends_when_it_is_lifted(subject, act, clock):
    act(set_hold.handler)
    clock(5000)
    act(lift_hold.handler)

    assert requests_table.find("acme#small")["expires_at"] == NOW + 5000


def test_an_original_that_went_with_its_day_comes_back(subject, act, bucket):
    act(set_hold.handler)
    bucket.objects.filter(Prefix="requests/").delete()
    act(lift_hold.handler)

    assert text_of(requests_table.find("acme#large"), "payload") == LONG + "large"
    assert not list(bucket.objects.filter(Prefix="held/"))


def test_copies_that_cannot_be_read_stay_when_a_hold_is_lifted(subject, act, bucket, forbidden):
    act(set_hold.handler)
    bucket.objects.filter(Prefix="requests/").delete()
    held = [each.key for each in bucket.objects.filter(Prefix="held/")]

    with forbidden(), pytest.raises(ClientError):
        act(lift_hold.handler)
    assert [each.key for each in bucket.objects.filter(Prefix="held/")] == held

    act(lift_hold.handler)
    assert text_of(requests_table.find("acme#large"), "payload") == LONG + "large"


def test_a_review_is_held_though_its_request_is_gone(subject, act, requests, reviews):
    review_id = requests_table.find("acme#reviewed")["review_id"]
    requests.delete_item(Key={"request_key": "acme#reviewed"})

    act(set_hold.handler)
    assert "expires_at" not in reviews_table.find(review_id)

    act(lift_hold.handler)
    assert "expires_at" in reviews_table.find(review_id)


def test_holds_and_lifts_say_who_and_why_once(subject, act, control):
    for handler, by in ((set_hold.handler, "kim"), (set_hold.handler, "lee"), (lift_hold.handler, "ada")):
        told = act(handler, by=by)
        assert told["subject_ref"] == subject

    notes = [item for item in control.scan()["Items"] if item["control_key"].startswith("audit#")]
    told = {note["action"]: (note["actor"], note["facts"]["subject_ref"]) for note in notes}
    assert told == {"HOLD_SET": ("kim", subject), "HOLD_LIFTED": ("ada", subject)}
    assert len(notes) == 2
    assert "customer-17" not in json.dumps(notes, default=str)
    assert audit.NOTE_SECONDS


def test_what_was_restored_from_under_a_hold_ends_once_it_is_set_and_lifted_again(subject, act, requests, reviews):
    act(set_hold.handler)
    backup = {table: table.scan()["Items"] for table in (requests, reviews)}
    act(lift_hold.handler)
    for table, items in backup.items():
        for item in items:
            table.put_item(Item=item)
    assert "expires_at" not in requests_table.find("acme#small")

    act(set_hold.handler)
    act(lift_hold.handler)

    for table in backup:
        assert not [item for item in table.scan()["Items"] if "expires_at" not in item]


WRONG = [
    {"tenant": ""},
    {"tenant": None},
    {"tenant": ["acme"]},
    {"subject_id": ""},
    {"subject_id": None},
    {"subject_id": " "},
    {"subject_id": "*"},
    {"subject_id": "a" * 100_000},
    {"subject_id": "customer\u001b[2J"},
    {"subject_id": "customer-17\n"},
    {"subject_id": {"S": "customer-17"}},
    {"reason": ""},
    {"reason": " "},
    {"reason": "\u200b\u2800"},
    {"reason": "a" * 100_000},
    {"reason": "case \u001b]0;118"},
    {"by": ""},
    {"by": "kim\u0007"},
    {"by": 7},
    {"cursor": 7},
    {"cursor": "\u0000"},
]


@pytest.mark.parametrize("handler", [set_hold.handler, lift_hold.handler])
@pytest.mark.parametrize("wrong", WRONG, ids=[f"{i}-{next(iter(each))}" for i, each in enumerate(WRONG)])
def test_a_hold_is_refused_what_an_erasure_is_refused(stores, rules, act, control, capsys, handler, wrong):
    keys_before = boto3.resource("dynamodb").Table("keys").scan()["Items"]
    told = act(handler, **wrong)

    assert told["standing"] == "REFUSED" and next(iter(wrong)) in told["refused"]
    assert told["refused"].isprintable() and len(told["refused"]) < 200
    assert boto3.resource("dynamodb").Table("keys").scan()["Items"] == keys_before
    assert control.scan()["Items"] == []
    assert "customer" not in told["refused"] + capsys.readouterr().out


def test_nobody_is_held_of_a_tenant_that_the_policy_does_not_have(stores, rules, act):
    told = act(set_hold.handler, tenant="nobody")

    assert (told["standing"], told["refused"]) == ("REFUSED", "tenant is not one of the policy's")
    assert act(lift_hold.handler, tenant="nobody")["standing"] == "NOT_HELD"


def test_who_was_held_is_let_go_though_their_tenant_has_gone(subject, act, deploy_policy, policy_document):
    act(set_hold.handler)
    policy_document["tenants"].pop("acme")
    deploy_policy(policy_document)

    assert act(set_hold.handler)["standing"] == "REFUSED"
    assert act(lift_hold.handler)["standing"] == "LIFTED"


def test_who_is_not_held_cannot_be_lifted(stores, rules, act):
    assert act(lift_hold.handler)["standing"] == "NOT_HELD"


def test_a_hold_comes_too_late_for_who_is_being_erased(stores, rules, act):
    ref = subject_keys.subject_ref("acme", "customer-17")
    act(set_hold.handler)
    act(lift_hold.handler)
    subject_keys.begin_erasure(ref, "e-1", NOW)

    assert act(set_hold.handler)["standing"] == "BEING_ERASED"


def test_a_call_goes_on_where_the_last_one_was_out_of_time(subject, act, context, requests):
    context.get_remaining_time_in_millis = lambda: 1_000

    calls = []
    inner = set_hold.handler
    act(lambda event, _: calls.append(1) or inner(event, context))

    assert len(calls) > 3
    assert [item["request_key"] for item in requests.scan()["Items"] if "expires_at" in item] == ["acme#stranger"]


def test_what_comes_under_a_hold_is_held_by_the_next_night(subject, act, requests, context):
    act(set_hold.handler)
    late = {"request_key": "acme#late", "subject_ref": subject, "expires_at": NOW + 86_400}
    words = subject_keys.make(subject, "acme", NOW)
    requests.put_item(Item=late | payloads.keep("payload", "acme#late", LONG, words, NOW + 86_400))
    requests.update_item(
        Key={"request_key": "acme#small"},
        UpdateExpression="SET answer_ref = :ref",
        ExpressionAttributeValues={":ref": payloads.put("requests/2027-02-01/x/answer-1.json", b"late")},
    )

    assert apply_holds.handler({"execution_name": "n", "cursor": ""}, context) == {"cursor": ""}

    assert "expires_at" not in requests_table.find("acme#late")
    assert requests_table.find("acme#small")["answer_ref"] == "held/2027-02-01/x/answer-1.json"


def test_the_night_ends_a_lift_that_a_dead_process_left(subject, act, requests, reviews, bucket, context, monkeypatch):
    before = everything(requests, reviews, bucket)
    act(set_hold.handler)
    with monkeypatch.context() as patched:
        patched.setattr(subject_keys, "lift", lambda ref, hold: 1 / 0)
        patched.setattr(payloads, "delete", lambda keys: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            act(lift_hold.handler)
    assert act(set_hold.handler)["standing"] == "BEING_LIFTED"

    cursor = None
    while cursor != "":
        cursor = apply_holds.handler({"execution_name": "n", "cursor": cursor or ""}, context)["cursor"]

    assert everything(requests, reviews, bucket) == before
    assert subject_keys.held() == []


def test_a_hold_that_is_being_lifted_holds_nothing_more(subject, act):
    act(set_hold.handler)
    subject_keys.begin_lift(subject, "kim", "over", NOW)

    with pytest.raises(HoldChanged):
        legal_holds._hold(subject, ("requests", "acme#stranger"))


def test_an_object_that_is_gone_is_told_and_stops_nothing(subject, act, bucket):
    gone = requests_table.find("acme#large")["payload_ref"]
    boto3.client("s3").delete_object(Bucket="payloads", Key=gone)

    told = act(set_hold.handler)

    assert told["lost"] == 1
    assert "expires_at" not in requests_table.find("acme#large")
