"""adapters/governance/erasers: each store gives up what is a person's, all of it and nothing else, whoever dies
in between.
"""

import hashlib
import json
import time

import boto3
import pytest
from people import judge, reviewer

from adapters import dead_letters, payloads, requests_table, subject_keys, workflows
from adapters.clock import iso
from adapters.governance import erasures_table, legal_holds
from adapters.governance.erasers import by_store, cases, endings, queues
from adapters.governance.erasers.walks import PAGE
from adapters.reviews import reviews_table
from domain.errors import TableContended
from domain.governance.erasures import receipt_of
from domain.outcomes import review_id_of
from domain.requests import canonical
from domain.stores import ERASED_IN_ORDER
from erasure.end_requests import handler as end_requests
from erasure.search_store import handler as search_store

NOW = 1_800_000_000.0
ACCOUNT = "123456789012"
ERASURE = "e-1"
sqs = boto3.client("sqs")


@pytest.fixture
def resumed(monkeypatch) -> list[tuple[str, str]]:
    """What waiting workflows were told."""
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(workflows, "resume_review", lambda token, next: told.append((token, next)) or True)
    return told


def keep_answer(request_key: str, text: str) -> dict:
    """An answer too large for its record, sealed under its subject's key."""
    key = subject_keys.make(subject_keys.subject_ref("acme", "ana"), "acme", NOW)
    return payloads.keep("answer", request_key, text, key, NOW + 86_400)


@pytest.fixture
def record(stores, requests):
    """Put a request of a subject, in any state."""

    def put(request_id: str, subject: str = "ana", **more) -> dict:
        item = {
            "request_key": f"acme#{request_id}",
            "tenant": "acme",
            "request_id": request_id,
            "status": "COMPLETED",
            "admitted_at": iso(NOW),
            "expires_at": int(NOW) + 86_400,
            "subject_id": subject,
            "subject_ref": subject_keys.subject_ref("acme", subject),
            **more,
        }
        requests.put_item(Item=item)
        return item

    return put


@pytest.fixture
def case(stores, rules, dead_letters, undelivered, clock, monkeypatch):
    """An erasure of ana's, opened afresh each time, as each function does."""
    # moto has one host, and what is there is there at once.
    monkeypatch.setattr(queues, "LONG_POLL_SECONDS", 0)
    ref = subject_keys.subject_ref("acme", "ana")
    key = subject_keys.make(ref, "acme", NOW)
    erasures_table.begin(
        {
            "erasure_id": ERASURE,
            "tenant": "acme",
            "subject_ref": ref,
            "requested_by": "desk",
            "reason": "SUBJECT_REQUEST",
            "known": True,
            "sealed_subject": key.seal("ana", cases.place_of(ERASURE)),
        },
        NOW,
    )
    return lambda: cases.open_case(ERASURE, ACCOUNT)


def erase(store: str, case) -> int:
    """Erase a store as EraseStore does; gives how much went."""
    count = 0
    while True:
        progress = by_store.erase(store, case(), lambda: False)
        erasures_table.advance(ERASURE, store, progress.position, progress.count)
        count += progress.count
        if progress.done:
            return count


def found(store: str, case) -> int:
    return by_store.search(store, case(), lambda: False).count


def test_requests_of_a_subject_go_and_others_stay(record, case, requests):
    for number in range(120):
        record(f"r-{number}")
    record("other", "ben")
    assert found("RequestsTable", case) == 120

    assert erase("RequestsTable", case) == 120

    assert [item["request_id"] for item in requests.scan()["Items"]] == ["other"]
    assert found("RequestsTable", case) == 0


def test_who_has_no_time_left_goes_on_where_they_stopped(record, case, requests):
    for number in range(120):
        record(f"r-{number}")

    first = by_store.erase("RequestsTable", case(), lambda: True)
    erasures_table.advance(ERASURE, "RequestsTable", first.position, first.count)

    assert (first.count, first.done) == (PAGE, False)
    assert erase("RequestsTable", case) == 70
    assert requests.scan()["Items"] == []
    assert erasures_table.find(ERASURE)["erased"]["RequestsTable"] == 120


