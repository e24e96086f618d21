"""api/{list_reviews,read_review,decide_review}.py: who sees and decides what, and what everyone else is told."""

import json
import re

import pytest
from people import LEAD, REVIEWER, claim, judge, lead, reviewer
from words import said_in, sealed

from adapters import requests_table
from adapters.dynamodb import as_json
from adapters.reviews import reviews_table
from api import decide_review, list_reviews, read_review

NOW = 1_800_000_000.0
BLIND = {"reason", "confidence", "signals", "findings", "model"}


@pytest.fixture
def listed(call, rules):
    return lambda *groups, user_id="rev-1", **query: call(list_reviews.handler, *groups, user_id=user_id, query=query)


@pytest.fixture
def read(call):
    return lambda review, *groups, user_id="rev-1": call(
        read_review.handler, *(groups or REVIEWER), user_id=user_id, path={"review_id": review["review_id"]}
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


@pytest.fixture
def resumes(step_functions):
    """Expect that a review's workflow is told where its verdict leads."""

    def expect(next: str = "done", request_id: str = "r-1") -> None:
        expected = {"taskToken": f"token-of-{request_id}", "output": json.dumps({"next": next}, separators=(",", ":"))}
        step_functions.add_response("send_task_success", {}, expected)

    return expect


@pytest.fixture
def shown(read):
    """What the desk shows of a review to a person, and what that person may say of it."""

    def run(review: dict, decision: str, *groups: str, user_id: str = "rev-1", **more) -> dict:
        status, item = read(review, *(groups or REVIEWER), user_id=user_id)
        assert status == 200
        body = {"decision": decision, "shown_digest": item["shown_digest"]}
        body |= {"EDIT": {"answer": "Nine hours."}, "REJECT": {"reason_code": "WRONG"}}.get(decision, {})
        return body | more

    return run


def stored(review: dict) -> dict:
    return reviews_table.find(review["review_id"])


def ids(page: dict) -> list[str]:
    return [review["request_id"] for review in page["reviews"]]


# --- The list


def test_the_most_urgent_is_listed_first_and_no_secret_with_it(listed, open_review):
    for number in (2, 1, 3):
        open_review(f"r-{number}", sla=600 + number)

    status, page = listed(*REVIEWER)

    assert (status, ids(page)) == (200, ["r-1", "r-2", "r-3"])
    assert "next" not in page
    assert "token-of" not in json.dumps(page)


def test_a_summary_says_what_a_list_shows_and_no_more(listed, open_review):
    review = open_review()

    [summary] = listed(*REVIEWER)[1]["reviews"]

    assert summary == {
        "review_id": review["review_id"],
        "tenant": "acme",
        "use_case": "general_question",
        "request_id": "r-1",
        "risk_class": "low",
        "status": "OPEN",
        "tier": "reviewer",
        "opened_at": "2027-01-15T08:00:00.000Z",
        "due_at": "2027-01-15T08:10:00.000Z",
        "blind": False,
        "claimed_by_me": False,
        "reason": "LOW_CONFIDENCE",
        "confidence": 0.41,
    }


def test_pages_follow_one_another_over_tenants(listed, open_review):
    for number in range(1, 6):
        open_review(f"r-{number}", "acme" if number < 4 else "globex", sla=600 + number)
    groups = (*REVIEWER, "tenant-globex", "tenant-initech")

    found, query = [], {"limit": "2"}
    for _ in range(10):
        _, page = listed(*groups, **query)
        assert len(page["reviews"]) <= 2
        found += ids(page)
        if "next" not in page:
            break
        query["next"] = page["next"]

    assert found == ["r-1", "r-2", "r-3", "r-4", "r-5"]


def test_a_lead_s_reviews_are_listed_to_leads(listed, open_review):
    open_review(tier="lead")

    assert ids(listed(*REVIEWER)[1]) == []
    assert ids(listed(*LEAD)[1]) == ["r-1"]


@pytest.mark.parametrize(
    ("groups", "seen"),
    [
        (["tenant-acme"], ["r-1", "r-2"]),
        (["tenant-globex"], ["r-3"]),
        (["tenant-acme", "use-case-product_support"], ["r-2"]),
        (["tenant-acme", "tenant-globex", "use-case-general_question"], ["r-1", "r-3"]),
        (["tenant-initech"], []),
        ([], []),
    ],
)
def test_only_the_reviews_of_one_s_tenants_and_use_cases_are_listed(listed, open_review, groups, seen):
    open_review("r-1", sla=601)
    open_review("r-2", use_case="product_support", sla=602)
    open_review("r-3", "globex", sla=603)

    assert ids(listed("reviewers", *groups)[1]) == seen


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ({"tenant": "globex"}, ["r-4"]),
        ({"tenant": "initech"}, []),
        ({"use_case": "product_support"}, ["r-2"]),
        ({"use_case": "horoscope"}, []),
        ({"tier": "lead"}, ["r-3"]),
        ({"tier": "reviewer"}, ["r-1", "r-2", "r-4"]),
        ({"tier": "second"}, ["r-5"]),
        ({"tenant": "acme", "use_case": "general_question", "tier": "reviewer"}, ["r-1"]),
    ],
)
def test_a_list_can_be_narrowed(listed, open_review, query, seen):
    open_review("r-1", sla=601)
    open_review("r-2", use_case="product_support", sla=602)
    open_review("r-3", tier="lead", sla=603)
    open_review("r-4", "globex", sla=604)
    open_review("r-5", tier="second", use_case="policy_advice", sla=605)

    assert ids(listed(*LEAD, "tenant-globex", **query)[1]) == seen


