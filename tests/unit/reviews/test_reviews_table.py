"""adapters/reviews/reviews_table.py: each state of a review is decided on once, and a verdict stands with all that
follows.
"""

import io
import itertools

import pytest
from botocore.stub import Stubber
from people import claim, judge, lead, reviewer, saying, shown_now
from words import key_of, sealed, text_of

from adapters import payloads, requests_table
from adapters.clock import iso
from adapters.dynamodb import ConditionFailed, as_json, client, update
from adapters.reviews import reviews_table
from adapters.reviews.reviews_table import ATTEMPTS, LAPSE_SECONDS, MOST_LATE_DECISIONS, RESUME_SECONDS
from domain.errors import ReviewNotHeld, TableContended
from domain.requests import Reason, Status
from domain.reviews.review import Change, ReviewConflict, ReviewStatus
from domain.reviews.tiers import MovedOn

NOW = 1_800_000_000.0
QUEUE = "acme#general_question#reviewer"
LEADS = "acme#general_question#lead"


@pytest.fixture
def opened(open_review):
    return open_review()


def open_for(review: dict, tier: str, token: str, sla: int, now: float) -> dict:
    planned = as_json(requests_table.find(review["request_key"])["review"])
    return reviews_table.open_for(planned, tier, token, sla, {"user_id": "user-17"}, now)


def stored(review: dict) -> dict:
    return reviews_table.find(review["review_id"])


def in_queue(queue: str = QUEUE) -> list[str]:
    return [one["request_id"] for one in reviews_table.page(queue, "", 100)]


def end(review: dict, now: float = NOW + 2) -> bool:
    return reviews_table.close(stored(review), review["request_key"], now)


def decide(review: dict, decision: str, by, now: float = NOW) -> dict:
    """Decide without a claim of one's own."""
    said = saying(decision, shown_now(review["review_id"]))
    return reviews_table.decide(stored(review), requests_table.find(review["request_key"]), by, said, now)


# --- The queue


def test_an_open_review_stands_in_its_use_case_s_queue_without_words_or_token(opened):
    [listed] = reviews_table.page(QUEUE, "", 10)

    assert listed["review_id"] == opened["review_id"]
    assert not {"task_token", "request_key", "verdicts", "draft", "answer"} & listed.keys()
    assert in_queue("globex#general_question#reviewer") == in_queue("acme#product_support#reviewer") == []


def test_what_is_riskier_stands_as_if_it_were_due_earlier(open_review):
    open_review("r-1", sla=600)
    open_review("r-2", sla=900, head_start_seconds=400)
    open_review("r-3", sla=700)

    assert in_queue() == ["r-2", "r-1", "r-3"]


def test_a_page_begins_behind_a_position_and_may_end_before_another(open_review):
    for number in range(1, 5):
        open_review(f"r-{number}", sla=600 + number)
    first, second, third, _ = (each["queue_position"] for each in reviews_table.page(QUEUE, "", 10))

    assert [each["request_id"] for each in reviews_table.page(QUEUE, first, 2)] == ["r-2", "r-3"]
    assert [each["request_id"] for each in reviews_table.page(QUEUE, second, 10, third)] == ["r-3"]


def test_the_queue_is_counted_no_further_than_asked(open_review):
    for number in range(3):
        open_review(f"r-{number}")

    assert reviews_table.count(QUEUE, 100) == 3
    assert reviews_table.count(LEADS, 100) == 0


def test_who_asked_and_the_draft_are_no_part_of_the_review_but_who_asked(opened):
    assert opened["requested_by"] == ["user-17"]
    assert not {"draft", "answer", "query", "payload"} & opened.keys()


def test_escalation_replaces_token_tier_deadline_and_queue(opened):
    open_for(opened, "lead", "token-2", 60, NOW + 600)

    review = stored(opened)
    assert (review["tier"], review["task_token"]) == ("lead", "token-2")
    assert review["due_at"] == "2027-01-15T08:11:00.000Z"
    assert (in_queue(), in_queue(LEADS)) == ([], ["r-1"])
    sweep_at = requests_table.find(opened["request_key"])["sweep_at"]
    assert sweep_at == NOW + 660 + LAPSE_SECONDS + 1


@pytest.mark.parametrize("status", ["FAILED", "REFUSED", "COMPLETED"])
def test_a_review_nobody_waits_for_does_not_open(held, requests, status):
    review = held()
    requests.put_item(Item={"request_key": review["request_key"], "status": status})

    with pytest.raises(ReviewNotHeld):
        reviews_table.open_for(review, "reviewer", "token-1", 600, {}, NOW)

    assert reviews_table.find(review["review_id"]) is None


