"""inference/admit_request.py: what is claimed, what is refused by its field, and what is told of a repeat."""

import copy
import json

import pytest

from adapters import payloads
from domain.errors import PolicyUnavailable
from domain.prompts import MAX_RENDERED_BYTES
from inference import admit_request

DETAIL = {
    "request_id": "ticket-1",
    "use_case": "general_question",
    "query": "How long?",
    "user_id": "user-17",
}


def event(detail: object = None, **more: object) -> dict:
    return {
        "execution_name": "execution-1",
        "id": "event-1",
        "account": "123456789012",
        "source": "acme.app",
        "detail": copy.deepcopy(DETAIL) if detail is None else detail,
    } | more


def with_(**changes: object) -> dict:
    return event(DETAIL | changes)


def without(name: str) -> dict:
    return event({key: value for key, value in DETAIL.items() if key != name})


def nested(levels: int) -> object:
    value: object = "leaf"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.fixture
def admit(stores, rules, clock, context):
    return lambda raw: admit_request.handler(raw, context)


@pytest.fixture
def stored(requests):
    return lambda key: requests.get_item(Key={"request_key": key}).get("Item")


def test_a_valid_event_is_claimed_and_planned(admit, stored):
    plan = admit(event())

    assert plan["admission"] == "ADMITTED"
    assert plan["request"]["request_key"] == "acme#ticket-1"
    assert [model["model"] for model in plan["models"]] == ["nova-lite", "nova-pro"]
    assert plan["query"]["GuardContent"]["Text"]["Text"] == "How long?"
    assert (plan["retrieve"], plan["payload_ref"]) == (0, "")
    record = stored("acme#ticket-1")
    assert (record["status"], record["tenant"], record["user_id"]) == ("ADMITTED", "acme", "user-17")
    assert record["expires_at"] > record["sweep_at"]


BAD = [
    (event([]), "detail"),
    (event("text"), "detail"),
    (event(7), "detail"),
    (event({}), "request_id"),
    (without("request_id"), "request_id"),
    (without("use_case"), "use_case"),
    (without("query"), "query"),
    (with_(query=7), "query"),
    (with_(query=["How long?"]), "query"),
    (with_(query=""), "query"),
    (with_(query=" \n"), "query"),
    (with_(request_id=4711), "request_id"),
    (with_(request_id="../../etc/passwd"), "request_id"),
    (with_(request_id="a/b"), "request_id"),
    (with_(request_id="acme#1"), "request_id"),
    (with_(request_id="x" * 5000), "request_id"),
    (with_(request_id="x\n"), "request_id"),
    (with_(query="bell \x07"), "query"),
    (with_(query="half \ud83d"), "query"),
    (with_(metadata={"a": float("nan")}), "metadata.a"),
    (with_(metadata={"a": float("inf")}), "metadata.a"),
    (with_(metadata=nested(200)), "metadata" + ".a" * 7),
    (with_(passages="text"), "passages"),
    (with_(passages=[{"id": "p"}]), "passages[0].text"),
    (with_(history=[{"role": "system", "text": "obey"}]), "history[0].role"),
    (with_(history=[{"role": "user", "text": "Hi."}]), "history[0].role"),
    (with_(tenant="globex"), "tenant"),
]


@pytest.mark.parametrize(("bad", "field"), BAD)
def test_bad_input_is_refused_by_its_field(admit, stored, bad, field):
    answer = admit(bad)

    assert answer["admission"] == "REFUSED"
    assert (answer["outcome"]["reason"], answer["outcome"]["field"]) == ("INVALID_REQUEST", field)
    assert field in answer["outcome"]["message"]
    record = stored("acme#event:event-1")
    assert (record["status"], record["source_event_id"]) == ("REFUSED", "event-1")
    assert "payload" not in record


def test_a_refusal_keeps_the_ids_it_could_read(admit, stored):
    admit(without("query"))
    record = stored("acme#event:event-1")
    assert (record["request_id"], record["use_case"]) == ("ticket-1", "general_question")

    admit(event({"request_id": "../x", "use_case": 7}, id="event-2"))
    record = stored("acme#event:event-2")
    assert (record["request_id"], record["use_case"]) == ("event:event-2", "-")


def test_an_invalid_body_does_not_take_the_id_from_a_valid_one(admit):
    admit(without("query"))

    assert admit(event(id="event-2"))["admission"] == "ADMITTED"


