"""recovery/watch_reviews.py: what is due soon is marked once, and a queue that would be too late gives way."""

import json
from decimal import Decimal

import pytest
from botocore.stub import Stubber
from people import judge, reviewer

from adapters import bus as bus_adapter
from adapters import dynamodb
from adapters.reviews import loads_table, reviews_table
from domain.reviews.tiers import queue_name
from recovery import watch_reviews

NOW = 1_800_000_000.0
SLA = 1000


@pytest.fixture
def watch(stores, bus, context, deploy_policy, policy_document):
    """Watch at a time, under a policy where each use case gives something else; gives what was done."""
    gives = {"general_question": "ask_less", "product_support": "cache_only", "policy_advice": "refuse"}
    for name, use_case in policy_document["use_cases"].items():
        use_case["review"] |= {
            "reviewer_sla_seconds": SLA,
            "overload": {"gives": gives[name], "confidence_floor": 0.5},
        }
    deploy_policy(policy_document)

    def run(after: float = 0) -> dict:
        done = watch_reviews.handler({"now": NOW + after}, context)
        assert done["queues"] == 4 or done["queues"] < 4 and context.get_remaining_time_in_millis() < 10_000
        return {name: count for name, count in done.items() if count and name != "queues"}

    return run


@pytest.fixture
def waiting(open_review):
    """Put a review into its queue that is not due for long, so that its load alone is to be told of."""
    return lambda *ids, **more: open_review(*ids, sla=10 * SLA, due_notice_seconds=0, **more)


def load(use_case: str = "general_question") -> dict:
    return loads_table.find("acme", use_case)


# --- Notices


def test_what_is_due_soon_is_marked_once_in_each_tier(watch, open_review):
    review = open_review(sla=400, due_notice_seconds=100)

    assert watch(299) == {}
    assert watch(300) == {"noticed": 1}
    assert watch(301) == {}
    assert reviews_table.find(review["review_id"])["due_noticed_at"] == "2027-01-15T08:05:00.000Z"

    reviews_table.open_for(
        review | {"head_start_seconds": 0, "review_days": 90}, "lead", "token-2", 400, {"user_id": "user-17"}, NOW + 400
    )
    assert watch(699) == {}
    assert watch(700) == {"noticed": 1}


@pytest.mark.parametrize("tier", ["reviewer", "second", "lead"])
def test_each_tier_s_queue_is_looked_through(watch, open_review, tier):
    open_review(tier=tier, sla=100, due_notice_seconds=100)

    assert watch(0) == {"noticed": 1}


def test_what_was_decided_meanwhile_is_not_noticed(watch, open_review):
    review = open_review(sla=100, due_notice_seconds=100)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)

    assert watch(0) == {}


# --- Load


def test_a_queue_nobody_works_on_breaches_at_half_its_time_and_its_use_case_gives_way(watch, waiting, bus):
    waiting()

    assert watch(SLA / 2 - 1) == {}
    assert (dynamodb.get("control", {"control_key": "mode#acme#general_question"}), bus()) == (None, [])

    assert watch(SLA / 2) == {"breaching": 1}
    assert held_mode() == {"mode": "ask_less", "until": NOW + SLA / 2 + 300, "confidence_floor": Decimal("0.5")}
    [event] = bus()
    assert event["detail-type"] == "ReviewLoadChanged"
    assert {name: event["detail"][name] for name in ("tenant", "use_case", "state", "gives", "waiting")} == {
        "tenant": "acme",
        "use_case": "general_question",
        "state": "BREACHING",
        "gives": "ask_less",
        "waiting": 1,
    }
    assert "drain_seconds" not in event["detail"], "at no pace there is no end to tell"


def held_mode(use_case: str = "general_question") -> dict | None:
    """What stands in the control table as this function's own mode of a use case."""
    return dynamodb.get("control", {"control_key": f"mode#acme#{use_case}"}).get("by_review_load")


@pytest.mark.parametrize(("use_case", "gives"), [("product_support", "cache_only"), ("policy_advice", "refuse")])
def test_what_gives_is_the_policy_s_word(watch, waiting, clock, use_case, gives):
    waiting(use_case=use_case)

    watch(SLA)

    assert held_mode(use_case) == {"mode": gives, "until": NOW + SLA + 300}


def test_a_breach_is_told_once_and_its_mode_renewed_as_long_as_it_lasts(watch, waiting, bus):
    waiting()
    for minute in range(10):
        watch(SLA + 60 * minute)

    assert len(bus()) == 1
    assert held_mode()["until"] == NOW + SLA + 60 * 9 + 300, "it ends by itself, should this function die"


def test_a_queue_that_is_worked_off_is_in_time_again_and_lifts_its_mode(watch, waiting, bus):
    review = waiting()
    watch(SLA)
    judge(review["review_id"], reviewer(), "APPROVE", NOW + SLA)
    bus()

    assert watch(SLA + 60) == {}

    [event] = bus()
    assert (event["detail"]["state"], event["detail"]["waiting"]) == ("OK", 0)
    assert "gives" not in event["detail"]
    assert held_mode() is None
    assert (load()["breaching"], load()["gives"]) == (False, None)