def test_a_decided_review_does_not_open_again(opened):
    judge(opened["review_id"], reviewer(), "APPROVE", NOW)

    with pytest.raises(MovedOn) as moved:
        open_for(opened, "lead", "token-2", 60, NOW)

    assert moved.value.next == "done"
    assert stored(opened)["task_token"] == opened["task_token"]


# --- Changes


def test_a_change_that_lost_a_race_is_decided_again_on_what_stands_then(opened):
    seen = []

    def rule(found):
        seen.append(found["version"])
        if len(seen) == 1:
            claim(opened["review_id"], reviewer("rev-2"), NOW)
        return Change({"note": found.get("claimed_by")})

    changed = reviews_table.change(opened["review_id"], rule)

    assert seen == [1, 2]
    assert changed["note"] == stored(opened)["note"] == "rev-2"


def test_a_change_that_always_loses_says_so_and_changes_nothing(opened):
    def rule(found):
        busy = update("reviews", {"review_id": opened["review_id"]}, add={"version": 1})
        client.update_item(**busy["Update"])
        return Change({"note": "mine"})

    with pytest.raises(TableContended, match=f"{ATTEMPTS} attempts"):
        reviews_table.change(opened["review_id"], rule)

    assert "note" not in stored(opened)


def test_a_change_of_which_nothing_is_to_be_made_writes_nothing(opened):
    assert reviews_table.change(opened["review_id"], lambda found: None)["version"] == 1
    assert reviews_table.change("r-unknown", lambda found: None) == {}
    assert stored(opened) == opened


def test_a_change_is_made_with_the_others_or_not_at_all(opened):
    never = update("control", {"control_key": "gone"}, "attribute_exists(control_key)", set={"seen": 1})

    with pytest.raises(ConditionFailed) as failed:
        reviews_table.change(opened["review_id"], lambda found: Change({"note": "mine"}), never)

    assert failed.value.index == 1
    assert stored(opened) == opened


# --- Verdicts


def test_a_verdict_stands_with_its_history_and_the_sweeper_s_time(opened):
    judge(opened["review_id"], reviewer(), "REJECT", NOW + 5)

    review = stored(opened)
    assert (review["status"], review["decision"], review["decided_by"]) == ("DECIDED", "REJECT", "rev-1")
    [given] = reviews_table.of_person("rev-1", "verdict", "~", 10)
    assert (given["of_review"], given["decision"], given["reason_code"]) == (opened["review_id"], "REJECT", "WRONG")
    assert requests_table.find(opened["request_key"])["sweep_at"] == NOW + 5 + RESUME_SECONDS + 1
    assert in_queue() == []


def test_a_verdict_on_a_request_that_ended_meanwhile_leaves_no_trace(opened, requests):
    claim(opened["review_id"], reviewer(), NOW)
    before = stored(opened)
    said = saying("APPROVE", shown_now(opened["review_id"]))
    request = requests_table.find(opened["request_key"])
    requests.update_item(Key={"request_key": opened["request_key"]}, UpdateExpression="REMOVE sweep, sweep_at")

    with pytest.raises(ReviewConflict) as conflict:
        reviews_table.decide(before, request, reviewer(), said, NOW + 5)

    assert conflict.value.code == "ALREADY_DECIDED"
    assert stored(opened) == before
    assert reviews_table.of_person("rev-1", "verdict", "~", 10) == []


def test_who_cannot_judge_leaves_the_review_in_its_queue_and_the_sweeper_s_time_as_it_is(opened):
    sweep_at = requests_table.find(opened["request_key"])["sweep_at"]

    judge(opened["review_id"], reviewer(), "CANNOT_JUDGE", NOW + 5)

    assert (stored(opened)["status"], in_queue()) == ("OPEN", ["r-1"])
    assert requests_table.find(opened["request_key"])["sweep_at"] == sweep_at
    assert len(reviews_table.of_person("rev-1", "verdict", "~", 10)) == 1


def test_the_time_a_person_took_is_that_since_their_claim(opened):
    claim(opened["review_id"], reviewer(), NOW)
    decide(opened, "APPROVE", reviewer(), NOW + 42)

    assert [given["seconds"] for given in stored(opened)["verdicts"]] == [42]
    assert [given["seconds"] for given in reviews_table.of_person("rev-1", "verdict", "~", 10)] == [42]