def test_a_user_is_taken_out_of_requests_about_somebody_else(record, case, requests, held):
    ana = subject_keys.subject_ref("acme", "ana")
    record("r-1", "ben", user_id="ana", user_ref=ana, session_id="s-1")

    assert erase("RequestsTable", case) == 1

    [item] = requests.scan()["Items"]
    assert item["subject_id"] == "ben" and not {"user_id", "user_ref", "session_id"} & item.keys()
    assert found("RequestsTable", case) == 0


def test_a_user_of_many_requests_about_others_is_forgotten_in_as_many_calls_as_it_takes(record, case):
    ana = subject_keys.subject_ref("acme", "ana")
    for number in range(2 * PAGE + 1):
        record(f"r-{number}", "ben", user_id="ana", user_ref=ana)

    counts = []
    while True:
        progress = by_store.erase("RequestsTable", case(), lambda: True)
        erasures_table.advance(ERASURE, "RequestsTable", progress.position, progress.count)
        counts.append(progress.count)
        if progress.done:
            break

    assert counts == [PAGE, PAGE, 1]
    assert found("RequestsTable", case) == 0


def test_a_request_under_somebody_else_s_legal_hold_stays_as_it_is_and_is_told_of(record, case):
    ana, ben = (subject_keys.subject_ref("acme", name) for name in ("ana", "ben"))
    record("r-1", "ben", user_id="ana", user_ref=ana, session_id="s-1")
    subject_keys.hold(ben, "acme", "legal", "case-7", NOW)
    legal_holds.apply(ben, "", lambda: False)
    before = requests_table.find("acme#r-1")

    assert erase("RequestsTable", case) == 0
    requests_table.forget_user("acme#r-1")

    assert requests_table.find("acme#r-1") == before
    assert found("RequestsTable", case) == 1
    assert receipt_of(case().record | {"erased_at": iso(NOW)})["kept_under_hold"] == 1

    subject_keys.begin_lift(ben, "legal", "case-closed", NOW)
    legal_holds.release(ben, "", NOW, lambda: False)
    assert (erase("RequestsTable", case), found("RequestsTable", case)) == (1, 0)
    assert "kept_under_hold" not in receipt_of(case().record | {"erased_at": iso(NOW)})


def test_a_held_request_is_told_its_end_and_its_review_goes_with_all_verdicts(open_review, case, resumed, reviews):
    review = open_review("r-1", second_reviewer=True)
    ref = subject_keys.subject_ref("acme", "ana")
    mark(review["request_key"], subject_ref=ref)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    other = open_review("r-2")
    assert len(reviews.scan()["Items"]) == 3

    assert erase("ReviewsTable", case) == 2

    assert [item["review_id"] for item in reviews.scan()["Items"]] == [other["review_id"]]
    record = requests_table.find(review["request_key"])
    assert [record[name] for name in ("status", "reason", "decided_by")] == ["FAILED", "SUBJECT_ERASED", "erasure"]
    assert "sweep" not in record
    assert resumed == [("token-of-r-1", "done")]


def test_a_review_that_has_not_opened_never_does(held, case, resumed):
    review = held("r-1")
    mark(review["request_key"], subject_ref=subject_keys.subject_ref("acme", "ana"))

    erase("ReviewsTable", case)

    with pytest.raises(Exception, match=review["review_id"]):
        reviews_table.open_for(review, "reviewer", "late", 600, [], NOW)
    assert reviews_table.find(review["review_id"]) is None


