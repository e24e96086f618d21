"""adapters/requests_table.py: an id is claimed once, an outcome recorded once, and a place freed once."""

import pytest

from adapters import payloads, requests_table
from adapters.requests_table import LimitReached, as_json, decimal, due_for_sweep, record_outcome
from domain.limits import shards_for
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
    assert "x" * characters in payloads.text_of(record, "payload")


@pytest.mark.parametrize("numbers", [{"a": 1, "b": 0.25, "c": "text", "d": True}, {}])
def test_stored_numbers_come_back_as_json_has_them(numbers):
    stored = {name: decimal(value) if isinstance(value, float) else value for name, value in numbers.items()}

    assert as_json(stored) == numbers


def test_nothing_stored_is_nothing():
    assert as_json(None) is None
