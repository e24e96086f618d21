"""api/{claim,release,hand_over,claim_next}_review.py: a review is one person's for a while, and whose is told."""

import json

import boto3
import pytest
from people import LEAD, REVIEWER, claim, judge, reviewer

from adapters.reviews import reviews_table
from api import claim_next_review, claim_review, hand_over_review, release_review
from domain.reviews.review import Change

NOW = 1_800_000_000.0
SECONDS = 300  # a claim of the reviews that tests open
cognito = boto3.client("cognito-idp")


@pytest.fixture
def calling(call):
    """Call a route of one review as somebody; gives the status and the answer."""

    def run(handler, review: dict, *groups: str, user_id: str = "rev-1", body: object = None):
        path = {"review_id": review["review_id"]}
        return call(handler, *(groups or REVIEWER), user_id=user_id, path=path, body={} if body is None else body)

    return run


@pytest.fixture
def take(calling):
    return lambda review, *groups, **more: calling(claim_review.handler, review, *groups, **more)


@pytest.fixture
def give_back(calling):
    return lambda review, *groups, **more: calling(release_review.handler, review, *groups, **more)


@pytest.fixture
def hand_over(calling):
    return lambda review, to, *groups, **more: calling(
        hand_over_review.handler, review, *groups, body={"to": to}, **more
    )


@pytest.fixture
def take_next(call, rules):
    def run(*groups: str, user_id: str = "rev-1", body: object = None):
        return call(
            claim_next_review.handler, *(groups or REVIEWER), user_id=user_id, body={} if body is None else body
        )

    return run


@pytest.fixture
def colleague(aws, monkeypatch):
    """Add a user to the pool; gives the id by which they act."""
    pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
    monkeypatch.setenv("USER_POOL", pool)
    known: set[str] = set()

    def add(name: str, *groups: str, enabled: bool = True) -> str:
        attributes = cognito.admin_create_user(UserPoolId=pool, Username=name)["User"]["Attributes"]
        for group in groups:
            if group not in known:
                known.add(group)
                cognito.create_group(UserPoolId=pool, GroupName=group)
            cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
        if not enabled:
            cognito.admin_disable_user(UserPoolId=pool, Username=name)
        return next(each["Value"] for each in attributes if each["Name"] == "sub")

    return add


def stored(review: dict) -> dict:
    return reviews_table.find(review["review_id"])


# --- One review


def test_a_claim_is_the_caller_s_until_it_runs_out(take, open_review):
    review = open_review()

    status, summary = take(review)

    assert (status, summary["claimed_by"], summary["claimed_by_me"]) == (200, "name-of-rev-1", True)
    assert summary["claimed_until"] == "2027-01-15T08:05:00.000Z"
    assert stored(review)["claimed_by"] == "rev-1"
    assert "token-of" not in json.dumps(summary)


def test_of_two_the_first_has_it_and_the_other_is_told_who(take, open_review):
    review = open_review()
    take(review, user_id="rev-1")

    status, body = take(review, user_id="rev-2")

    assert (status, body["error"]["code"]) == (409, "CLAIMED")
    assert "name-of-rev-1" in body["error"]["message"]
    assert stored(review)["claimed_by"] == "rev-1"


def test_a_claim_that_ran_out_is_anybody_s(take, open_review, clock):
    review = open_review()
    take(review, user_id="rev-1")

    clock(SECONDS - 0.001)
    assert take(review, user_id="rev-2")[0] == 409
    clock(0.001)
    assert take(review, user_id="rev-2")[1]["claimed_by_me"] is True
    assert take(review, user_id="rev-1")[0] == 409


def test_one_s_own_claim_is_made_longer_and_began_when_it_began(take, open_review, clock):
    review = open_review()
    take(review)
    clock(200)

    assert take(review)[1]["claimed_until"] == "2027-01-15T08:08:20.000Z"
    assert stored(review)["claimed_at"] == "2027-01-15T08:00:00.000Z"


def test_a_claim_given_back_is_anybody_s(take, give_back, open_review):
    review = open_review()
    take(review, user_id="rev-1")

    status, summary = give_back(review, user_id="rev-1")

    assert (status, "claimed_by" in summary) == (200, False)
    assert take(review, user_id="rev-2")[0] == 200
    assert (give_back(review, user_id="rev-1")[1]["error"]["code"]) == "NOT_CLAIMED"