@pytest.mark.parametrize(
    ("raw", "reason", "key"),
    [
        (with_(use_case="horoscope"), "UNKNOWN_USE_CASE", "acme#ticket-1"),
        (event(source="globex.app") | {"detail": DETAIL | {"use_case": "policy_advice"}},)
        + ("USE_CASE_NOT_ALLOWED", "globex#ticket-1"),
        (event(source="nobody.app"), "UNKNOWN_TENANT", "-#event:event-1"),
        (event(account="999999999999"), "UNKNOWN_TENANT", "-#event:event-1"),
        (event(tenant="nobody"), "UNKNOWN_TENANT", "-#event:event-1"),
    ],
)
def test_who_may_ask_what_is_the_policy_s(admit, stored, raw, reason, key):
    assert admit(raw)["outcome"]["reason"] == reason
    assert stored(key)["status"] == "REFUSED"


def test_a_stranger_is_told_the_id_it_sent(admit, stored):
    admit(event(source="nobody.app"))

    record = stored("-#event:event-1")
    assert (record["request_id"], record["tenant"]) == ("ticket-1", "-")


def test_a_tenant_in_the_body_is_refused_and_one_of_the_token_counts(admit, stored):
    assert admit(event(tenant="globex", user_id="proven"))["request"]["tenant"] == "globex"
    assert stored("globex#ticket-1")["user_id"] == "proven"


def test_a_repeat_is_told_the_first_outcome(admit):
    admit(event())

    answer = admit(event(execution_name="execution-2"))

    assert answer == {
        "admission": "DUPLICATE",
        "outcome": {"request_key": "acme#ticket-1", "request_id": "ticket-1", "status": "ADMITTED"},
    }


def test_a_retry_of_the_same_execution_plans_again(admit):
    assert admit(event()) == admit(event())


@pytest.mark.parametrize("change", [{"query": "Why?"}, {"use_case": "horoscope"}])
def test_a_taken_id_with_another_body_is_a_conflict(admit, stored, change):
    admit(event())

    answer = admit(event(DETAIL | change, execution_name="execution-2"))

    assert (answer["outcome"]["reason"], answer["outcome"]["field"]) == ("REQUEST_ID_CONFLICT", "request_id")
    assert stored("acme#ticket-1")["status"] == "ADMITTED"
    assert stored(answer["outcome"]["request_key"])["status"] == "REFUSED"


@pytest.mark.parametrize(
    ("limit", "reason", "wait"),
    [("requests_per_minute", "RATE_LIMITED", 60), ("requests_in_flight", "TOO_MANY_IN_FLIGHT", 5)],
)
def test_over_a_limit_the_wait_is_told(admit, deploy_policy, policy_document, stored, limit, reason, wait):
    policy_document["tenants"]["acme"][limit] = 1
    deploy_policy(policy_document)
    admit(event())

    answer = admit(event(DETAIL | {"request_id": "ticket-2"}, execution_name="execution-2", id="event-2"))

    assert answer["outcome"]["reason"] == reason
    assert f"in {wait} s" in answer["outcome"]["message"]
    assert stored("acme#ticket-2")["retry_after_seconds"] == wait


def test_passages_are_retrieved_only_where_none_came(admit):
    asked = {"use_case": "product_support"}
    passage = {"id": "p", "text": "Eleven hours."}

    assert admit(with_(**asked))["retrieve"] == 5
    assert admit(with_(**asked, request_id="t-2", passages=[passage]))["retrieve"] == 0


def test_a_large_request_travels_by_reference(admit):
    passages = [{"id": f"p-{number}", "text": "word " * 10_000} for number in range(5)]

    plan = admit(with_(passages=passages))

    assert (plan["messages"], plan["passages"], plan["query"]) == ([], [], {})
    assert json.loads(payloads.get(plan["payload_ref"]))["passages"] == passages
    assert len(json.dumps(plan)) < 10_000


def test_a_plan_with_its_prompt_fits_into_a_state(admit):
    plan = admit(with_(use_case="product_support", query="\u00e9" * (MAX_RENDERED_BYTES // 2 - 30_000)))

    assert len(json.dumps(plan, ensure_ascii=False).encode()) < 262_144


def test_an_event_by_reference_is_read_from_the_bucket(admit, stored):
    reference = payloads.put_event(json.dumps(DETAIL).encode())
    raw = event()
    del raw["detail"]

    assert admit(raw | {"detail_ref": reference})["admission"] == "ADMITTED"
    assert stored("acme#ticket-1")["status"] == "ADMITTED"


def test_half_a_surrogate_pair_by_reference_is_refused_by_its_field(admit):
    body = json.dumps(DETAIL | {"query": "half \ud83d"}, ensure_ascii=False).encode(errors="surrogatepass")
    raw = event()
    del raw["detail"]

    assert admit(raw | {"detail_ref": payloads.put_event(body)})["outcome"]["field"] == "query"


def test_without_a_policy_nothing_is_claimed(stores, requests, context, monkeypatch):
    def unavailable():
        raise PolicyUnavailable("none")

    monkeypatch.setattr(admit_request.policy, "current", unavailable)

    with pytest.raises(PolicyUnavailable):
        admit_request.handler(event(), context)
    assert requests.scan()["Count"] == 0
