"""recovery/sweep_requests.py: what a dead process left gets its end, once, and one bad record stops nothing."""

import pytest
from people import judge, reviewer
from words import text_of

from adapters import requests_table
from adapters.reviews import reviews_table
from adapters.reviews.reviews_table import LAPSE_SECONDS, RESUME_SECONDS
from recovery import sweep_requests

NOW = 1_800_000_000.0
TOKEN = "token-of-r-1"
GONE = {"executionArn": "arn", "stateMachineArn": "arn", "status": "FAILED", "startDate": 0}


@pytest.fixture
def sweep(stores, context):
    """Sweep at a time; gives what was done, without the noughts."""

    def run(now: float) -> dict:
        done = sweep_requests.handler({"now": now}, context)
        return {name: count for name, count in done.items() if count}

    return run


@pytest.fixture
def admitted(stores, requests, control):
    control.put_item(Item={"control_key": "in-flight#acme#0", "count": 1})
    requests.put_item(
        Item={
            "request_key": "acme#a-1",
            "status": "ADMITTED",
            "in_flight_key": "in-flight#acme#0",
            "sweep": "OPEN#3",
            "sweep_at": int(NOW) + 300,
        }
    )


@pytest.fixture
def opened(open_review):
    return open_review()


def resumed(next: str) -> tuple:
    return "send_task_success", {}, {"taskToken": TOKEN, "output": f'{{"next":"{next}"}}'}


def test_a_claim_past_its_deadline_is_ended_once(sweep, admitted, control):
    assert sweep(NOW + 299) == {}
    assert sweep(NOW + 300) == {"ended": 1}
    assert sweep(NOW + 400) == {}

    record = requests_table.find("acme#a-1")
    assert (record["status"], record["reason"]) == ("FAILED", "DEADLINE")
    assert control.get_item(Key={"control_key": "in-flight#acme#0"})["Item"]["count"] == 0


def test_a_bad_record_stops_nothing(sweep, admitted, requests):
    requests.put_item(Item={"request_key": "a-bad-one", "status": "ADMITTED", "sweep": "OPEN#0", "sweep_at": 1})

    assert sweep(NOW + 300) == {"ended": 1, "failed": 1}


def test_a_sweep_without_time_leaves_the_rest_to_the_next(sweep, admitted, context):
    context.get_remaining_time_in_millis = lambda: 9_000

    assert sweep(NOW + 300) == {}
    assert requests_table.find("acme#a-1")["status"] == "ADMITTED"


def test_a_review_that_was_never_started_is_started(sweep, held, step_functions):
    held()
    step_functions.add_response("start_execution", {"executionArn": "arn", "startDate": 0})

    assert sweep(NOW + 121) == {"reviews_started": 1}
    assert sweep(NOW + 122) == {}


def test_a_review_whose_execution_is_gone_before_it_opened_is_not_let_out(sweep, held, step_functions):
    review = held(on_silence="APPROVE")
    step_functions.add_client_error("start_execution", "ExecutionAlreadyExists")
    step_functions.add_response("describe_execution", GONE)

    assert sweep(NOW + 121) == {"reviews_lapsed": 1}
    record = requests_table.find(review["request_key"])
    assert (record["status"], record["reason"]) == ("REFUSED", "REVIEW_LAPSED")


def test_an_open_review_is_left_to_its_people(sweep, opened):
    assert sweep(NOW + 600 + LAPSE_SECONDS - 1) == {}


def test_a_review_that_only_a_late_index_calls_due_is_left_to_its_people(sweep, opened):
    assert sweep_requests._sweep(opened["request_key"], NOW + 121) is None
    assert requests_table.find(opened["request_key"])["status"] == "HELD"


def test_an_open_review_that_outlived_its_deadline_is_not_let_out(sweep, opened):
    assert sweep(NOW + 601 + LAPSE_SECONDS) == {"reviews_lapsed": 1}
    assert requests_table.find(opened["request_key"])["status"] == "REFUSED"