@pytest.mark.parametrize(
    ("groups", "user_id", "tier", "status"),
    [
        (["reviewers", "tenant-acme"], "rev-1", "reviewer", 200),
        (["leads", "tenant-acme"], "rev-1", "lead", 200),
        (["reviewers", "tenant-acme", "use-case-general_question"], "rev-1", "reviewer", 200),
        (["reviewers", "tenant-acme"], "rev-1", "lead", 409),
        (["reviewers", "tenant-acme"], "user-17", "reviewer", 403),
        (["operators", "tenant-acme"], "rev-1", "reviewer", 403),
        (["callers", "tenant-acme"], "rev-1", "reviewer", 403),
        (["tenant-acme"], "rev-1", "reviewer", 403),
        (["reviewers", "tenant-globex"], "rev-1", "reviewer", 404),
        (["reviewers", "tenant-acme", "use-case-product_support"], "rev-1", "reviewer", 404),
    ],
)
def test_who_may_claim_what(take, open_review, groups, user_id, tier, status):
    review = open_review(tier=tier)

    assert take(review, *groups, user_id=user_id)[0] == status
    assert ("claimed_by" in stored(review)) is (status == 200)


@pytest.mark.parametrize("handler", [claim_review.handler, release_review.handler, hand_over_review.handler])
def test_another_tenant_s_review_looks_like_one_that_does_not_exist(calling, open_review, handler):
    theirs, nobody_s = open_review(tenant="globex"), {"review_id": "r-unknown"}

    answers = [calling(handler, review, body={"to": "ben"}) for review in (theirs, nobody_s)]

    assert answers[0] == answers[1]
    assert answers[0][0] == 404


# --- To a colleague


def test_a_claim_is_handed_to_a_colleague(hand_over, colleague, open_review, clock):
    ben = colleague("ben", *REVIEWER)
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)
    clock(100)

    status, summary = hand_over(review, "ben")

    assert (status, summary["claimed_by"], summary["claimed_by_me"]) == (200, "ben", False)
    assert stored(review)["claimed_by"] == ben
    assert stored(review)["claimed_at"] == "2027-01-15T08:01:40.000Z"


def test_nothing_is_handed_over_that_one_does_not_have(hand_over, colleague, open_review):
    colleague("ben", *REVIEWER)
    review = open_review()

    assert hand_over(review, "ben")[1]["error"]["code"] == "NOT_CLAIMED"
    claim(review["review_id"], reviewer("rev-2"), NOW)
    assert hand_over(review, "ben")[1]["error"]["code"] == "NOT_CLAIMED"


@pytest.mark.parametrize(
    ("groups", "enabled"),
    [
        (["reviewers", "tenant-globex"], True),
        (["reviewers", "tenant-acme", "use-case-product_support"], True),
        (["callers", "operators", "tenant-acme"], True),
        (["tenant-acme"], True),
        ([], True),
        (["reviewers", "tenant-acme"], False),
    ],
)
def test_a_colleague_who_may_not_have_it_does_not_get_it(hand_over, colleague, open_review, groups, enabled):
    colleague("ben", *groups, enabled=enabled)
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)

    status, body = hand_over(review, "ben")

    assert (status, body["error"]["code"]) == (409, "NOT_A_REVIEWER")
    assert stored(review)["claimed_by"] == "rev-1"


def test_a_colleague_does_not_get_what_they_have_judged_or_asked(hand_over, colleague, open_review):
    ben = colleague("ben", *REVIEWER)
    for mark in ({"judged_by": [ben]}, {"requested_by": [ben]}):
        review = open_review(f"r-{next(iter(mark))}")
        reviews_table.change(review["review_id"], lambda found, mark=mark: Change(mark))
        claim(review["review_id"], reviewer(), NOW)
        assert hand_over(review, "ben")[1]["error"]["code"] == "NOT_A_REVIEWER"


@pytest.mark.parametrize("name", ["nobody", "x" * 129, "a b", "\u00e9", "*", "../ben"])
def test_a_name_nobody_has_is_told_like_one_that_may_not(hand_over, colleague, open_review, name):
    colleague("ben", *REVIEWER)
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)

    status, body = hand_over(review, name)

    assert (status, body["error"]["code"]) == (409, "NOT_A_REVIEWER")


@pytest.mark.parametrize(
    "body", ["", "{", "[]", {}, {"to": ""}, {"to": 7}, {"to": ["ben"]}, {"to": "ben", "x": "y"}, {"to": "\0"}]
)
def test_to_whom_has_to_be_said_and_nothing_else(calling, colleague, open_review, body):
    status, said = calling(hand_over_review.handler, open_review(), body=body)

    assert (status, said["error"]["field"]) == (400, "body" if body in ("", "{") else "to")


# --- The next one


def test_the_most_urgent_that_is_free_is_given(take_next, open_review):
    open_review("r-1", sla=601)
    open_review("r-2", sla=602)
    open_review("r-3", sla=603, head_start_seconds=300)

    got = [take_next(user_id=f"rev-{number}")[1]["review"] for number in range(1, 4)]

    assert [review["request_id"] for review in got] == ["r-3", "r-1", "r-2"]
    assert all(review["claimed_by_me"] for review in got)
    assert take_next(user_id="rev-4") == (200, {"review": None})