def test_the_first_decision_stands(opened):
    judge(opened["review_id"], reviewer("rev-1"), "APPROVE", NOW)

    with pytest.raises(ReviewConflict) as conflict:
        judge(opened["review_id"], reviewer("rev-2"), "REJECT", NOW)

    assert conflict.value.code == "ALREADY_DECIDED"
    assert (stored(opened)["decision"], stored(opened)["decided_by"]) == ("APPROVE", "rev-1")


def test_what_went_to_a_lead_meanwhile_is_not_a_reviewer_s_to_decide(opened):
    claim(opened["review_id"], reviewer(), NOW)
    open_for(opened, "lead", "token-2", 60, NOW + 600)

    with pytest.raises(ReviewConflict) as conflict:
        decide(opened, "APPROVE", reviewer(), NOW + 600)
    assert conflict.value.code == "DEADLINE_PASSED"

    judge(opened["review_id"], lead(), "APPROVE", NOW + 601)
    assert stored(opened)["decided_by"] == "lead-1"


def test_a_decision_on_what_is_not_shown_any_more_is_not_taken(opened, requests):
    claim(opened["review_id"], reviewer(), NOW)
    shown = shown_now(opened["review_id"])
    requests.update_item(
        Key={"request_key": opened["request_key"]},
        UpdateExpression="SET answer = :other",
        ExpressionAttributeValues={":other": sealed("answer", opened["request_key"], "Another draft.")["answer"]},
    )

    with pytest.raises(ReviewConflict) as conflict:
        reviews_table.decide(
            stored(opened),
            requests_table.find(opened["request_key"]),
            reviewer(),
            saying("APPROVE", shown),
            NOW,
        )

    assert conflict.value.code == "DRAFT_CHANGED"
    assert stored(opened)["status"] == ReviewStatus.OPEN


def test_a_long_draft_is_read_once_for_a_verdict(open_review):
    review = open_review(draft="x" * 40_000)
    claim(review["review_id"], reviewer(), NOW)
    said, claimed = saying("APPROVE", shown_now(review["review_id"])), stored(review)
    object_ = payloads.get(requests_table.find(review["request_key"])["answer_ref"])
    with Stubber(payloads.client()) as stubber:
        stubber.add_response("get_object", {"Body": io.BytesIO(object_)})
        reviews_table.decide(claimed, requests_table.find(review["request_key"]), reviewer(), said, NOW)

    assert stored(review)["decision"] == "APPROVE"


@pytest.mark.parametrize("draft", ["Short.", "x" * 40_000], ids=["short draft", "long draft"])
@pytest.mark.parametrize("edited", ["Nine hours.", "y" * 40_000], ids=["short edit", "long edit"])
def test_an_edit_is_what_the_caller_gets_and_the_draft_stays_with_the_review(open_review, draft, edited):
    review = open_review(draft=draft)
    judge(review["review_id"], reviewer(), "EDIT", NOW, edited)
    assert end(review)

    record = requests_table.find(review["request_key"])
    assert (record["status"], text_of(record, "answer")) == ("COMPLETED", edited)
    assert record["answer_mac"] == key_of().mac(edited)
    assert text_of(stored(review), "draft") == draft
    assert text_of(stored(review), "answer") == edited
    assert reviews_table.draft_of(stored(review), record, key_of()) == draft


def test_what_is_shown_stays_the_same_once_an_edit_took_the_draft_s_place(opened):
    shown = shown_now(opened["review_id"])
    judge(opened["review_id"], reviewer(), "EDIT", NOW, "Nine hours.")
    end(opened)

    assert shown_now(opened["review_id"]) == shown


# --- Silence


def test_silence_decides_once(opened):
    review = reviews_table.end_in_silence(opened, "REJECT", NOW + 700)

    assert (review["status"], review["decision"]) == (ReviewStatus.LAPSED, "REJECT")
    assert in_queue() == []
    with pytest.raises(ReviewConflict) as conflict:
        judge(opened["review_id"], reviewer(), "APPROVE", NOW + 701)
    assert conflict.value.code == "DEADLINE_PASSED"


def test_silence_does_not_overrule_a_person(opened):
    judge(opened["review_id"], reviewer(), "APPROVE", NOW)

    review = reviews_table.end_in_silence(opened, "REJECT", NOW + 700)

    assert (review["status"], review["decision"]) == (ReviewStatus.DECIDED, "APPROVE")