def test_what_is_claimed_is_told_from_what_is_free(listed, open_review, clock):
    for number in (1, 2, 3):
        open_review(f"r-{number}", sla=600 + number)
    claim(open_by("r-1", listed), reviewer("rev-1"), NOW, 100)
    claim(open_by("r-2", listed), reviewer("rev-2"), NOW, 200)

    _, everything = listed(*REVIEWER)
    assert [one["claimed_by_me"] for one in everything["reviews"]] == [True, False, False]
    assert [one.get("claimed_by") for one in everything["reviews"]] == ["name-of-rev-1", "name-of-rev-2", None]
    assert ids(listed(*REVIEWER, claimed="mine")[1]) == ["r-1"]
    assert ids(listed(*REVIEWER, claimed="free")[1]) == ["r-3"]

    clock(101)
    assert ids(listed(*REVIEWER, claimed="mine")[1]) == []
    assert ids(listed(*REVIEWER, claimed="free")[1]) == ["r-1", "r-3"], "a claim that ran out is none"


def open_by(request_id: str, listed) -> str:
    return next(one["review_id"] for one in listed(*REVIEWER)[1]["reviews"] if one["request_id"] == request_id)


def test_one_s_claims_are_listed_as_long_as_one_may_see_them(listed, open_review):
    claim(open_review()["review_id"], reviewer(), NOW)

    assert ids(listed(*REVIEWER, claimed="mine")[1]) == ["r-1"]
    assert ids(listed("reviewers", "tenant-globex", claimed="mine")[1]) == []
    assert ids(listed(*REVIEWER, "use-case-product_support", claimed="mine")[1]) == []


def test_one_s_own_and_what_one_has_judged_are_not_listed(listed, open_review):
    review = open_review()
    judge(review["review_id"], reviewer("rev-1"), "CANNOT_JUDGE", NOW)

    assert ids(listed(*REVIEWER, user_id="rev-1")[1]) == []
    assert ids(listed(*REVIEWER, user_id="user-17")[1]) == []
    assert ids(listed(*REVIEWER, user_id="rev-2")[1]) == ["r-1"]


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
                "~",
                "2027",
                "\u0662027-01-15T08:00:00.000Z",
                "2027-01-15T08:00:00.000Z#",
                "2027-01-15T08:00:00.000Z#r 1",
                "2027-01-15T08:00:00.000Z#" + "x" * 301,
                "2027-01-15T08:00:00.000Z#r-1\n",
                "x" * 100_000,
            )
        ],
        *[({"tier": tier}, "tier") for tier in ("", "boss", "LEAD")],
        *[({"claimed": claimed}, "claimed") for claimed in ("", "yours", "MINE")],
    ],
)
def test_a_query_that_is_none_is_refused_by_its_field(listed, stores, query, field):
    status, body = listed(*REVIEWER, **query)

    assert (status, body["error"]["field"]) == (400, field)


