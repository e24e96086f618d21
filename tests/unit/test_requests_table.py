"""adapters/requests_table.py: an id is claimed once, an outcome recorded once, and a place freed once."""

import json

import pytest
from boto3.dynamodb.conditions import Key
from words import key_of, text_of

from adapters import dynamodb, key_memory, payloads, requests_table, root_key, subject_keys
from adapters.requests_table import LimitReached, due_for_sweep, record_outcome
from domain.errors import SubjectClosed, SubjectErased
from domain.inference.limits import shards_for
from domain.requests import Reason, RequestRefused, Status, read_request

NOW = 1_800_000_000.0


@pytest.fixture
def claim(stores, rules):
    """Claim a request id for an execution; more fields go into its body."""

    def run(request_id="r-1", execution="first", now=NOW, limits=None, **body):
        tenant = rules.tenants["acme"]
        for name, value in (limits or {}).items():
            object.__setattr__(tenant, name, value)
        detail = {"request_id": request_id, "use_case": "general_question", "query": "Why?"} | body
        request = read_request(detail, tenant, None, "event")
        shard = next(shards_for(tenant, request.body_digest, int(now)))
        use_case = rules.use_cases["general_question"]
        return requests_table.claim(request, use_case, shard, rules, execution, now)

    return run


def counts(control) -> dict[str, int]:
    return {item["control_key"].split("#")[0]: int(item["count"]) for item in control.scan()["Items"]}


def test_an_id_is_claimed_once_and_counted_once(claim, control):
    first, second = claim(execution="first"), claim(execution="second")

    assert first.ours
    assert not second.ours
    assert second.record["execution_name"] == "first"
    assert counts(control) == {"rate": 1, "in-flight": 1}


def test_a_retry_of_the_same_execution_finds_its_own_claim(claim, control):
    claim()

    again = claim()

    assert again.ours
    assert again.record["status"] == Status.ADMITTED
    assert counts(control) == {"rate": 1, "in-flight": 1}


# --- Under whose key


@pytest.fixture
def calls():
    """The calls of a claim, by operation, since it was asked last."""
    made: list[str] = []

    def note(model, **_) -> None:
        made.append(model.name)

    for client in (dynamodb.client, root_key.kms, payloads.client()):
        client.meta.events.register("before-call", note, "calls")

    def since() -> list[str]:
        found = list(made)
        made.clear()
        return found

    yield since
    for client in (dynamodb.client, root_key.kms, payloads.client()):
        client.meta.events.unregister("before-call", unique_id="calls")


@pytest.fixture
def known(keys):
    """The root, which a process asks for once."""
    return subject_keys.subject_ref("acme", "ana")


def ana_s(claimed: requests_table.Claim) -> str:
    return json.loads(text_of(claimed.record, "payload"))["query"]


def test_a_new_subject_s_key_is_made_by_the_claim_itself(claim, known, keys, calls):
    calls()
    claimed = claim(user_id="ana")

    assert calls() == ["TransactWriteItems"]
    assert keys.get_item(Key={"subject_ref": known})["Item"]["tenant"] == "acme"
    assert claimed.record["subject_ref"] == known and "user_ref" not in claimed.record
    assert claimed.record["subject_mac"] == key_of(subject_id="ana").mac("subject")
    assert claimed.record["body_mac"] == key_of(subject_id="ana").mac(text_of(claimed.record, "payload"))


def test_a_subject_that_the_process_remembers_costs_no_call(claim, known, calls):
    claim("r-1", user_id="ana")
    calls()

    assert ana_s(claim("r-2", user_id="ana")) == "Why?"
    assert calls() == ["TransactWriteItems"]


def test_a_subject_that_another_process_met_costs_one_call(claim, known, calls):
    claim("r-1", user_id="ana")
    subject_keys.forget(known)
    calls()

    second = claim("r-2", user_id="ana")

    assert calls() == ["TransactWriteItems"] * 2
    assert ana_s(second) == "Why?"


