"""api/*review*.py: who sees and decides which review, and what everyone else is told."""

import base64
import json

import pytest

from adapters import requests_table, reviews_table
from api import decide_review, list_reviews, read_review
from domain.reviews import Decision

NOW = 1_800_000_000.0
REVIEWER = ("reviewers", "tenant-acme")
LEAD = ("leads", "tenant-acme")
APPROVE = {"decision": "APPROVE", "draft_digest": "digest"}
REJECT = {"decision": "REJECT", "draft_digest": "digest", "reason_code": "WRONG"}
TOKEN = {"taskToken": "secret-token", "output": "{}"}


@pytest.fixture
def open_review(held, clock):
    def run(number: int = 1, tenant: str = "acme", tier: str = "reviewer", sla: int = 600, **more) -> dict:
        review = held(f"r-{number}", tenant, **more)
        if tier == "reviewer":
            review = review | {"user_id": "user-17"}
        reviews_table.open_for(review, tier, "secret-token", sla + number, int(NOW) + 86_400, NOW)
        return review

    return run


@pytest.fixture
def listed(call):
    return lambda *groups, **query: call(list_reviews.handler, *groups, user_id="rev-1", query=query)


@pytest.fixture
def read(call):
    return lambda review, *groups, user_id="rev-1": call(
        read_review.handler, *groups, user_id=user_id, path={"review_id": review["review_id"]}
    )


@pytest.fixture
def decide(call):
    return lambda review, body, *groups, user_id="rev-1": call(
        decide_review.handler,
        *(groups or REVIEWER),
        user_id=user_id,
        body=body,
        path={"review_id": review["review_id"]},
    )


def test_the_most_urgent_is_listed_first_and_no_secret_with_it(listed, open_review):
    for number in (2, 1, 3):
        open_review(number)

    status, page = listed(*REVIEWER)

    assert status == 200
    assert [review["request_id"] for review in page["reviews"]] == ["r-1", "r-2", "r-3"]
    assert "next" not in page
    assert "secret-token" not in json.dumps(page)


def test_pages_follow_one_another_over_tenants(listed, open_review):
    for number in range(1, 6):
        open_review(number, tenant="acme" if number < 4 else "globex")
    groups = (*REVIEWER, "tenant-globex", "tenant-initech")

    found, query = [], {"limit": "2"}
    for _ in range(10):
        _, page = listed(*groups, **query)
        assert len(page["reviews"]) <= 2
        found += [review["request_id"] for review in page["reviews"]]
        if "next" not in page:
            break
        query["next"] = page["next"]

    assert found == ["r-1", "r-2", "r-3", "r-4", "r-5"]


def test_a_lead_s_reviews_are_listed_to_leads(listed, open_review):
    open_review(1, tier="lead")

    assert listed(*REVIEWER)[1]["reviews"] == []
    assert len(listed(*LEAD)[1]["reviews"]) == 1


def test_another_tenant_s_reviews_are_not_listed(listed, open_review):
    open_review(1, tenant="globex")

    assert listed(*REVIEWER)[1] == {"reviews": []}


def position(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *[({"limit": limit}, "limit") for limit in ("0", "101", "-1", "1.5", "", "ten", "\u0661", "9" * 5000)],
        *[
            ({"next": token}, "next")
            for token in (
                "!",
                "\u00e9",
                "AAAA",
                position([]),
                position(7),
                position({"a": 1, "b": 2}),
                position(["acme", "text"]),
                position(["acme", {"queue": "acme"}]),
                position(["acme", {"queue": "acme", "due_at": 1, "review_id": "r"}]),
                position(["acme", {"queue": "globex", "due_at": "t", "review_id": "r"}]),
                position(["globex", None]),
                base64.urlsafe_b64encode(b"[" * 100_000).decode(),
            )
        ],
    ],
)
def test_a_query_that_is_none_is_refused_by_its_field(listed, stores, query, field):
    status, body = listed(*REVIEWER, **query)

    assert (status, body["error"]["field"]) == (400, field)


@pytest.mark.parametrize("groups", [[], ["callers", "tenant-acme"], ["operators", "tenant-acme"]])
def test_only_reviewers_and_leads_see_reviews(listed, read, decide, open_review, groups):
    review = open_review()

    assert [answer[0] for answer in (listed(*groups), read(review, *groups))] == [403, 403]
    if groups:
        assert decide(review, APPROVE, *groups)[0] == 403
    assert reviews_table.find(review["review_id"])["status"] == "OPEN"