# --- Who


@pytest.mark.parametrize("groups", [[], ["callers", "tenant-acme"], ["operators", "tenant-acme"]])
def test_only_reviewers_and_leads_see_reviews(call, listed, open_review, groups):
    review = open_review()
    path = {"review_id": review["review_id"]}

    assert listed(*groups)[0] == 403
    assert call(read_review.handler, *groups, path=path)[0] == 403
    body = {"decision": "APPROVE", "shown_digest": "x"}
    assert call(decide_review.handler, *groups, path=path, body=body)[0] == 403
    assert stored(review) == review


@pytest.mark.parametrize(
    ("groups", "user_id", "tier", "status"),
    [
        (["reviewers", "tenant-acme"], "rev-1", "reviewer", 200),
        (["leads", "tenant-acme"], "rev-1", "reviewer", 200),
        (["leads", "tenant-acme"], "rev-1", "lead", 200),
        (["reviewers", "leads", "tenant-acme"], "rev-1", "lead", 200),
        (["reviewers", "tenant-acme", "use-case-general_question"], "rev-1", "reviewer", 200),
        (["reviewers", "tenant-acme"], "rev-1", "lead", 403),
        (["reviewers", "tenant-acme"], "user-17", "reviewer", 403),
        (["leads", "tenant-acme"], "user-17", "reviewer", 403),
        (["reviewers", "tenant-globex"], "rev-1", "reviewer", 404),
        (["reviewers", "tenant-acme", "use-case-product_support"], "rev-1", "reviewer", 404),
        (["leads"], "rev-1", "reviewer", 404),
    ],
)
def test_who_reads_and_decides_what(read, decide, open_review, resumes, groups, user_id, tier, status):
    review = open_review(tier=tier)
    if status == 200:
        resumes()
        claim(review["review_id"], lead(user_id), NOW)

    answered, item = read(review, *groups, user_id=user_id)
    assert answered == status
    # Whose turn is over may still be told so, and have the late decision recorded.
    late = tier == "lead" and "leads" not in groups
    body = {"decision": "APPROVE", "shown_digest": item.get("shown_digest", "x")}
    assert decide(review, body, *groups, user_id=user_id)[0] == (409 if late else status)
    assert stored(review)["status"] == ("DECIDED" if status == 200 else "OPEN")


@pytest.mark.parametrize("review_id", ["unknown", "x" * 5000, "../r", "\ud800", "verdict#r-1#reviewer#rev-1"])
def test_a_review_nobody_has_is_not_found(read, decide, stores, review_id):
    assert read({"review_id": review_id})[0] == 404
    assert decide({"review_id": review_id}, {"decision": "APPROVE", "shown_digest": "x"})[0] == 404


def test_another_tenant_s_review_looks_like_one_that_does_not_exist(read, decide, open_review):
    theirs, nobody_s = open_review(tenant="globex"), {"review_id": "r-unknown"}
    body = {"decision": "APPROVE", "shown_digest": "x"}

    assert read(theirs) == read(nobody_s)
    assert decide(theirs, body) == decide(nobody_s, body)


def test_a_verdict_s_place_in_its_giver_s_history_is_no_review(read, decide, open_review):
    review = open_review()
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    history = {"review_id": f"verdict#{review['review_id']}#reviewer#rev-1"}
    assert reviews_table.find(history["review_id"])

    assert read(history)[0] == 404
    assert decide(history, {"decision": "APPROVE", "shown_digest": "x"})[0] == 404


# --- The item


def test_a_reader_sees_all_it_takes_to_decide_and_no_token(read, open_review):
    status, body = read(open_review(draft="x" * 40_000))

    assert status == 200
    assert (body["query"], body["draft"], body["sentences"]) == ("How long?", "x" * 40_000, [])
    assert (body["model"], body["tier"], body["reason"]) == ("nova-lite", "reviewer", "LOW_CONFIDENCE")
    assert body["silence"] == {"at": "2027-01-15T08:10:00.000Z", "then": "lead"}
    assert body["may"] == ["APPROVE", "EDIT", "REJECT", "ESCALATE", "CANNOT_JUDGE"]
    assert "token-of" not in json.dumps(body)