def test_of_two_processes_that_meet_a_new_subject_at_once_both_seal_under_the_one_key(claim, known, keys, monkeypatch):
    transact = requests_table.transact

    def other_first(actions: list[dict]) -> None:
        monkeypatch.setattr(requests_table, "transact", transact)
        claim("other", user_id="ana")
        subject_keys.forget(known)
        transact(actions)

    monkeypatch.setattr(requests_table, "transact", other_first)
    mine = claim("mine", user_id="ana")

    subject_keys.forget(known)
    assert mine.ours and ana_s(mine) == ana_s(claim("other", user_id="ana")) == "Why?"
    assert len(keys.scan()["Items"]) == 2, "the root, and the one key"


def test_what_is_remembered_of_a_subject_that_was_erased_and_came_again_is_not_sealed_with(claim, known, control):
    old = claim("r-1", user_id="ana").record
    stale = key_memory._remembered[known]
    subject_keys.begin_erasure(known, "e-1", NOW)
    subject_keys.drop(known, "e-1")
    claim("r-2", user_id="ana")
    key_memory._remembered[known] = stale

    again = claim("r-3", user_id="ana")

    subject_keys.forget(known)
    assert ana_s(again) == "Why?"
    with pytest.raises(SubjectErased):
        text_of(old, "payload")
    assert sum(item["count"] for item in control.scan()["Items"]) == 2 * 3, "an attempt that failed counts nothing"


def test_what_is_remembered_of_a_subject_that_was_erased_for_good_makes_a_new_key(claim, known):
    claim("r-1", user_id="ana")
    stale = key_memory._remembered[known]
    subject_keys.begin_erasure(known, "e-1", NOW)
    subject_keys.drop(known, "e-1")
    key_memory._remembered[known] = stale

    again = claim("r-2", user_id="ana")

    subject_keys.forget(known)
    assert ana_s(again) == "Why?"


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("query", ["Why?", "x" * 40_000], ids=["small", "large"])
def test_a_subject_that_is_being_erased_is_closed_to_new_requests(
    claim, known, requests, control, bucket, remembers, query
):
    claim("r-1", user_id="ana")
    stale = key_memory._remembered[known]
    subject_keys.begin_erasure(known, "e-1", NOW)
    if remembers:
        key_memory._remembered[known] = stale

    with pytest.raises(SubjectClosed):
        claim("r-2", user_id="ana", query=query)

    assert requests.scan()["Count"] == 1 and counts(control)["rate"] == 1
    assert not claim("r-1", execution="second", user_id="ana").ours, "a repeat finds what it repeats"
    assert claim("r-3", user_id="ben").ours, "nobody else is kept waiting"


def test_a_large_text_is_never_put_under_a_key_that_is_not_stored(claim, known, calls, bucket):
    claim("r-1", user_id="ana")
    subject_keys.forget(known)
    calls()

    claim("r-2", user_id="ana", query="x" * 40_000)

    assert calls() == ["GetItem", "PutObject", "TransactWriteItems"]
    assert len(list(bucket.objects.all())) == 1


def test_requests_without_a_subject_are_their_tenant_s_and_do_not_meet_at_its_key(claim, keys, calls):
    first = claim("r-1").record
    calls()
    second = claim("r-2").record

    assert calls() == ["TransactWriteItems"]
    assert first["subject_ref"] == second["subject_ref"] == subject_keys.subject_ref("acme", None)
    assert text_of(second, "payload")
    assert len(keys.scan()["Items"]) == 2


def test_who_asks_about_somebody_else_is_found_as_well(claim, requests):
    claim("r-1", user_id="ana", subject_id="ben")

    for index, name, person in (("subject-index", "subject_ref", "ben"), ("user-index", "user_ref", "ana")):
        found = requests.query(
            IndexName=index, KeyConditionExpression=Key(name).eq(subject_keys.subject_ref("acme", person))
        )
        assert [each["request_key"] for each in found["Items"]] == ["acme#r-1"]
    assert (
        requests.query(
            IndexName="subject-index",
            KeyConditionExpression=Key("subject_ref").eq(subject_keys.subject_ref("acme", "ana")),
        )["Items"]
        == []
    )


# --- Whose id it is


def test_two_tenants_may_use_the_same_id(claim, rules, requests):
    claim()
    globex = rules.tenants["globex"]
    detail = {"request_id": "r-1", "use_case": "general_question", "query": "Why?"}
    request = read_request(detail, globex, None, "event")

    shard = next(shards_for(globex, request.body_digest, int(NOW)))
    use_case = rules.use_cases["general_question"]

    assert requests_table.claim(request, use_case, shard, rules, "other", NOW).ours
    assert requests.scan()["Count"] == 2


