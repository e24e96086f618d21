"""api/list_inferences.py: what became of a tenant's requests, for its operators, without a word of them."""

import json

import pytest

from adapters import requests_table
from adapters.clock import iso
from api import list_inferences
from domain.requests import Reason, RequestRefused, Status

NOW = 1_800_000_000.0
OPERATOR = ("operators", "tenant-acme")


@pytest.fixture
def ended(stores, requests):
    """Record an outcome of a request that was admitted."""

    def run(request_id: str, tenant: str = "acme", status: str = "COMPLETED", at: float = NOW, **more) -> None:
        key = f"{tenant}#{request_id}"
        item = {"request_key": key, "tenant": tenant, "request_id": request_id, "use_case": "general_question"}
        requests.put_item(Item=item | {"status": "ADMITTED", "payload": "secret", "answer": "secret"} | more)
        attributes = {"outcome_at": iso(at), "decided_by": "policy", "model": "nova-lite"}
        requests_table.record_outcome(key, "in-flight#acme#0", Status(status), attributes)

    return run


@pytest.fixture
def listed(call, rules):
    return lambda *groups, **query: call(list_inferences.handler, *(groups or OPERATOR), query=query)


def ids(page: dict) -> list[str]:
    return [each["request_id"] for each in page["inferences"]]


def test_the_latest_comes_first_without_a_word_of_it(listed, ended):
    for number in range(3):
        ended(f"r-{number}", at=NOW + number)

    status, page = listed()

    assert (status, ids(page)) == (200, ["r-2", "r-1", "r-0"])
    assert page["inferences"][0] == {
        "request_id": "r-2",
        "tenant": "acme",
        "use_case": "general_question",
        "status": "COMPLETED",
        "decided_by": "policy",
        "model": "nova-lite",
        "outcome_at": "2027-01-15T08:00:02.000Z",
    }
    assert "secret" not in json.dumps(page)


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_the_pages_hold_each_outcome_once(listed, ended, limit):
    for number in range(9):
        ended(f"r-{number}", "acme" if number % 3 else "globex", at=NOW + number // 2)

    found, query = [], {"limit": str(limit)}
    for _ in range(12):
        page = listed(*OPERATOR, "tenant-globex", **query)[1]
        found += page["inferences"]
        if "next" not in page:
            break
        query["next"] = page["next"]

    assert sorted(each["request_id"] for each in found) == [f"r-{number}" for number in range(9)]
    assert [each["outcome_at"] for each in found] == sorted((each["outcome_at"] for each in found), reverse=True)


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ({"tenant": "globex"}, ["r-3"]),
        ({"tenant": "initech"}, []),
        ({"status": "HELD"}, ["r-2"]),
        ({"status": "COMPLETED"}, ["r-3", "r-1"]),
        ({"use_case": "product_support"}, ["r-2"]),
        ({"use_case": "horoscope"}, []),
        ({"use_case": "product_support", "status": "FAILED"}, []),
    ],
)
def test_a_list_can_be_narrowed(listed, ended, query, seen):
    ended("r-1", at=NOW + 1)
    ended("r-2", status="HELD", use_case="product_support", at=NOW + 2)
    ended("r-3", "globex", at=NOW + 3)

    assert ids(listed(*OPERATOR, "tenant-globex", **query)[1]) == seen


def test_an_outcome_that_followed_a_hold_is_listed_once_with_its_own_time(listed, held):
    review = held()
    attributes = {"outcome_at": iso(NOW + 60), "decided_by": "reviewer"}
    requests_table.transact([requests_table.close_held(review["request_key"], Status.COMPLETED, attributes)])

    [found] = listed()[1]["inferences"]

    assert (found["status"], found["outcome_at"]) == ("COMPLETED", iso(NOW + 60))


def test_a_refusal_is_listed_with_its_reason(listed, stores):
    record = {"request_key": "acme#r-1", "tenant": "acme", "request_id": "r-1", "use_case": "general_question"}
    requests_table.refuse(RequestRefused(Reason.REVIEWERS_BEHIND, "Later."), record, "execution-1", NOW, 30)

    assert [(each["status"], each["reason"]) for each in listed()[1]["inferences"]] == [("REFUSED", "REVIEWERS_BEHIND")]


@pytest.mark.parametrize(
    "groups",
    [
        ["operators", "tenant-globex"],
        ["operators"],
        ["operators", "tenant-initech"],
        ["operators", "tenant-acme", "use-case-product_support"],
    ],
)
def test_another_tenant_s_or_use_case_s_requests_are_not_listed(listed, ended, groups):
    ended("r-1")

    assert listed(*groups) == (200, {"inferences": []})


@pytest.mark.parametrize(
    "groups",
    [
        ["callers", "tenant-acme"],
        ["reviewers", "tenant-acme"],
        ["tenant-acme"],
        # What became of a request is what a blind review must not tell.
        ["operators", "reviewers", "tenant-acme"],
        ["operators", "leads", "tenant-acme"],
    ],
)
def test_only_operators_who_do_not_review_are_told_of_all_requests(listed, ended, groups):
    ended("r-1")

    assert listed(*groups)[0] == 403


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"next": "x"}, "next"),
        ({"status": "ADMITTED"}, "status"),
        ({"status": "PLANTED"}, "status"),
        ({"status": ""}, "status"),
    ],
)
def test_a_query_that_is_none_is_refused_by_its_field(listed, stores, query, field):
    status, body = listed(**query)

    assert (status, body["error"]["field"]) == (400, field)