def test_silence_leaves_to_its_workflow_what_is_on_the_way_to_the_next_tier(open_review):
    review = open_review(second_reviewer=True)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    before = stored(review)

    assert reviews_table.end_in_silence(review, "APPROVE", NOW + 700) == before == stored(review)


def test_an_abandoned_review_is_ended_if_nothing_has_happened_since(open_review):
    review = open_review(second_reviewer=True)
    judge(review["review_id"], reviewer(), "APPROVE", NOW)
    answered = stored(review)
    open_for(review, "second", "token-2", 600, NOW + 1)
    reopened = stored(review)

    assert reviews_table.end_in_silence(review, "REJECT", NOW + 2, abandoned=answered) == reopened
    assert reviews_table.end_in_silence(review, "REJECT", NOW + 2, abandoned=reopened)["status"] == "LAPSED"


def test_silence_about_a_review_that_never_opened_is_told_and_not_stored(stores):
    known = {"review_id": "r-9", "kind": "HELD"}

    assert reviews_table.end_in_silence(known, "REJECT", NOW)["status"] == "LAPSED"
    assert reviews_table.find("r-9") is None


@pytest.mark.parametrize("order", [*itertools.permutations(["rev-1", "rev-2", "silence"])], ids="-".join)
def test_of_all_who_end_a_review_the_first_wins(opened, order):
    won = []
    for who in order:
        if who == "silence":
            review = reviews_table.end_in_silence(opened, "REJECT", NOW)
            won += [who] if review["status"] == ReviewStatus.LAPSED else []
        else:
            try:
                judge(opened["review_id"], reviewer(who), "APPROVE", NOW)
            except ReviewConflict:
                continue
            won.append(who)

    assert won == [order[0]]
    assert stored(opened).get("decided_by", "silence") == order[0]


def test_a_late_decision_is_kept_and_changes_nothing(opened):
    reviews_table.end_in_silence(opened, "REJECT", NOW)

    for by in ("rev-1", "rev-2"):
        reviews_table.keep_late(opened["review_id"], saying("APPROVE"), by, NOW + 1)

    review = stored(opened)
    assert [late["decided_by"] for late in review["late_decisions"]] == ["rev-1", "rev-2"]
    assert review["decision"] == "REJECT"


def test_late_decisions_are_kept_up_to_a_bound_and_of_reviews_alone(opened):
    for _ in range(MOST_LATE_DECISIONS + 1):
        reviews_table.keep_late(opened["review_id"], saying("APPROVE"), "rev-1", NOW + 1)
    reviews_table.keep_late("r-unknown", saying("APPROVE"), "rev-1", NOW + 1)

    assert len(stored(opened)["late_decisions"]) == MOST_LATE_DECISIONS
    assert reviews_table.find("r-unknown") is None


# --- The end


def quality(control) -> dict:
    item = control.get_item(Key={"control_key": "quality#acme#general_question#2027-01"}).get("Item", {})
    return {
        name: int(value) for name, value in item.items() if name.partition("_")[0] not in ("control", "expires", "by")
    }


@pytest.mark.parametrize(
    ("kind", "decision", "counted"),
    [
        ("HELD", "APPROVE", {"reviews": 1, "decided": 1, "held_approved": 1}),
        ("HELD", "EDIT", {"reviews": 1, "decided": 1, "held_edited": 1}),
        ("HELD", None, {"reviews": 1, "held_lapsed": 1}),
        ("AUDIT", "REJECT", {"reviews": 1, "decided": 1, "audits_judged": 1, "audits_wrong": 1}),
        ("AUDIT", None, {"reviews": 1, "audits_lapsed": 1}),
        ("PLANTED", "APPROVE", {"reviews": 1, "decided": 1, "planted_shown": 1, "planted_missed": 1}),
    ],
)
def test_a_review_ends_once_is_counted_once_and_its_token_forgotten(open_review, control, kind, decision, counted):
    review = open_review(kind=kind)
    if decision:
        judge(review["review_id"], reviewer(), decision, NOW)
    else:
        reviews_table.end_in_silence(review, "REJECT", NOW)

    assert [end(review), end(review)] == [True, False]

    assert quality(control) == counted
    assert "task_token" not in stored(review)
    assert "sweep" not in requests_table.find(review["request_key"])