@pytest.mark.parametrize(
    ("tier", "changes", "then"),
    [
        ("reviewer", {}, "lead"),
        ("reviewer", {"lead_sla_seconds": 0}, "REJECT"),
        ("lead", {}, "REJECT"),
        ("lead", {"on_silence": "APPROVE"}, "APPROVE"),
    ],
)
def test_what_silence_does_is_told(read, open_review, tier, changes, then):
    assert read(open_review(tier=tier, **changes), *LEAD)[1]["silence"]["then"] == then


def test_a_lead_cannot_ask_a_lead(read, open_review):
    assert read(open_review(tier="lead"), *LEAD)[1]["may"] == ["APPROVE", "EDIT", "REJECT", "CANNOT_JUDGE"]


def test_what_the_model_read_stands_beside_what_it_said(read, open_review, requests):
    review = open_review(draft="It lasts 11 hours. It flies.")
    body = json.dumps({"query": "How long?", "passages": [{"id": "p-1", "text": "It lasts."}]})
    requests.update_item(
        Key={"request_key": review["request_key"]},
        UpdateExpression="SET payload = :body, retrieved = :found",
        ExpressionAttributeValues={
            ":body": sealed("payload", review["request_key"], body)["payload"],
            ":found": sealed("retrieved", review["request_key"], json.dumps(["For 11 hours."]))["retrieved"],
        },
    )

    _, body = read(review)

    assert body["passages"] == [
        {"id": "p-1", "text": "It lasts."},
        {"id": "retrieved-1", "text": "For 11 hours."},
    ]
    assert [(one["text"], one["marked"], one["missing"]) for one in body["sentences"]] == [
        ("It lasts 11 hours. ", False, []),
        ("It flies.", True, ["flies"]),
    ]


@pytest.mark.parametrize("kind", ["HELD", "AUDIT", "PLANTED"])
def test_a_blind_review_gives_no_hint_of_the_system_s_view(listed, read, open_review, kind):
    review = open_review(blind=True, kind=kind, reason=None if kind != "HELD" else "LOW_CONFIDENCE")

    [summary], (_, item) = listed(*REVIEWER)[1]["reviews"], read(review)

    assert not BLIND & (summary.keys() | item.keys())
    assert "kind" not in item and kind not in json.dumps([summary, item])


def test_blind_reviews_of_every_kind_look_alike(listed, read, open_review):
    reviews = [open_review(f"r-{kind}", blind=True, kind=kind) for kind in ("HELD", "AUDIT", "PLANTED")]

    assert len({frozenset(read(review)[1]) for review in reviews}) == 1
    assert len({frozenset(summary) for summary in listed(*REVIEWER)[1]["reviews"]}) == 1
    assert len({json.dumps(read(review)[1]["silence"]) for review in reviews}) == 1


def test_earlier_verdicts_are_shown_to_a_lead_alone(read, open_review):
    review = open_review(second_reviewer=True)
    judge(review["review_id"], reviewer("rev-1"), "EDIT", NOW, "Nine hours.")
    assert read(review, user_id="rev-2")[1]["opinions"] == []

    again(review, "second")
    status, second = read(review, user_id="rev-2")
    assert (status, second["opinions"]) == (200, [])
    assert "Nine hours." not in json.dumps(second)

    judge(review["review_id"], reviewer("rev-2"), "REJECT", NOW)
    again(review, "lead")
    _, item = read(review, *LEAD, user_id="lead-1")
    assert [(one["tier"], one["decision"]) for one in item["opinions"]] == [("reviewer", "EDIT"), ("second", "REJECT")]
    assert [one.get("edited") for one in item["opinions"]] == ["Nine hours.", None]
    assert "rev-1" not in json.dumps(item["opinions"]), "it is what was said that counts, not who said it"


def again(review: dict, tier: str) -> None:
    planned = as_json(requests_table.find(review["request_key"])["review"])
    reviews_table.open_for(planned, tier, f"token-{tier}", 600, {"user_id": "user-17"}, NOW)


