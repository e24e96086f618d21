"""api/plant_review.py: a bad answer is put among the reviews, and to nobody but its reviewers does it exist."""

import json

import pytest
from people import REVIEWER, judge, reviewer
from words import text_of

from adapters import requests_table
from adapters.dynamodb import as_json
from adapters.reviews import reviews_table
from api import claim_next_review, list_inferences, plant_review, read_inference, read_review
from domain.outcomes import review_id_of
from human_review import await_reviewer

OPERATOR = ("operators", "tenant-acme")
PLANTED = {
    "use_case": "general_question",
    "query": "How long does it last?",
    "passages": [{"id": "p-1", "text": "Eleven hours."}],
    "answer": "Forty hours.",
    "request_id": "planted-1",
}


@pytest.fixture
def plant(call, stores, rules, clock, step_functions):
    """Plant an answer; `starts` is whether a review is to be started."""

    def run(*groups: str, starts: bool = True, user_id: str = "op-1", **changes: object):
        body = {name: value for name, value in (PLANTED | changes).items() if value is not None}
        if starts:
            step_functions.add_response("start_execution", {"executionArn": "arn", "startDate": 0})
        return call(plant_review.handler, *(groups or OPERATOR), user_id=user_id, body=body)

    return run


def open_planted(context, tier: str = "reviewer") -> str:
    review = as_json(requests_table.find("acme#planted-1")["review"])
    event = {"execution_name": "r", "task_token": "token", "review": review, "tier": tier, "sla_seconds": 600}
    await_reviewer.handler(event, context)
    return review["review_id"]


def test_a_planted_answer_is_kept_with_the_plan_of_its_review(plant, context):
    status, body = plant()

    assert (status, body) == (201, {"review_id": review_id_of("acme#planted-1"), "request_id": "planted-1"})
    record = requests_table.find("acme#planted-1")
    assert (record["status"], text_of(record, "answer"), record["user_id"]) == ("PLANTED", "Forty hours.", "op-1")
    assert (record["review"]["kind"], record["review"]["blind"]) == ("PLANTED", True)
    assert "sweep" in record, "should the start get lost, the sweeper makes it"


def test_who_reviews_it_sees_what_they_see_of_any_blind_review(plant, context, call):
    plant()
    review_id = open_planted(context)

    _, item = call(read_review.handler, *REVIEWER, user_id="rev-1", path={"review_id": review_id})

    assert (item["query"], item["draft"], item["blind"]) == ("How long does it last?", "Forty hours.", True)
    assert item["sentences"][0]["marked"] is True
    assert "planted" not in json.dumps({**item, "request_id": ""}).lower()


def test_who_planted_it_does_not_get_it(plant, context, call):
    plant(user_id="rev-1")
    open_planted(context)

    assert call(claim_next_review.handler, *REVIEWER, user_id="rev-1", body={})[1] == {"review": None}
    assert call(claim_next_review.handler, *REVIEWER, user_id="rev-2", body={})[1]["review"]


def test_nobody_else_hears_of_it(plant, call):
    plant()

    path = {"request_id": "planted-1"}
    assert call(read_inference.handler, *OPERATOR, path=path)[0] == 404
    assert call(read_inference.handler, "callers", "tenant-acme", user_id="op-1", path=path)[0] == 404
    assert call(list_inferences.handler, *OPERATOR)[1] == {"inferences": []}


def test_an_id_that_is_taken_is_refused_and_its_record_stays(plant, requests):
    requests.put_item(Item={"request_key": "acme#planted-1", "status": "COMPLETED"})

    status, body = plant(starts=False)

    assert (status, body["error"]["code"]) == (409, "REQUEST_ID_CONFLICT")
    assert requests_table.find("acme#planted-1") == {"request_key": "acme#planted-1", "status": "COMPLETED"}


def test_without_an_id_it_has_one_like_any_other(plant):
    first, second = (plant(request_id=None)[1]["request_id"] for _ in range(2))

    assert first != second
    assert "plant" not in first


@pytest.mark.parametrize(
    ("groups", "changes", "status"),
    [
        (["operators", "tenant-acme", "tenant-globex"], {"tenant": "acme"}, 201),
        (["operators", "tenant-acme", "use-case-general_question"], {}, 201),
        (["operators", "tenant-acme", "tenant-globex"], {}, 403),
        (["operators", "tenant-acme"], {"tenant": "globex"}, 403),
        (["operators", "tenant-initech"], {}, 403),
        (["operators", "tenant-acme", "use-case-product_support"], {}, 403),
        (["operators"], {}, 403),
        (["reviewers", "leads", "callers", "tenant-acme"], {}, 403),
    ],
)
def test_only_the_operators_of_a_use_case_plant_there(plant, groups, changes, status):
    assert plant(*groups, starts=status == 201, **changes)[0] == status
    assert (requests_table.find("acme#planted-1") is not None) is (status == 201)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": None}, "answer"),
        ({"answer": " \n"}, "answer"),
        ({"answer": 7}, "answer"),
        ({"query": None}, "query"),
        ({"query": 7}, "query"),
        ({"request_id": "../x"}, "request_id"),
        ({"passages": [{"id": "p"}]}, "passages[0].text"),
        ({"use_case": "horoscope"}, "use_case"),
        ({"use_case": ["general_question"]}, "use_case"),
        ({"tenant": ["acme"]}, "tenant"),
        ({"tenant": 7}, "tenant"),
        ({"session_id": "chat-8"}, "body"),
        ({"answer": "half \ud83d"}, "answer"),
    ],
)
def test_what_cannot_be_planted_is_told_by_its_field(plant, requests, changes, field):
    status, body = plant(starts=False, **changes)

    assert (status, body["error"]["field"]) == (400, field)
    assert requests.scan()["Count"] == 0


@pytest.mark.parametrize("body", ["", "[]", "7"])
def test_a_body_that_is_none_is_refused(call, stores, rules, body):
    status, said = call(plant_review.handler, *OPERATOR, body=body)

    assert (status, said["error"]["field"]) == (400, "body")


def test_what_became_of_it_is_counted_and_its_request_stays_as_it_was(plant, context):
    plant()
    review_id = open_planted(context)
    judge(review_id, reviewer(), "APPROVE", 1_800_000_000.0)

    assert reviews_table.close(reviews_table.find(review_id), "acme#planted-1", 1_800_000_000.0)
    assert requests_table.find("acme#planted-1")["status"] == "PLANTED"