@pytest.mark.parametrize(("limit", "which"), [("requests_per_minute", "rate"), ("requests_in_flight", "in_flight")])
def test_a_limit_stops_the_next_request_and_leaves_nothing_of_it(claim, requests, limit, which):
    for number in range(2):
        claim(f"r-{number}", limits={limit: 2})

    with pytest.raises(LimitReached) as reached:
        claim("r-2", limits={limit: 2})

    assert reached.value.which == which
    assert requests.scan()["Count"] == 2


def test_a_repeat_is_a_repeat_even_where_a_limit_is_reached(claim):
    claim("r-1", limits={"requests_per_minute": 1})

    assert not claim("r-1", execution="second", limits={"requests_per_minute": 1}).ours


def test_the_next_minute_has_its_own_rate(claim):
    claim("r-1", limits={"requests_per_minute": 1})

    assert claim("r-2", now=NOW + 60, limits={"requests_per_minute": 1}).ours


def test_a_rate_counter_goes_with_its_day_and_a_place_counter_stays(claim, control):
    claim()

    expiring = {item["control_key"].split("#")[0] for item in control.scan()["Items"] if "expires_at" in item}
    assert expiring == {"rate"}


def test_an_outcome_frees_its_place_once(claim, control, requests):
    record = claim(limits={"requests_in_flight": 1}).record

    assert record_outcome("acme#r-1", record["in_flight_key"], Status.COMPLETED, {"outcome_at": "t"}) is None
    first = record_outcome("acme#r-1", record["in_flight_key"], Status.FAILED, {"outcome_at": "later"})

    assert (first["status"], first["outcome_at"]) == ("COMPLETED", "t")
    assert counts(control)["in-flight"] == 0
    assert claim("r-2", limits={"requests_in_flight": 1}).ours


def test_an_outcome_leaves_the_sweeper_s_index_and_a_hold_stays_in_it(claim):
    completed, held = claim("r-1").record, claim("r-2").record

    record_outcome("acme#r-1", completed["in_flight_key"], Status.COMPLETED, {"outcome_at": "t"})
    record_outcome("acme#r-2", held["in_flight_key"], Status.HELD, {"outcome_at": "t"}, sweep_at=NOW + 10)

    assert [due["request_key"] for due in due_for_sweep(NOW + 10_000)] == ["acme#r-2"]


@pytest.mark.parametrize(("after", "due"), [(299, 0), (301, 1)])
def test_a_claim_is_due_after_the_policy_s_deadline(claim, rules, after, due):
    assert rules.request_deadline_seconds == 300
    claim()

    assert len(list(due_for_sweep(NOW + after))) == due


def test_an_outcome_of_a_request_nobody_claimed_is_not_recorded(stores, requests):
    assert record_outcome("acme#ghost", "in-flight#acme#0", Status.COMPLETED, {"outcome_at": "t"}) == {}
    assert requests.scan()["Count"] == 0


def refuse(record: dict, execution="first") -> requests_table.Claim:
    refusal = RequestRefused(Reason.RATE_LIMITED, "Too many.", "query", retry_after_seconds=7)
    return requests_table.refuse(refusal, record, execution, NOW, 30)


def test_a_refusal_is_recorded_with_what_to_do(requests):
    assert refuse({"request_key": "acme#r-1", "tenant": "acme"}).ours

    item = requests.get_item(Key={"request_key": "acme#r-1"})["Item"]
    assert (item["status"], item["reason"], item["field"]) == ("REFUSED", "RATE_LIMITED", "query")
    assert (item["retry_after_seconds"], item["expires_at"]) == (7, NOW + 30 * 86_400)


def test_a_refusal_leaves_an_earlier_record_alone(claim):
    claim("r-1", execution="first")

    standing = refuse({"request_key": "acme#r-1"}, execution="second")

    assert not standing.ours
    assert standing.record["status"] == Status.ADMITTED


@pytest.mark.parametrize(("characters", "where"), [(100, "payload"), (40_000, "payload_ref")])
def test_a_body_is_kept_in_the_record_or_beside_it(claim, characters, where):
    record = claim(query="x" * characters).record

    assert {"payload", "payload_ref"} & record.keys() == {where}
    assert "x" * characters in text_of(record, "payload")