def test_an_edit_is_shown_beside_the_draft_once_it_is_decided(read, open_review):
    review = open_review()
    judge(review["review_id"], reviewer(), "EDIT", NOW, "Nine hours.")
    reviews_table.close(stored(review), review["request_key"], NOW)

    _, item = read(review)

    assert (item["status"], item["draft"], item["may"]) == ("DECIDED", "Eleven hours.", [])
    assert item["edited"] == "Nine hours."


def test_a_review_whose_subject_was_erased_says_that_its_texts_are_gone(read, open_review, keys):
    review = open_review()
    keys.delete_item(Key={"subject_ref": review["subject_ref"]})

    status, body = read(review)

    assert (status, body["error"]["code"]) == (410, "GONE")


def test_what_a_person_writes_is_sealed_and_shown_to_a_lead(decide, shown, read, open_review, resumes):
    review = open_review(second_reviewer=True)
    claim(review["review_id"], reviewer(), NOW)
    resumes("second")
    decide(review, shown(review, "EDIT") | {"comment": "The sheet says nine."})

    assert not re.search(r"sheet|Nine", json.dumps(stored(review), default=str))
    again(review, "second")
    judge(review["review_id"], reviewer("rev-2"), "REJECT", NOW)
    again(review, "lead")
    opinions = read(review, *LEAD, user_id="lead-1")[1]["opinions"]
    assert (opinions[0]["comment"], opinions[0]["edited"]) == ("The sheet says nine.", "Nine hours.")


def test_who_has_seen_it_all_is_told_that_nothing_changed(exchange, open_review):
    review = open_review()

    def get(etag: str | None = None):
        headers = {"if-none-match": etag} if etag else {}
        path = {"review_id": review["review_id"]}
        return exchange(read_review.handler, *REVIEWER, user_id="rev-1", path=path, headers=headers)

    first = get()
    assert get(first["headers"]["etag"]) == {
        "statusCode": 304,
        "headers": {"etag": first["headers"]["etag"], "cache-control": "no-store"},
    }
    claim(review["review_id"], reviewer("rev-2"), NOW)
    assert get(first["headers"]["etag"])["statusCode"] == 200


# --- The decision


@pytest.mark.parametrize(
    ("decision", "changes", "next", "status"),
    [
        ("APPROVE", {}, "done", "DECIDED"),
        ("EDIT", {}, "done", "DECIDED"),
        ("REJECT", {}, "done", "DECIDED"),
        ("APPROVE", {"second_reviewer": True}, "second", "ANSWERED"),
        ("ESCALATE", {}, "lead", "ANSWERED"),
    ],
)
def test_a_verdict_is_stored_and_resumes_the_review(
    decide, shown, open_review, resumes, decision, changes, next, status
):
    review = open_review(**changes)
    claim(review["review_id"], reviewer(), NOW)
    resumes(next)

    answered, body = decide(review, shown(review, decision))

    assert (answered, body["next"], body["status"]) == (200, next, status)
    assert (stored(review)["verdicts"][0]["decision"], stored(review)["status"]) == (decision, status)
    assert "token-of" not in json.dumps(body)


def test_who_cannot_judge_puts_it_back_for_somebody_else(decide, shown, open_review):
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)

    status, body = decide(review, shown(review, "CANNOT_JUDGE"))

    assert (status, body["next"], body["status"], body["claimed_by_me"]) == (200, "reviewer", "OPEN", False)


def test_a_decision_counts_even_if_nobody_waits_on_the_token(decide, shown, open_review, step_functions):
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)
    step_functions.add_client_error("send_task_success", "TaskTimedOut")

    assert decide(review, shown(review, "APPROVE"))[0] == 200
    assert stored(review)["status"] == "DECIDED"
    assert requests_table.find(review["request_key"])["sweep_at"] < NOW + 120


def test_a_decision_counts_even_if_step_functions_is_away(decide, shown, open_review, step_functions):
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)
    step_functions.add_client_error("send_task_success", "InternalFailure", http_status_code=400)

    assert decide(review, shown(review, "APPROVE"))[0] == 200
    assert stored(review)["status"] == "DECIDED"