def test_what_is_claimed_one_s_own_or_judged_is_passed_over(take_next, open_review, clock):
    claimed, own, judged, free = (open_review(f"r-{number}", sla=600 + number) for number in range(4))
    claim(claimed["review_id"], reviewer("rev-2"), NOW, SECONDS)
    reviews_table.change(own["review_id"], lambda found: Change({"requested_by": ["rev-1"]}))
    judge(judged["review_id"], reviewer("rev-1"), "CANNOT_JUDGE", NOW)

    assert take_next()[1]["review"]["request_id"] == "r-3"
    assert take_next()[1]["review"] is None
    clock(SECONDS)
    assert take_next()[1]["review"]["request_id"] == "r-0", "a claim that ran out is none"


def test_who_is_overtaken_gets_the_one_after(take_next, open_review, monkeypatch):
    """The index is behind the table: it shows as free what is claimed already."""
    reviews = [open_review(f"r-{number}", sla=600 + number) for number in range(3)]
    pages = reviews_table.page("acme#general_question#reviewer", "", 10)
    monkeypatch.setattr(reviews_table, "page", lambda queue, after, limit: pages if "general" in queue else [])
    claim(reviews[0]["review_id"], reviewer("rev-2"), NOW)
    judge(reviews[1]["review_id"], reviewer("rev-3"), "APPROVE", NOW)

    assert take_next()[1]["review"]["request_id"] == "r-2"
    assert stored(reviews[0])["claimed_by"] == "rev-2"


@pytest.mark.parametrize(
    ("groups", "body", "got"),
    [
        (REVIEWER, {}, "r-1"),
        (REVIEWER, {"use_case": "product_support"}, "r-2"),
        (REVIEWER, {"tier": "lead"}, None),
        (REVIEWER, {"tenant": "globex"}, None),
        (LEAD, {"tier": "lead"}, "r-3"),
        ((*LEAD, "tenant-globex"), {"tenant": "globex"}, "r-4"),
        ((*REVIEWER, "use-case-product_support"), {}, "r-2"),
        (("reviewers", "tenant-initech"), {}, None),
        (("reviewers",), {}, None),
    ],
)
def test_the_next_is_one_of_one_s_own_queues(take_next, open_review, groups, body, got):
    open_review("r-1", sla=601)
    open_review("r-2", use_case="product_support", sla=602)
    open_review("r-3", tier="lead", sla=603)
    open_review("r-4", "globex", sla=604)

    review = take_next(*groups, body=body)[1]["review"]

    assert (review and review["request_id"]) == got


def test_an_attempt_that_is_repeated_gets_what_it_got(take_next, open_review):
    open_review("r-1", sla=601)
    open_review("r-2", sla=602)
    first = take_next(body={"attempt": "a-1"})

    assert take_next(body={"attempt": "a-1"}) == first
    assert take_next(user_id="rev-2", body={"attempt": "a-1"})[1]["review"]["request_id"] == "r-2"
    assert take_next(body={"attempt": "a-2"}) == (200, {"review": None})


def test_an_attempt_ends_with_its_claim(take_next, open_review):
    review = open_review("r-1")
    take_next(body={"attempt": "a-1"})
    judge(review["review_id"], reviewer(), "CANNOT_JUDGE", NOW)

    assert "claim_attempt" not in stored(review)
    assert take_next(body={"attempt": "a-1"}) == (200, {"review": None})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ([], "body"),
        ("7", "body"),
        ({"limit": "1"}, "body"),
        ({"tenant": 7}, "body"),
        ({"tier": ["lead"]}, "body"),
        ({"attempt": ""}, "attempt"),
        ({"attempt": "x" * 65}, "attempt"),
    ],
)
def test_a_wish_that_is_none_is_refused_by_its_field(take_next, open_review, body, field):
    review = open_review()

    status, said = take_next(body=body)

    assert (status, said["error"]["field"]) == (400, field)
    assert stored(review) == review


@pytest.mark.parametrize("groups", [["operators", "tenant-acme"], ["callers", "tenant-acme"], ["tenant-acme"]])
def test_only_reviewers_and_leads_are_given_reviews(take_next, open_review, groups):
    review = open_review()

    assert take_next(*groups)[0] == 403
    assert stored(review) == review


def test_who_sends_no_body_has_no_wish(exchange, rules, open_review):
    open_review()

    response = exchange(claim_next_review.handler, *REVIEWER, user_id="rev-1", body="")

    assert json.loads(response["body"])["review"]["request_id"] == "r-1"
