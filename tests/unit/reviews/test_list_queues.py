"""api/list_queues.py: how long one's queues are, as they were last measured."""

import pytest

from adapters.reviews import loads_table
from api import list_queues

NOW = 1_800_000_000.0


def measured(tenant: str = "acme", use_case: str = "general_question", **changes) -> dict:
    return {
        "tenant": tenant,
        "use_case": use_case,
        "waiting": 3,
        "oldest_at": "2027-01-15T07:50:00.000Z",
        "next_due_at": "2027-01-15T11:50:00.000Z",
        "drain_seconds": 900,
        "sla_seconds": 14400,
        "breaching": False,
        "gives": None,
        "changed_at": None,
        "announced": True,
        "samples": [[NOW, 7]],
    } | changes


@pytest.fixture
def listed(call, stores, rules):
    for state in (
        measured(),
        measured(use_case="product_support", waiting=0, oldest_at=None, next_due_at=None, drain_seconds=0),
        measured(use_case="policy_advice", breaching=True, gives="refuse", drain_seconds=None),
        measured("globex"),
        measured("initech"),
    ):
        loads_table.keep(state, NOW)
    return lambda *groups: call(list_queues.handler, *groups)


def test_a_queue_is_told_with_what_it_means(listed):
    status, body = listed("reviewers", "tenant-acme")

    assert status == 200
    assert body["queues"] == [
        {
            "tenant": "acme",
            "use_case": "general_question",
            "waiting": 3,
            "oldest_at": "2027-01-15T07:50:00.000Z",
            "next_due_at": "2027-01-15T11:50:00.000Z",
            "drain_seconds": 900,
            "sla_seconds": 14400,
            "state": "OK",
        },
        {
            "tenant": "acme",
            "use_case": "policy_advice",
            "waiting": 3,
            "oldest_at": "2027-01-15T07:50:00.000Z",
            "next_due_at": "2027-01-15T11:50:00.000Z",
            "sla_seconds": 14400,
            "state": "BREACHING",
            "gives": "refuse",
        },
        {
            "tenant": "acme",
            "use_case": "product_support",
            "waiting": 0,
            "drain_seconds": 0,
            "sla_seconds": 14400,
            "state": "OK",
        },
    ]


@pytest.mark.parametrize(
    ("groups", "queues"),
    [
        (["reviewers", "tenant-globex"], [("globex", "general_question")]),
        (["leads", "tenant-acme", "use-case-product_support"], [("acme", "product_support")]),
        (["operators", "tenant-globex", "tenant-initech"], [("globex", "general_question")]),
        (["operators"], []),
    ],
)
def test_each_sees_the_queues_of_their_tenants_and_use_cases(listed, groups, queues):
    assert [(each["tenant"], each["use_case"]) for each in listed(*groups)[1]["queues"]] == queues


@pytest.mark.parametrize("groups", [["callers", "tenant-acme"], ["tenant-acme"]])
def test_callers_see_no_queue(listed, groups):
    assert listed(*groups)[0] == 403


def test_before_the_first_measurement_there_is_none_to_tell(call, stores, rules):
    assert call(list_queues.handler, "reviewers", "tenant-acme") == (200, {"queues": []})
