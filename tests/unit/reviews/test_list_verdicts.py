"""api/list_verdicts.py: what a reviewer has said, told to them alone."""

import json

import pytest
from people import REVIEWER, claim, judge, reviewer

from api import list_verdicts

NOW = 1_800_000_000.0


@pytest.fixture
def listed(call, stores):
    return lambda *groups, user_id="rev-1", **query: call(
        list_verdicts.handler, *(groups or REVIEWER), user_id=user_id, query=query
    )


def test_a_verdict_is_listed_with_what_it_was_about_and_no_words(listed, open_review):
    review = open_review(blind=True, kind="AUDIT")
    claim(review["review_id"], reviewer(), NOW)
    judge(review["review_id"], reviewer(), "REJECT", NOW + 30)

    status, page = listed()

    assert (status, page) == (
        200,
        {
            "verdicts": [
                {
                    "review_id": review["review_id"],
                    "tenant": "acme",
                    "use_case": "general_question",
                    "request_id": "r-1",
                    "tier": "reviewer",
                    "decision": "REJECT",
                    "reason_code": "WRONG",
                    "seconds": 30,
                    "given_at": "2027-01-15T08:00:30.000Z",
                }
            ]
        },
    )


def test_a_verdict_tells_an_audit_from_nothing_else(listed, open_review):
    for kind in ("HELD", "AUDIT", "PLANTED"):
        judge(open_review(f"r-{kind}", kind=kind, blind=True)["review_id"], reviewer(), "EDIT", NOW)

    verdicts = listed()[1]["verdicts"]

    assert len({frozenset(each) for each in verdicts}) == 1
    assert "Nine hours." not in json.dumps(verdicts)


def test_one_s_own_are_listed_alone_the_latest_first_page_by_page(listed, open_review):
    for number in range(5):
        judge(open_review(f"r-{number}")["review_id"], reviewer("rev-1"), "APPROVE", NOW + number // 2)
    judge(open_review("r-9")["review_id"], reviewer("rev-2"), "APPROVE", NOW)

    found, query = [], {"limit": "2"}
    for _ in range(5):
        page = listed(**query)[1]
        found += page["verdicts"]
        if "next" not in page:
            break
        query["next"] = page["next"]

    assert sorted(each["request_id"] for each in found) == [f"r-{number}" for number in range(5)]
    assert [each["given_at"] for each in found] == sorted((each["given_at"] for each in found), reverse=True)


@pytest.mark.parametrize(
    ("query", "field"),
    [({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"next": "~"}, "next"), ({"next": "claim#"}, "next")],
)
def test_a_query_that_is_none_is_refused_by_its_field(listed, query, field):
    status, body = listed(**query)

    assert (status, body["error"]["field"]) == (400, field)


@pytest.mark.parametrize("groups", [["operators", "tenant-acme"], ["callers", "tenant-acme"]])
def test_only_who_reviews_has_verdicts(listed, groups):
    assert listed(*groups)[0] == 403