def test_a_workflow_is_told_again_when_the_first_one_to_tell_it_died(open_review, case, monkeypatch, resumed):
    review = open_review("r-1")
    mark(review["request_key"], subject_ref=subject_keys.subject_ref("acme", "ana"))

    def die(token: str, next: str) -> bool:
        raise TableContended("died")

    with monkeypatch.context() as dying:
        dying.setattr(workflows, "resume_review", die)
        with pytest.raises(TableContended):
            erase("ReviewsTable", case)

    erase("ReviewsTable", case)

    assert resumed == [("token-of-r-1", "done")]


def test_a_verdict_that_comes_between_is_taken_too(open_review, case, resumed, monkeypatch, reviews):
    review = open_review("r-1")
    mark(review["request_key"], subject_ref=subject_keys.subject_ref("acme", "ana"))
    first, judged = reviews_table.find, []

    def find_and_be_overtaken(review_id: str) -> dict | None:
        seen = first(review_id)
        if not judged:
            judged.append(True)
            judge(review_id, reviewer(), "APPROVE", NOW)
        return seen

    monkeypatch.setattr(reviews_table, "find", find_and_be_overtaken)

    assert erase("ReviewsTable", case) == 2
    assert reviews.scan()["Items"] == []


def test_a_cached_answer_goes_unless_it_is_another_request_s(record, case, cache):
    record("r-1", answer_key="acme/q1")
    record("r-2", answer_key="acme/q2")
    cache.put_item(Item={"answer_key": "acme/q1", "request_key": "acme#r-1"})
    cache.put_item(Item={"answer_key": "acme/q2", "request_key": "acme#other"})

    assert erase("CacheTable", case) == 1

    assert [item["answer_key"] for item in cache.scan()["Items"]] == ["acme/q2"]


def test_objects_of_a_request_go_with_those_of_attempts_that_were_not_first(record, case, bucket):
    kept = keep_answer("acme#r-1", "x" * 40_000)
    keep_answer("acme#r-1", "y" * 40_000)  # nothing refers to it
    event = payloads.put_event(b"{}")
    record("r-1", **kept, event_ref=event)
    keep_answer("acme#other", "z" * 40_000)

    assert erase("PayloadBucket", case) == 3

    assert [one.key for one in bucket.objects.all()] == [keep_answer("acme#other", "z" * 40_000)["answer_ref"]]


def test_an_object_under_the_day_of_its_expiry_is_found_by_what_lies_beside_it(record, case, bucket):
    folder = f"requests/2027-02-14/{payloads.owner_of('acme#r-1')}"
    payloads.put(f"{folder}/payload-1.json", b"{}")
    payloads.put(f"{folder}/answer-1.json", b"{}")
    record("r-1", payload_ref=f"{folder}/payload-1.json")

    assert erase("PayloadBucket", case) == 2


def test_an_event_by_reference_goes_if_it_became_a_request_of_the_subject(record, case, bucket):
    record("r-1")
    mine = [payloads.put_event(json.dumps({"request_id": "r-1", "user_id": "ana"}).encode()) for _ in range(2)]
    # Another tenant's, who happens to have an ana too.
    other = payloads.put_event(json.dumps({"request_id": "r-9", "user_id": "ana"}).encode())

    assert erase("PayloadBucket", case) == len(mine)

    assert [one.key for one in bucket.objects.all()] == [other]


def test_a_call_by_reference_whose_body_names_nobody_is_known_by_its_digest(record, case, bucket):
    body = {"request_id": "r-1", "query": "x"}
    digest = hashlib.sha256(canonical(body).encode()).hexdigest()
    record("r-1", body_digest=digest)
    record(f"r-2#{digest[:16]}", body_digest=digest)
    payloads.put_event(json.dumps(body).encode())
    other = payloads.put_event(json.dumps(body | {"query": "another tenant's"}).encode())

    assert erase("PayloadBucket", case) == 1
    assert [one.key for one in bucket.objects.all()] == [other]


