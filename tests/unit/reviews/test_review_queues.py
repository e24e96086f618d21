"""adapters/reviews/review_queues.py: a caller's queues are one list, as if it had been sorted and filtered whole."""

import itertools
import random

import pytest
from people import claim, lead, reviewer

from adapters.clock import iso
from adapters.reviews import review_queues, reviews_table
from domain.api.callers import Caller
from domain.api.places import places_of
from domain.reviews.claims import is_claimed, may_take

NOW = 1_800_000_000.0


def walk(rules, caller: Caller, filters: dict, limit: int, now: float = NOW, free_only: bool = False) -> list[str]:
    """Follow the pages to their end."""
    found, after = [], ""
    for _ in range(100):
        page, last = review_queues.page(rules, caller, filters, after, limit, now, free_only=free_only)
        assert len(page) <= limit
        found += [one["request_id"] for one in page]
        if last is None:
            return found
        after = last
    raise AssertionError("the pages have no end")


@pytest.fixture
def many(open_review):
    """Reviews of two tenants and two use cases; some at a lead, some claimed, some judged, some one's own."""
    draw = random.Random(5)
    for number in range(18):
        tenant = draw.choice(["acme", "acme", "globex"])
        use_case = draw.choice(["general_question", "product_support"]) if tenant == "acme" else "general_question"
        review = open_review(
            f"r-{number}",
            tenant,
            use_case=use_case,
            tier=draw.choice(["reviewer", "reviewer", "second", "lead"]),
            sla=600 + draw.randrange(10_000),
            head_start_seconds=draw.choice([0, 0, 7200]),
        )
        if draw.random() < 0.3:
            claim(review["review_id"], lead(f"other-{number}", "tenant-globex"), NOW, draw.choice([60, 600]))
        if draw.random() < 0.2:
            mark = {"judged_by": ["me"]} if draw.random() < 0.5 else {"requested_by": ["me"]}
            reviews_table.change(review["review_id"], lambda found, mark=mark: reviews_table.Change(mark))
    return [reviews_table.find(item["review_id"]) for item in scan() if "status" in item]


def scan() -> list[dict]:
    return reviews_table.client.scan(TableName="reviews")["Items"]


CALLERS = [
    reviewer("me"),
    reviewer("me", "tenant-globex"),
    reviewer("me", "use-case-product_support"),
    lead("me", "tenant-globex"),
    lead("me", "reviewers", "use-case-general_question"),
    Caller.from_groups("me", "me", ["reviewers", "tenant-initech"]),
]
FILTERS = [{}, {"tenant": "acme"}, {"use_case": "product_support"}, {"tier": "lead"}, {"tier": "second"}]


@pytest.mark.parametrize("limit", [3, 100])
def test_the_pages_are_what_one_would_pick_by_hand(rules, many, limit):
    seen = set()
    times = itertools.cycle([(NOW, False), (NOW + 100, True), (NOW, True)])
    for (caller, filters), (now, free_only) in zip(itertools.product(CALLERS, FILTERS), times, strict=False):
        expected = sorted(
            (
                review
                for review in many
                if caller.sees(review["tenant"], review["use_case"])
                and may_take(review, caller)
                and all(review[name] == value for name, value in filters.items())
                and not (free_only and is_claimed(review, iso(now)))
            ),
            key=lambda review: review["queue_position"],
        )
        found = walk(rules, caller, filters, limit, now, free_only)
        assert found == [review["request_id"] for review in expected]
        seen |= set(found)
    assert 10 < len(seen) < len(many), "some are anybody's, and some are nobody's of these"


def test_a_use_case_the_policy_does_not_open_to_a_tenant_has_no_queue(rules):
    assert places_of(rules, reviewer("me", "tenant-globex", "tenant-initech")) == [
        ("acme", "general_question"),
        ("acme", "policy_advice"),
        ("acme", "product_support"),
        ("globex", "general_question"),
    ]