@pytest.mark.parametrize("more", [{}, {"comment": "Sent twice."}])
def test_a_decision_sent_again_is_the_same_decision(decide, shown, open_review, resumes, more):
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)
    body = shown(review, "EDIT")
    for _ in range(2):
        resumes()

    first, again = decide(review, body), decide(review, body | more)

    assert first == again
    assert len(stored(review)["verdicts"]) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"decision": "REJECT", "reason_code": "WRONG"},
        {"decision": "EDIT", "answer": "Ten hours."},
    ],
)
def test_another_decision_of_the_same_person_is_refused(decide, shown, open_review, resumes, other):
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)
    body = shown(review, "EDIT")
    resumes()
    decide(review, body)

    status, said = decide(review, {"shown_digest": body["shown_digest"]} | other)

    assert (status, said["error"]["code"]) == (409, "ALREADY_DECIDED")
    assert [said_in(review, each, "answer") for each in stored(review)["verdicts"]] == ["Nine hours."]


def test_of_two_reviewers_the_other_is_told(decide, shown, open_review, resumes):
    review = open_review()
    claim(review["review_id"], reviewer("rev-1"), NOW)
    body, late = shown(review, "APPROVE"), shown(review, "REJECT", user_id="rev-2")
    resumes()
    decide(review, body, user_id="rev-1")

    status, said = decide(review, late, user_id="rev-2")

    assert (status, said["error"]["code"]) == (409, "ALREADY_DECIDED")
    assert stored(review)["decision"] == "APPROVE"


def test_without_a_claim_nobody_decides(decide, shown, open_review):
    review = open_review()

    status, said = decide(review, shown(review, "APPROVE"))

    assert (status, said["error"]["code"]) == (409, "NOT_CLAIMED")
    assert stored(review) == review


def test_a_claim_that_ran_out_still_counts_until_somebody_else_has_it(decide, shown, open_review, clock, resumes):
    review = open_review()
    claim(review["review_id"], reviewer("rev-1"), NOW, 60)
    body = shown(review, "APPROVE")
    clock(61)
    claim(review["review_id"], reviewer("rev-2"), NOW + 61, 60)

    status, said = decide(review, body)
    assert (status, said["error"]["code"]) == (409, "CLAIMED")
    assert "name-of-rev-2" in said["error"]["message"]

    clock(60)
    assert decide(review, body)[1]["error"]["code"] == "NOT_CLAIMED"
    resumes()
    assert decide(review, body, user_id="rev-2")[0] == 200


def test_a_decision_after_the_end_is_told_so_and_recorded(decide, open_review):
    review = open_review()
    reviews_table.end_in_silence(review, "REJECT", NOW + 700)

    status, said = decide(review, {"decision": "APPROVE", "shown_digest": "x"})

    assert (status, said["error"]["code"]) == (409, "DEADLINE_PASSED")
    assert stored(review)["decision"] == "REJECT"
    assert [late["decision"] for late in stored(review)["late_decisions"]] == ["APPROVE"]


def test_a_decision_on_a_draft_that_changed_is_told_so(decide, open_review):
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)

    status, said = decide(review, {"decision": "APPROVE", "shown_digest": "of another draft"})

    assert (status, said["error"]["code"]) == (409, "DRAFT_CHANGED")
    assert stored(review)["status"] == "OPEN"


def test_a_lead_has_nobody_to_ask(decide, shown, open_review):
    review = open_review(tier="lead")
    claim(review["review_id"], lead(), NOW)

    status, said = decide(review, shown(review, "ESCALATE", *LEAD, user_id="lead-1"), *LEAD, user_id="lead-1")

    assert (status, said["error"]["code"]) == (409, "NO_HIGHER_TIER")
    assert "verdicts" not in stored(review)


APPROVE = {"decision": "APPROVE", "shown_digest": "x"}


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
        (APPROVE | {"draft_digest": "x"}, 400, "draft_digest"),
        (APPROVE | {"comment": "x" * 1_048_576}, 413, None),
    ],
)
def test_a_decision_that_cannot_be_read_changes_nothing(decide, open_review, body, status, field):
    review = open_review()
    claim(review["review_id"], reviewer(), NOW)
    before = stored(review)

    answered, said = decide(review, body)

    assert (answered, said["error"].get("field")) == (status, field)
    assert stored(review) == before
