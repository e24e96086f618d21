"""inference/admit_request.py: what is claimed, what is refused by its field, and what is told of a repeat."""

import copy
import json

import pytest
from words import NOW, carried_by, key_of, sealed, text_of

from adapters import modes_table, payloads, requests_table, subject_keys
from adapters.api.inference_view import http_status_of
from adapters.inference import answers_table
from domain.errors import CallHeldBack, PolicyUnavailable, SubjectClosed
from domain.inference import prompts
from domain.inference.prompts import MAX_RENDERED_BYTES
from domain.modes import ANY_TENANT, LATER_SECONDS, REVIEW_LOAD, Mode, owner_of
from domain.requests import Status
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


def test_a_large_request_travels_by_reference(admit, stored):
    passages = [{"id": f"p-{number}", "text": "word " * 10_000} for number in range(5)]

    plan = admit(with_(passages=passages))

    assert (plan["messages"], plan["passages"], plan["query"]) == ([], [], {})
    assert json.loads(text_of(stored("acme#ticket-1"), "payload"))["passages"] == passages
    assert plan["payload_ref"] == stored("acme#ticket-1")["payload_ref"]
    assert len(json.dumps(plan)) < 10_000


def test_a_small_request_that_finds_no_room_beside_its_passages_travels_by_reference_sealed(
    admit, deploy_policy, policy_document, bucket, stored, monkeypatch
):
    monkeypatch.setattr(prompts, "RETRIEVED_PASSAGE_BYTES", MAX_RENDERED_BYTES // 20)
    policy_document["use_cases"]["general_question"]["knowledge_base"] = {"passages": 20}
    deploy_policy(policy_document)

    plan = admit(event())

    [kept] = bucket.objects.all()
    assert plan["payload_ref"] == kept.key and kept.key.startswith("requests/2027-02-14/")
    assert b"How long?" not in kept.get()["Body"].read()
    assert "payload" in stored("acme#ticket-1"), "its record has it beside it"


def test_a_plan_carries_what_keeping_the_answer_needs(admit, stored):
    plan = admit(event())["request"]

    assert plan["expires_at"] == stored("acme#ticket-1")["expires_at"]
    assert plan["subject"] == carried_by(key_of())
    assert not {"payload", "body", "query"} & plan.keys()


def test_a_subject_that_is_being_erased_holds_an_event_back_and_turns_a_call_away(admit, stored):
    ref = key_of().ref
    subject_keys.begin_erasure(ref, "e-1", NOW)

    with pytest.raises(SubjectClosed):
        admit(event())
    with pytest.raises(CallHeldBack):
        admit({"execution_name": "call", "tenant": "acme", "user_id": "user-17", "detail": DETAIL})
    assert stored("acme#ticket-1") is None
    subject_keys.drop(ref, "e-1")
    assert admit(event())["admission"] == "ADMITTED"


def test_a_claim_of_ours_whose_subject_was_erased_before_it_was_planned_is_let_be(admit):
    admit(event())
    ref = key_of().ref
    subject_keys.begin_erasure(ref, "e-1", NOW)
    subject_keys.drop(ref, "e-1")

    assert admit(event())["admission"] == "DUPLICATE"


def test_an_answer_whose_subject_was_erased_is_not_given_again(admit, in_mode, answered_before, stored):
    answered_before(user_id="user-9")
    ref = key_of(subject_id="user-9").ref
    subject_keys.begin_erasure(ref, "e-1", NOW)
    subject_keys.drop(ref, "e-1")
    in_mode(Mode.CACHE_ONLY, "product_support")

    assert admit(with_(**SUPPORT))["outcome"]["reason"] == "CACHE_ONLY"


def test_a_plan_with_its_prompt_fits_into_a_state(admit):
    plan = admit(with_(use_case="product_support", query="\u00e9" * (MAX_RENDERED_BYTES // 2 - 30_000)))

    assert len(json.dumps(plan, ensure_ascii=False).encode()) < 262_144


def test_an_event_by_reference_is_read_from_the_bucket(admit, stored):
    reference = payloads.put_event(json.dumps(DETAIL).encode())
    raw = event()
    del raw["detail"]

    assert admit(raw | {"detail_ref": reference})["admission"] == "ADMITTED"
    record = stored("acme#ticket-1")
    assert (record["status"], record["event_ref"]) == ("ADMITTED", reference)


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


# --- While something is wrong


@pytest.fixture
def in_mode(admit, clock):
    """Set a mode, of acme's as WatchReviews does unless told otherwise, and let the process see it."""

    def hold(
        mode: Mode,
        use_case: str = "general_question",
        floor: float | None = None,
        tenant: str = "acme",
        owner: str = REVIEW_LOAD,
    ) -> None:
        modes_table.hold(tenant, use_case, owner, mode, NOW + 300, floor)
        modes_table._seen.clear()

    return hold


SUPPORT = {"use_case": "product_support", "passages": [{"id": "p", "text": "Eleven hours."}]}


def test_a_use_case_whose_reviewers_are_behind_refuses_and_says_when_to_come_back(admit, in_mode, stored, control):
    in_mode(Mode.REFUSE)

    outcome = admit(event())["outcome"]

    assert (outcome["status"], outcome["reason"]) == ("REFUSED", "REVIEWERS_BEHIND")
    record = stored("acme#ticket-1")
    assert (record["status"], record["retry_after_seconds"]) == ("REFUSED", LATER_SECONDS)
    assert "payload" not in record
    assert not [item for item in control.scan()["Items"] if "count" in item], "a refusal takes nobody's place"


def test_a_mode_is_one_use_case_s_of_one_tenant(admit, in_mode):
    in_mode(Mode.REFUSE)

    assert admit(with_(use_case="product_support"))["admission"] == "ADMITTED"
    assert admit(event(source="globex.app"))["admission"] == "ADMITTED"


def test_what_was_answered_before_is_told_again_though_nothing_is_answered_now(admit, in_mode, stored):
    admit(event())
    requests_table.record_outcome(
        "acme#ticket-1", stored("acme#ticket-1")["in_flight_key"], Status.COMPLETED, {"outcome_at": "t"}
    )
    in_mode(Mode.REFUSE)

    outcome = admit(event(execution_name="execution-2"))["outcome"]

    assert (outcome["status"], "reason" in outcome) == ("COMPLETED", False)
    assert stored("acme#ticket-1")["status"] == "COMPLETED"


def test_a_repeat_of_a_refusal_is_the_same_refusal_though_all_is_well_again(admit, in_mode, clock):
    in_mode(Mode.REFUSE)
    first = admit(event())["outcome"]
    clock(400)

    assert admit(event(execution_name="execution-2"))["outcome"] == first


@pytest.fixture
def answered_before(admit, requests, bucket):
    """Have a question answered and found again; gives the event that asked it."""

    def run(answer: str = "Eleven hours.", **changes: object) -> dict:
        asked = with_(**SUPPORT | {"request_id": "earlier"} | changes)
        plan = admit(asked)
        key = plan["request"]["answer_key"]
        attributes = {"outcome_at": "t", "model": "nova-lite", "answer_key": key}
        attributes |= sealed("answer", "acme#earlier", answer, asked["detail"]["user_id"])
        requests_table.record_outcome(
            plan["request"]["request_key"], plan["request"]["in_flight_key"], Status.COMPLETED, attributes
        )
        answers_table.keep([requests_table.find("acme#earlier")])
        return asked

    return run


@pytest.mark.parametrize("answer", ["Eleven hours.", "word " * 20_000])
def test_a_question_that_was_answered_before_is_answered_from_the_store(
    admit, in_mode, answered_before, stored, control, answer
):
    answered_before(answer)
    in_mode(Mode.CACHE_ONLY, "product_support")

    outcome = admit(with_(**SUPPORT))["outcome"]

    record = stored("acme#ticket-1")
    assert outcome["status"] == record["status"] == "COMPLETED"
    assert text_of(record, "answer") == answer
    assert record["answer_mac"] == key_of().mac(answer)
    assert (record["decided_by"], record["mode"], record["cost_usd"]) == ("store", "cache_only", 0)
    assert record["deliver"] == "event", "as the use case has its answers delivered"
    counts = {item["control_key"].split("#")[0]: item["count"] for item in control.scan()["Items"] if "count" in item}
    assert counts["in-flight"] == 0


@pytest.mark.parametrize(
    "other",
    [
        {"query": "How long does it not last?"},
        {"passages": [{"id": "p", "text": "Twelve hours."}]},
        {"passages": []},
        {"history": [{"role": "user", "text": "Hi."}, {"role": "assistant", "text": "Hello."}]},
    ],
)
def test_another_question_is_refused_and_told_when_to_come_back(admit, in_mode, answered_before, stored, other):
    answered_before()
    in_mode(Mode.CACHE_ONLY, "product_support")

    outcome = admit(with_(**SUPPORT | other))["outcome"]

    assert (outcome["status"], outcome["reason"]) == ("REFUSED", "CACHE_ONLY")
    record = stored("acme#ticket-1")
    assert (record["retry_after_seconds"], record["decided_by"]) == (LATER_SECONDS, "policy")
    assert "sweep" not in record


def test_another_prompt_gives_other_answers(admit, in_mode, answered_before, deploy_policy, policy_document):
    answered_before()
    policy_document["prompts"]["answer_from_passages"]["version"] = "2"
    deploy_policy(policy_document)
    in_mode(Mode.CACHE_ONLY, "product_support")

    assert admit(with_(**SUPPORT))["outcome"]["reason"] == "CACHE_ONLY"


@pytest.mark.parametrize("status", ["HELD", "REFUSED", "FAILED"])
def test_an_answer_that_is_not_out_is_not_given_again(admit, in_mode, answered_before, requests, status):
    answered_before()
    item = requests.get_item(Key={"request_key": "acme#earlier"})["Item"]
    requests.put_item(Item=item | {"status": status})
    in_mode(Mode.CACHE_ONLY, "product_support")

    assert admit(with_(**SUPPORT))["outcome"]["reason"] == "CACHE_ONLY"


def test_an_answer_that_is_gone_is_not_given_again(admit, in_mode, answered_before, requests):
    answered_before()
    requests.delete_item(Key={"request_key": "acme#earlier"})
    in_mode(Mode.CACHE_ONLY, "product_support")

    assert admit(with_(**SUPPORT))["outcome"]["reason"] == "CACHE_ONLY"


def test_a_repeat_is_told_what_the_store_answered(admit, in_mode, answered_before):
    answered_before()
    in_mode(Mode.CACHE_ONLY, "product_support")
    first = admit(with_(**SUPPORT))

    again = admit(with_(**SUPPORT) | {"execution_name": "execution-2"})

    assert again == {"admission": "DUPLICATE", "outcome": first["outcome"]}


def test_a_floor_takes_the_place_of_a_higher_threshold_while_reviewers_are_behind(admit, in_mode, rules):
    usual = rules.use_cases["general_question"].confidence_threshold
    assert admit(event())["request"]["confidence_threshold"] == usual

    in_mode(Mode.ASK_LESS, floor=0.7)
    asked = admit(with_(request_id="ticket-2"))["request"]
    assert (asked["mode"], asked["confidence_threshold"]) == ("ask_less", 0.7)

    # A floor above the threshold, of a policy that changed meanwhile, makes nothing stricter.
    in_mode(Mode.ASK_LESS, floor=0.99)
    assert admit(with_(request_id="ticket-3"))["request"]["confidence_threshold"] == usual


def told(plan: dict) -> dict:
    """What of a plan a mode may change, apart from the request it is for."""
    names = ("system", "max_output_tokens", "temperature", "retrieve", "retrieval_query", "messages", "query")
    threshold = round(plan["request"]["confidence_threshold"], 9)
    models = [model["model"] for model in plan["models"]]
    return {name: plan[name] for name in names} | {"models": models, "confidence_threshold": threshold}


@pytest.mark.parametrize(
    ("mode", "changed"),
    [
        (Mode.STRICTER_REVIEW, {"confidence_threshold": 0.9}),
        (Mode.FALLBACK_MODEL, {"models": ["nova-pro"]}),
        (Mode.NO_RETRIEVAL, {"retrieve": 0}),
        (Mode.CHEAPER, {"models": ["nova-lite"], "max_output_tokens": 500}),
    ],
)
def test_a_mode_changes_of_a_plan_what_it_is_named_for_and_nothing_else(admit, in_mode, stored, mode, changed):
    usual = admit(with_(use_case="product_support"))
    in_mode(mode, "product_support", owner=owner_of("incident-1"))

    plan = admit(with_(use_case="product_support", request_id="ticket-2"))

    assert (usual["request"]["mode"], plan["request"]["mode"]) == ("normal", mode)
    assert told(usual) == told(usual) | {
        "models": ["nova-lite", "nova-pro"],
        "retrieve": 5,
        "confidence_threshold": 0.8,
    }
    assert told(plan) == told(usual) | changed
    assert plan["request"]["answer_key"] == usual["request"]["answer_key"], "the question is the same in each mode"
    assert stored("acme#ticket-2")["status"] == "ADMITTED"


@pytest.mark.parametrize("mode", [Mode.FALLBACK_MODEL, Mode.CHEAPER])
def test_a_chain_of_one_is_kept(admit, in_mode, mode):
    in_mode(mode, "policy_advice")

    assert told(admit(with_(use_case="policy_advice")))["models"] == ["nova-pro"]


def test_the_cheapest_model_need_not_be_the_first(admit, in_mode, deploy_policy, policy_document):
    policy_document["use_cases"]["product_support"]["models"].reverse()
    deploy_policy(policy_document)
    in_mode(Mode.CHEAPER, "product_support")

    assert told(admit(with_(use_case="product_support")))["models"] == ["nova-lite"]


def test_passages_that_came_along_are_read_though_none_are_retrieved(admit, in_mode):
    in_mode(Mode.NO_RETRIEVAL, "product_support")

    plan = admit(with_(**SUPPORT))

    assert (plan["retrieve"], len(plan["passages"])) == (0, 1)


def test_a_floor_of_reviewers_who_are_behind_gives_way_to_a_stricter_review(admit, in_mode):
    in_mode(Mode.ASK_LESS, "product_support", floor=0.7)
    in_mode(Mode.STRICTER_REVIEW, "product_support", tenant=ANY_TENANT, owner=owner_of("incident-1"))

    assert told(admit(with_(use_case="product_support")))["confidence_threshold"] == 0.9


def test_everybody_s_mode_holds_for_each_tenant(admit, in_mode):
    in_mode(Mode.FALLBACK_MODEL, tenant=ANY_TENANT, owner=owner_of("incident-1"))

    for number, source in enumerate(("acme.app", "globex.app")):
        plan = admit(event(id=f"event-{number}", source=source))
        assert (plan["request"]["mode"], told(plan)["models"]) == ("fallback_model", ["nova-pro"])


@pytest.mark.parametrize("tenant", ["acme", ANY_TENANT])
@pytest.mark.parametrize(
    ("owner", "reason", "why"),
    [
        (REVIEW_LOAD, "REVIEWERS_BEHIND", "The people who check these answers are behind."),
        (owner_of("incident-1"), "STOPPED", "This use case is stopped while something is wrong with it."),
        ("person", "STOPPED", "This use case is stopped while something is wrong with it."),
    ],
)
def test_a_refusal_says_whether_reviewers_or_something_else_is_the_cause(
    admit, in_mode, stored, tenant, owner, reason, why
):
    in_mode(Mode.REFUSE, tenant=tenant, owner=owner)

    outcome = admit(event())["outcome"]

    wait = LATER_SECONDS
    assert (outcome["status"], outcome["reason"]) == ("REFUSED", reason)
    assert outcome["message"] == f"{why} Send the request under a new request_id in {wait} s."
    assert http_status_of(outcome) == 503
    assert stored("acme#ticket-1")["retry_after_seconds"] == wait


def test_a_mode_is_read_once_for_all_requests_of_five_seconds(admit, clock):
    assert admit(event())["admission"] == "ADMITTED"
    modes_table.hold("acme", "general_question", REVIEW_LOAD, Mode.REFUSE, NOW + 300, None)

    clock(4.9)
    assert admit(with_(request_id="ticket-2"))["admission"] == "ADMITTED"
    assert admit(event(DETAIL | {"request_id": "ticket-3"}, source="globex.app"))["admission"] == "ADMITTED"
    clock(0.1)
    assert admit(with_(request_id="ticket-4"))["outcome"]["reason"] == "REVIEWERS_BEHIND"


def test_a_mode_that_is_lifted_lets_requests_in_within_five_seconds(admit, clock):
    modes_table.hold(ANY_TENANT, "general_question", owner_of("incident-1"), Mode.REFUSE, NOW + 300, None)
    assert admit(event())["outcome"]["reason"] == "STOPPED"
    modes_table.lift(ANY_TENANT, "general_question", owner_of("incident-1"))

    clock(5)
    assert admit(with_(request_id="ticket-2"))["request"]["mode"] == "normal"