def test_what_a_slow_attempt_puts_under_a_request_s_last_day_is_found_by_the_search(record, case, bucket):
    record("r-1", expires_at=int(NOW))
    erase("RequestsTable", case)
    payloads.put(f"requests/{iso(NOW)[:10]}/{payloads.owner_of('acme#r-1')}/answer-1.json", b"{}")

    assert found("PayloadBucket", case) == 1


def test_what_is_put_after_the_erasure_is_found_by_the_search(record, case, cache, bucket):
    record("r-1", answer_key="acme/q1")
    for store in ("CacheTable", "PayloadBucket", "RequestsTable"):
        erase(store, case)
    cache.put_item(Item={"answer_key": "acme/q1", "request_key": "acme#r-1"})
    keep_answer("acme#r-1", "x" * 40_000)

    assert [found(store, case) for store in ("CacheTable", "PayloadBucket")] == [1, 1]
    assert [found(store, case) for store in ("CacheTable", "PayloadBucket")] == [0, 0]


def test_a_search_goes_on_where_its_time_ended_and_counts_all_that_it_found(record, case, bucket, context):
    for number in range(3 * PAGE):
        record(f"r-{number}")
    erase("RequestsTable", case)
    late = [f"acme#r-{number}" for number in range(0, 3 * PAGE, 15)]
    for key in late:
        keep_answer(key, "x" * 40_000)
    context.get_remaining_time_in_millis = lambda: 0

    told = [search_store({"erasure_id": ERASURE, "store": "PayloadBucket"}, context) for _ in range(3)]

    assert [one["done"] for one in told] == [False, False, True]
    assert told[-1]["found"] == len(late) > told[0]["found"]
    assert list(bucket.objects.all()) == []


@pytest.mark.parametrize("store", ["ReviewsTable", "CacheTable", "PayloadBucket"])
def test_a_new_round_searches_from_the_beginning(record, case, context, store):
    for number in range(2 * PAGE):
        record(f"r-{number}")
    erase("RequestsTable", case)
    context.get_remaining_time_in_millis = lambda: 0
    assert not search_store({"erasure_id": ERASURE, "store": store}, context)["done"]

    end_requests({"erasure_id": ERASURE}, context)

    assert not search_store({"erasure_id": ERASURE, "store": store}, context)["done"]


def send(queue: str, body: object) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody=body if isinstance(body, str) else json.dumps(body))


def event(subject: str, source: str = "acme.app", field: str = "subject_id", **more) -> dict:
    detail = {"request_id": "r-1", "use_case": "x", "query": "y", field: subject}
    return {"id": "1", "account": ACCOUNT, "source": source, "detail": detail, **more}


def test_dead_letters_of_the_subject_go_and_the_others_are_there_at_once(record, case, bucket):
    queue = case_queue()
    record("r-5")
    by_reference = payloads.put_event(json.dumps({"request_id": "r-8", "subject_id": "ana"}).encode())
    mine = [
        event("ana"),
        event("ana", field="user_id"),
        {"requestPayload": event("ana")},
        {"request_key": "acme#r-5"},
        {"id": "1", "account": ACCOUNT, "source": "acme.app", "detail_ref": by_reference},
        '{"detail": {"subject_id": "ana", broken',
    ]
    others = [
        event("anastasia"),
        event("ana", source="globex.app"),
        event("ana", source="nobody.app"),
        {"request_key": "acme#other"},
        {"DDBStreamBatchInfo": {}},
        '"text"',
        '{"detail": {"subject_id": "anastasia", broken by banana-1 and urn:ana',
    ]
    for body in [*mine, *others]:
        send(queue, body)
    assert found("DeadLetterQueue", case) == len(mine)

    assert erase("DeadLetterQueue", case) == len(mine)

    left = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    texts = [body if isinstance(body, str) else json.dumps(body) for body in others]
    assert sorted(one["Body"] for one in left) == sorted(texts)
    assert list(bucket.objects.all()) == []