def test_a_decision_whose_execution_was_not_told_is_carried_there(sweep, opened, step_functions):
    judge(opened["review_id"], reviewer(), "APPROVE", NOW + 5)
    step_functions.add_response(*resumed("done"))

    assert sweep(NOW + 4 + RESUME_SECONDS) == {}
    assert sweep(NOW + 6 + RESUME_SECONDS) == {"reviews_resumed": 1}


def test_a_decision_whose_execution_is_gone_is_given_to_its_request(sweep, opened, step_functions):
    judge(opened["review_id"], reviewer(), "APPROVE", NOW + 5)
    step_functions.add_client_error("send_task_success", "TaskTimedOut")

    assert sweep(NOW + 6 + RESUME_SECONDS) == {"reviews_lapsed": 1}

    record = requests_table.find(opened["request_key"])
    assert (record["status"], record["decided_by"]) == ("COMPLETED", "reviewer")


def test_a_lapsed_review_that_was_not_recorded_is(sweep, opened):
    reviews_table.end_in_silence(opened, "APPROVE", NOW + 700)

    assert sweep(NOW + 601 + LAPSE_SECONDS) == {"reviews_lapsed": 1}
    record = requests_table.find(opened["request_key"])
    assert (record["status"], record["decided_by"]) == ("COMPLETED", "silence")


def test_a_verdict_on_the_way_to_the_next_tier_is_carried_there(sweep, open_review, step_functions):
    opened = open_review(second_reviewer=True)
    judge(opened["review_id"], reviewer(), "APPROVE", NOW + 5)
    step_functions.add_response(*resumed("second"))

    assert sweep(NOW + 6 + RESUME_SECONDS) == {"reviews_resumed": 1}
    assert sweep(NOW + 7 + RESUME_SECONDS) == {}, "the next tier has its time to open"


def test_a_verdict_whose_workflow_runs_on_its_own_is_left_to_it(sweep, open_review, step_functions):
    opened = open_review(second_reviewer=True)
    judge(opened["review_id"], reviewer(), "APPROVE", NOW + 5)
    step_functions.add_client_error("send_task_success", "TaskTimedOut")
    step_functions.add_client_error("start_execution", "ExecutionAlreadyExists")
    step_functions.add_response("describe_execution", GONE | {"status": "RUNNING"})

    assert sweep(NOW + 6 + RESUME_SECONDS) == {"reviews_started": 1}
    assert reviews_table.find(opened["review_id"])["status"] == "ANSWERED"


def test_a_first_verdict_alone_lets_nothing_out_once_its_workflow_is_gone(sweep, open_review, step_functions):
    opened = open_review(second_reviewer=True, on_silence="APPROVE")
    judge(opened["review_id"], reviewer(), "APPROVE", NOW + 5)
    step_functions.add_client_error("send_task_success", "TaskTimedOut")
    step_functions.add_client_error("start_execution", "ExecutionAlreadyExists")
    step_functions.add_response("describe_execution", GONE)

    assert sweep(NOW + 6 + RESUME_SECONDS) == {"reviews_lapsed": 1}
    record = requests_table.find(opened["request_key"])
    assert (record["status"], record["reason"]) == ("REFUSED", "REVIEW_LAPSED")


@pytest.mark.parametrize(("kind", "status"), [("AUDIT", "COMPLETED"), ("PLANTED", "PLANTED")])
def test_an_audit_that_outlived_its_deadline_ends_and_its_request_stays_as_it_is(sweep, open_review, kind, status):
    review = open_review(kind=kind, blind=True)

    assert sweep(NOW + 601 + LAPSE_SECONDS) == {"reviews_lapsed": 1}
    record = requests_table.find(review["request_key"])
    assert (record["status"], text_of(record, "answer")) == (status, "Eleven hours.")
    assert "sweep" not in record


def test_an_index_entry_without_its_request_is_passed_over(stores):
    assert sweep_requests._sweep("acme#gone", NOW) is None