def test_a_pace_is_that_of_people_and_between_the_limits_a_state_stays(watch, waiting, bus):
    """A review a second: 1,000 s of work breach a deadline of 1,000 s, 800 s are no reason to call it off."""
    reviews = [waiting(f"r-{number}") for number in range(12)]
    watch(0)
    for review in reviews[:2]:
        judge(review["review_id"], reviewer(), "APPROVE", NOW)
        reviews_table.close(reviews_table.find(review["review_id"]), review["request_key"], NOW)

    # Two in 200 s, ten are left: 1,000 s.
    assert watch(200) == {"breaching": 1}
    assert load()["drain_seconds"] == 1000

    for review in reviews[2:4]:
        judge(review["review_id"], reviewer(), "APPROVE", NOW)
        reviews_table.close(reviews_table.find(review["review_id"]), review["request_key"], NOW)
    assert watch(400) == {"breaching": 1}, "800 s: not enough to call it off"
    assert load()["drain_seconds"] == 800

    for review in reviews[4:6]:
        judge(review["review_id"], reviewer(), "APPROVE", NOW)
        reviews_table.close(reviews_table.find(review["review_id"]), review["request_key"], NOW)
    assert watch(600) == {}
    assert load()["drain_seconds"] == 600
    assert [event["detail"]["state"] for event in bus()] == ["BREACHING", "OK"]


def test_silence_is_no_pace(watch, waiting):
    reviews = [waiting(f"r-{number}") for number in range(4)]
    watch(0)
    for review in reviews[:3]:
        reviews_table.end_in_silence(review, "REJECT", NOW)
        reviews_table.close(reviews_table.find(review["review_id"]), review["request_key"], NOW)

    watch(SLA)

    assert load()["drain_seconds"] is None


def test_who_looks_at_the_queue_sees_what_was_measured(watch, waiting):
    waiting("r-1", head_start_seconds=300)
    waiting("r-2", tier="second")

    watch(60)

    found = load()
    assert (found["waiting"], found["sla_seconds"], found["breaching"]) == (2, SLA, False)
    assert found["oldest_at"] == "2027-01-15T08:00:00.000Z"


# --- What may go wrong


@pytest.mark.parametrize("told", [False, True])
def test_a_change_that_was_kept_and_not_noted_as_told_is_told_under_the_same_id(watch, waiting, bus, monkeypatch, told):
    """The process dies before it tells, or before it notes that it told; the next one finds what was not noted."""
    waiting()
    announce = watch_reviews._announce

    def die(state: dict) -> None:
        if told:
            announce(state)
        raise KeyboardInterrupt

    monkeypatch.setattr(watch_reviews, "_announce", die)
    with pytest.raises(KeyboardInterrupt):
        watch(SLA)
    assert load()["announced"] is False

    monkeypatch.setattr(watch_reviews, "_announce", announce)
    assert watch(SLA + 60) == {"breaching": 1}
    assert watch(SLA + 120) == {"breaching": 1}
    ids = [event["detail"]["event_id"] for event in bus()]
    assert (len(ids), len(set(ids))) == (1 + told, 1)


def test_a_bus_that_refuses_is_asked_again_and_the_mode_holds_meanwhile(watch, waiting, bus):
    waiting()
    with Stubber(bus_adapter.client()) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})
        assert watch(SLA) == {"failed": 1}
    assert held_mode()["mode"] == "ask_less"

    assert watch(SLA + 60) == {"breaching": 1}
    assert len(bus()) == 1


def test_a_change_back_before_it_was_told_is_another_change(watch, waiting, bus):
    review = waiting()
    with Stubber(bus_adapter.client()) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})
        watch(SLA)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    watch(SLA + 60)

    assert [event["detail"]["state"] for event in bus()] == ["OK"]


def test_one_queue_that_cannot_be_watched_stops_no_other(watch, waiting, monkeypatch):
    waiting("r-1")
    waiting("r-2", "globex")
    bad, page = queue_name("acme", "general_question", "reviewer"), reviews_table.page

    def failing(queue: str, *more):
        if queue == bad:
            raise RuntimeError("a queue nobody can read")
        return page(queue, *more)

    monkeypatch.setattr(reviews_table, "page", failing)

    assert watch(SLA) == {"breaching": 1, "failed": 1}
    assert loads_table.find("globex", "general_question")["breaching"] is True


def test_a_run_without_time_leaves_the_rest_to_the_next(watch, waiting, context):
    waiting()
    context.get_remaining_time_in_millis = lambda: 9_000

    assert watch(SLA) == {}
    assert load() == {}


def test_what_one_run_leaves_another_begins_with(watch, waiting, context):
    """Where there is time for one queue a minute, each has its turn."""
    waiting()
    seen = set()
    for minute in range(4):
        times = iter([55_000, 9_000])
        context.get_remaining_time_in_millis = lambda times=times: next(times)
        watch_reviews.handler({"now": NOW + 60 * minute}, context)
        seen |= {(each["tenant"], each["use_case"]) for each in loads_table.read(PLACES)}

    assert seen == set(PLACES)


PLACES = [
    ("acme", "general_question"),
    ("acme", "policy_advice"),
    ("acme", "product_support"),
    ("globex", "general_question"),
]


def test_a_queue_is_measured_for_its_alarms(watch, waiting, capsys):
    waiting()
    watch(SLA)

    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert (line["use_case"], line["ReviewsWaiting"], line["ReviewsBreaching"]) == ("general_question", [1.0], [1.0])
    dimensions = {frozenset(one) for one in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"]}
    assert dimensions == {frozenset({"service"}), frozenset({"service", "use_case"})}