@pytest.mark.parametrize(
    ("groups", "user_id", "tier", "status"),
    [
        (["reviewers", "tenant-acme"], "rev-1", "reviewer", 200),
        (["leads", "tenant-acme"], "rev-1", "reviewer", 200),
        (["leads", "tenant-acme"], "rev-1", "lead", 200),
        (["reviewers", "leads", "tenant-acme"], "rev-1", "lead", 200),
        (["reviewers", "tenant-acme"], "rev-1", "lead", 403),
        (["reviewers", "tenant-acme"], "user-17", "reviewer", 403),
        (["leads", "tenant-acme"], "user-17", "reviewer", 403),
        (["reviewers", "tenant-globex"], "rev-1", "reviewer", 404),
        (["leads"], "rev-1", "reviewer", 404),
    ],
)
def test_who_reads_and_decides_what(read, decide, open_review, step_functions, groups, user_id, tier, status):
    review = open_review(tier=tier)
    if status == 200:
        step_functions.add_response("send_task_success", {}, TOKEN)

    assert read(review, *groups, user_id=user_id)[0] == status
    # Whose turn is over may still be told so, and have the late decision recorded.
    late = tier == "lead" and "leads" not in groups
    assert decide(review, APPROVE, *groups, user_id=user_id)[0] == (409 if late else status)
    assert reviews_table.find(review["review_id"])["status"] == ("DECIDED" if status == 200 else "OPEN")


@pytest.mark.parametrize("review_id", ["unknown", "x" * 5000, "../r", "\ud800"])
def test_a_review_nobody_has_is_not_found(read, decide, stores, review_id):
    assert read({"review_id": review_id}, *REVIEWER)[0] == 404
    assert decide({"review_id": review_id}, APPROVE)[0] == 404


def test_a_reader_sees_all_it_takes_to_decide_and_no_token(read, open_review):
    status, body = read(open_review(draft="x" * 40_000), *REVIEWER)

    assert status == 200
    assert (body["query"], body["draft"], body["draft_digest"]) == ("How long?", "x" * 40_000, "digest")
    assert (body["on_silence"], body["model"], body["tier"]) == ("REJECT", "nova-lite", "reviewer")
    assert "secret-token" not in json.dumps(body)


@pytest.mark.parametrize(
    ("body", "decision"),
    [
        (APPROVE, "APPROVE"),
        (REJECT, "REJECT"),
        ({"decision": "EDIT", "draft_digest": "digest", "answer": "Nine hours."}, "EDIT"),
    ],
)
def test_a_decision_is_stored_and_resumes_the_review(decide, open_review, step_functions, body, decision):
    review = open_review()
    step_functions.add_response("send_task_success", {}, TOKEN)

    status, answer = decide(review, body)

    assert (status, answer["decision"], answer["decided_by"]) == (200, decision, "rev-1")
    assert "secret-token" not in json.dumps(answer)


def test_a_decision_counts_even_if_nobody_waits_on_the_token(decide, open_review, step_functions):
    review = open_review()
    step_functions.add_client_error("send_task_success", "TaskTimedOut")

    assert decide(review, APPROVE)[0] == 200
    assert reviews_table.find(review["review_id"])["status"] == "DECIDED"
    assert requests_table.find(review["request_key"])["sweep_at"] < NOW + 120


@pytest.mark.parametrize("again", [APPROVE, APPROVE | {"comment": "Sent twice."}])
def test_a_decision_sent_again_is_the_same_decision(decide, open_review, step_functions, again):
    review = open_review()
    for _ in range(2):
        step_functions.add_response("send_task_success", {}, TOKEN)

    assert decide(review, APPROVE)[0] == decide(review, again)[0] == 200


def test_of_two_reviewers_the_other_is_told(decide, open_review, step_functions):
    review = open_review()
    step_functions.add_response("send_task_success", {}, TOKEN)
    decide(review, APPROVE, user_id="rev-1")

    status, body = decide(review, REJECT, user_id="rev-2")

    assert (status, body["error"]["code"]) == (409, "ALREADY_DECIDED")
    assert reviews_table.find(review["review_id"])["decision"] == "APPROVE"


def test_a_decision_after_the_end_is_told_so_and_recorded(decide, open_review):
    review = open_review()
    reviews_table.lapse(review["review_id"], Decision.REJECT, NOW + 700)

    status, body = decide(review, APPROVE)

    assert (status, body["error"]["code"]) == (409, "DEADLINE_PASSED")
    stored = reviews_table.find(review["review_id"])
    assert stored["decision"] == "REJECT"
    assert [late["decision"] for late in stored["late_decisions"]] == ["APPROVE"]


def test_a_decision_on_a_draft_that_changed_is_told_so(decide, open_review):
    review = open_review()

    status, body = decide(review, APPROVE | {"draft_digest": "of another draft"})

    assert (status, body["error"]["code"]) == (409, "DRAFT_CHANGED")
    assert reviews_table.find(review["review_id"])["status"] == "OPEN"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ("", 400, "body"),
        ("{", 400, "body"),
        ('{"decision": NaN}', 400, "body"),
        ("[]", 400, "body"),
        ("null", 400, "body"),
        ({}, 400, "decision"),
        (APPROVE | {"comment": "half \ud83d"}, 400, "comment"),
        (APPROVE | {"comment": "\x00"}, 400, "comment"),
        (APPROVE | {"answer": " "}, 400, "answer"),
        (APPROVE | {"decided_by": "me"}, 400, "decided_by"),
        (APPROVE | {"comment": "x" * 1_048_576}, 413, None),
    ],
)
def test_a_decision_that_cannot_be_read_changes_nothing(decide, open_review, body, status, field):
    review = open_review()

    answered, said = decide(review, body)

    assert (answered, said["error"].get("field")) == (status, field)
    assert reviews_table.find(review["review_id"])["status"] == "OPEN"