def test_the_end_of_a_review_is_one_write_or_none(opened, control, requests):
    judge(opened["review_id"], reviewer(), "APPROVE", NOW)
    requests.update_item(
        Key={"request_key": opened["request_key"]},
        UpdateExpression="SET #status = :failed",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":failed": "FAILED"},
    )

    assert not end(opened)

    assert quality(control) == {}
    assert stored(opened)["task_token"] == opened["task_token"]


def test_a_rejected_answer_ends_its_request_with_the_reason(opened):
    judge(opened["review_id"], reviewer(), "REJECT", NOW)
    end(opened)

    record = requests_table.find(opened["request_key"])
    assert (record["status"], record["reason"], record["decided_by"]) == (
        Status.REFUSED,
        Reason.REJECTED,
        "reviewer",
    )
    assert record["outcome_at"] == iso(NOW + 2)


@pytest.mark.parametrize("kind", ["AUDIT", "PLANTED"])
@pytest.mark.parametrize("decision", ["REJECT", "EDIT"])
def test_a_verdict_on_an_answer_nobody_waits_for_leaves_the_request_alone(open_review, kind, decision):
    review = open_review(kind=kind)
    before = requests_table.find(review["request_key"])
    judge(review["review_id"], reviewer(), decision, NOW)
    end(review)

    after = requests_table.find(review["request_key"])
    assert {name: after.get(name) for name in before if "sweep" not in name} == {
        name: value for name, value in before.items() if "sweep" not in name
    }


# --- People


def test_a_person_s_claims_and_verdicts_are_told_apart_the_latest_first(open_review):
    for number in range(1, 4):
        open_review(f"r-{number}")
    ids = [each["review_id"] for each in reviews_table.page(QUEUE, "", 10)]
    judge(ids[0], reviewer(), "APPROVE", NOW + 1)
    judge(ids[1], reviewer(), "APPROVE", NOW + 2)
    claim(ids[2], reviewer(), NOW + 3)

    verdicts = reviews_table.of_person("rev-1", "verdict", "~", 10)
    assert [each["of_review"] for each in verdicts] == [ids[1], ids[0]]
    assert [each["review_id"] for each in reviews_table.of_person("rev-1", "claim", "~", 10)] == [ids[2]]
    assert reviews_table.of_person("rev-2", "verdict", "~", 10) == []


def test_a_person_s_pages_follow_one_another_without_a_gap_or_a_repeat(open_review):
    given = []
    for number in range(5):
        review = open_review(f"r-{number}")
        # Two within a millisecond are told apart as well.
        judge(review["review_id"], reviewer(), "APPROVE", NOW + number // 2)
        given.append(review["review_id"])

    found, before = [], "~"
    while page := reviews_table.of_person("rev-1", "verdict", before, 2):
        found += [each["of_review"] for each in page]
        before = page[-1]["person_at"].removeprefix("verdict#")
        assert len(found) <= 5

    assert sorted(found) == sorted(given)


# --- Notices


def test_reviews_whose_notice_is_due_are_found_once_each(open_review):
    open_review("r-1", sla=300, due_notice_seconds=200)
    open_review("r-2", sla=400, due_notice_seconds=100)

    def due(after: float) -> list[str]:
        return [each["request_id"] for each in reviews_table.due_before(QUEUE, NOW + after, 10)]

    assert due(99) == []
    assert due(100) == due(299) == ["r-1"]
    assert due(300) == ["r-1", "r-2"]


def test_a_notice_that_was_given_keeps_no_other_from_being_found(open_review):
    for number in range(1, 6):
        review = open_review(f"r-{number}", sla=300)
        if number < 4:
            reviews_table.change(review["review_id"], lambda found: Change({"due_noticed_at": iso(NOW)}))

    assert sorted(each["request_id"] for each in reviews_table.due_before(QUEUE, NOW + 299, 2)) == ["r-4", "r-5"]


def test_a_verdict_on_a_review_that_was_deleted_meanwhile_brings_nothing_back(opened, requests, reviews):
    review = claim(opened["review_id"], reviewer(), NOW)
    request = requests_table.find(review["request_key"])
    said = saying("CANNOT_JUDGE", shown_now(review["review_id"]))
    reviews.delete_item(Key={"review_id": review["review_id"]})
    requests.delete_item(Key={"request_key": review["request_key"]})

    with pytest.raises(ReviewConflict):
        reviews_table.decide(review, request, reviewer(), said, NOW)
    assert reviews.scan()["Items"] == []