@pytest.mark.parametrize(
    "body",
    [
        '{"request_id": "globex-7", "query": "\\ud800 hi"}',
        '{"request_id": "x\\ud800", "query": "hi"}',
        '{"request_id": "", "query": "hi"}',
        '{"request_id": "' + "x" * 3000 + '", "query": "hi"}',
        '{"request_id": "deep", "query": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_a_body_that_nobody_could_have_admitted_stops_no_one_s_erasure(case, body):
    # With what cannot be UTF-8 left as it is, as RecoverEvent puts it.
    payloads.put_event(body.replace("\\ud800", "\ud800").encode(errors="surrogatepass"))

    assert erase("PayloadBucket", case) == 0


@pytest.mark.parametrize(
    "body",
    [
        '{"detail": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"request_key": "acme#\\ud800"}',
        '{"request_key": ""}',
        {"account": ACCOUNT, "source": "acme.app", "detail_ref": {"not": "a name"}},
        {"account": ACCOUNT, "source": "acme.app", "detail_ref": "\ud800"},
    ],
)
def test_a_letter_that_cannot_be_followed_stops_no_one_s_erasure(case, body):
    send(case_queue(), body)

    assert erase("DeadLetterQueue", case) == 0


def test_a_request_that_was_held_back_meanwhile_waits_for_the_erasure_s_end(case):
    queue, sent = case_queue(), time.time()
    erasures_table.change(ERASURE, requested_at=iso(sent - 60))
    dead_letters.park("event", event("ana", held="back"), "SubjectClosed")
    dead_letters.park("event", event("ana"), "TableContended")

    assert [found("DeadLetterQueue", case), erase("DeadLetterQueue", case), found("DeadLetterQueue", case)] == [1, 1, 0]

    [left] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)["Messages"]
    assert json.loads(left["Body"])["held"] == "back"
    # What an earlier erasure held back, and nobody sent again, is of the life that ends now.
    erasures_table.change(ERASURE, requested_at=iso(sent + 60))
    assert erase("DeadLetterQueue", case) == 1


def case_queue() -> str:
    return sqs.get_queue_url(QueueName="dead-letters")["QueueUrl"]


def test_a_queue_that_somebody_has_in_hand_is_looked_at_again(case, monkeypatch):
    queue = case_queue()
    send(queue, event("ana"))
    sqs.receive_message(QueueUrl=queue, VisibilityTimeout=60)

    progress = by_store.erase("DeadLetterQueue", case(), lambda: False)

    assert (progress.count, progress.done) == (0, False)


def test_two_erasures_do_not_hide_messages_from_each_other(case, monkeypatch):
    monkeypatch.setattr(queues, "TURN_SECONDS", 0)
    assert erasures_table.lock("dead-letters", "another", NOW)

    progress = by_store.erase("DeadLetterQueue", case(), lambda: False)
    assert (progress.done, progress.wait_seconds) == (False, queues.BUSY_SECONDS)
    erasures_table.unlock("dead-letters", "another")
    assert by_store.erase("DeadLetterQueue", case(), lambda: False).done


def test_who_died_with_a_queue_in_hand_keeps_it_for_a_while_only(case, clock):
    assert erasures_table.lock("dead-letters", "dead", NOW)
    clock(erasures_table.LOCK_SECONDS + 1)

    assert erasures_table.lock("dead-letters", "next", NOW + erasures_table.LOCK_SECONDS + 1)


def test_a_request_that_is_being_answered_is_ended_and_gives_back_its_place(record, case, control):
    record("r-1", status="ADMITTED", in_flight_key="in-flight#acme#0")
    control.put_item(Item={"control_key": "in-flight#acme#0", "count": 1})

    assert endings.end_requests(case()) == iso(NOW)
    assert endings.end_requests(case()) == iso(NOW), "asked again, it still says how long to wait"

    ended = requests_table.find("acme#r-1")
    assert (ended["reason"], ended["decided_by"]) == ("SUBJECT_ERASED", "erasure")
    assert control.get_item(Key={"control_key": "in-flight#acme#0"})["Item"]["count"] == 0


def test_a_request_that_is_listed_too_late_to_be_ended_gives_back_its_place_all_the_same(record, case, control):
    control.put_item(Item={"control_key": "in-flight#acme#0", "count": 1})
    record("r-1", status="ADMITTED", in_flight_key="in-flight#acme#0")

    assert erase("RequestsTable", case) == 1

    assert control.get_item(Key={"control_key": "in-flight#acme#0"})["Item"]["count"] == 0


def test_done_again_after_a_restore_it_takes_what_was_before_and_leaves_what_came_since(record, case, requests):
    erasures_table.change(ERASURE, ("sealed_subject",), before=iso(NOW))
    record("old", admitted_at=iso(NOW - 1))
    record("new", admitted_at=iso(NOW + 1))

    for store in ERASED_IN_ORDER:
        erase(store, case)

    assert [item["request_id"] for item in requests.scan()["Items"]] == ["new"]
    assert [found(store, case) for store in ERASED_IN_ORDER] == [0] * len(ERASED_IN_ORDER)


def test_nothing_kept_of_an_erasure_names_its_subject(record, case, control):
    record("r-1", "ana", answer_key="acme/q")
    erase("RequestsTable", case)

    assert "ana" not in json.dumps(control.scan()["Items"], default=str)
    assert "r-1" not in json.dumps(control.scan()["Items"], default=str)


def mark(request_key: str, **values) -> None:
    from adapters.dynamodb import client, update

    client.update_item(**update("requests", {"request_key": request_key}, set=values)["Update"])


def test_a_review_is_found_by_its_request(held):
    assert held("r-1")["review_id"] == review_id_of("acme#r-1")


def test_a_review_goes_though_its_request_expired_before(open_review, requests, reviews, case, resumed):
    """Reviews are kept for longer than what they were about, by most classes."""
    review = open_review("old", subject_id="ana")
    judge(review["review_id"], reviewer("kim"), "EDIT", NOW, answer="z" * 40_000)
    requests.delete_item(Key={"request_key": "acme#old"})
    other = open_review("other", subject_id="ben")
    assert found("ReviewsTable", case) == 2

    assert erase("ReviewsTable", case) == 2

    assert [item["review_id"] for item in reviews.scan()["Items"]] == [other["review_id"]]
    assert found("ReviewsTable", case) == 0
    assert [one.key for one in payloads_of()] == []


def test_large_words_of_a_review_go_with_it_though_it_outlives_its_request(open_review, case, resumed, requests):
    review = open_review("r-1", second_reviewer=True, subject_id="ana")
    mark(review["request_key"], expires_at=int(review["expires_at"]) - 86_400)
    judge(review["review_id"], reviewer(), "EDIT", NOW, answer="z" * 40_000)
    assert payloads_of()

    erase("ReviewsTable", case)

    assert payloads_of() == [] and reviews_table.find(review["review_id"]) is None


def test_what_a_backup_from_the_time_of_a_legal_hold_brought_back_goes_too(record, case):
    folder = f"held/{iso(NOW)[:10]}/{payloads.owner_of('acme#r-1')}"
    named, beside, elsewhere = f"{folder}/answer-1.json", f"{folder}/answer-2.json", "held/2027-01-16/x/draft-1.json"
    for name in (named, beside, elsewhere):
        payloads.put(name, b"x")
    record("r-1", answer_ref=named, review={"draft_ref": elsewhere}, held_expires_at=int(NOW))

    assert erase("PayloadBucket", case) == 3

    erase("RequestsTable", case)
    payloads.put(beside, b"x")
    assert found("PayloadBucket", case) == 1


def payloads_of() -> list:
    return list(boto3.resource("s3").Bucket("payloads").objects.all())
