"""The reviewer's desk over HTTP: claims, tiers, audits, planted answers, notices and who may do what."""

import base64
import json
import threading
import time
import urllib.error
import urllib.request

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from jsonschema import Draft202012Validator

from workflows.conftest import ROOT, Bulwark, wait_for
from workflows.reviews.test_human_review import fail_function


def claim(bulwark: Bulwark, review_id: str, user: str = "Reviewer") -> tuple[int, dict]:
    return bulwark.call("POST", f"/reviews/{review_id}/claim", {}, user=user)


def open_for(bulwark: Bulwark, use_case: str = "unsure", tier: str = "reviewer", **detail) -> tuple[str, str]:
    request_id = bulwark.send(use_case, **detail)
    return request_id, bulwark.open_review(request_id, tier)["review_id"]


def at_tier(bulwark: Bulwark, review_id: str, tier: str) -> dict:
    def reached() -> dict | None:
        review = bulwark.review(review_id)
        return review if review["status"] == "OPEN" and review["tier"] == tier else None

    return wait_for(reached, f"{review_id} to be open for a {tier}")


# --- Claims -----------------------------------------------------------------------------------


def test_a_claim_keeps_others_out_until_it_is_released(bulwark):
    _, review_id = open_for(bulwark)

    assert claim(bulwark, review_id)[1]["claimed_by_me"] is True
    status, refused = claim(bulwark, review_id, "SecondReviewer")
    assert (status, refused["error"]["code"]) == (409, "CLAIMED")
    status, _ = bulwark.call("DELETE", f"/reviews/{review_id}/claim", user="Reviewer")

    assert status == 200
    assert claim(bulwark, review_id, "SecondReviewer")[0] == 200


def test_a_decision_needs_the_claim(bulwark):
    _, review_id = open_for(bulwark)
    _, shown = bulwark.call("GET", f"/reviews/{review_id}", user="Reviewer")

    body = {"decision": "APPROVE", "shown_digest": shown["shown_digest"]}
    status, refused = bulwark.call("POST", f"/reviews/{review_id}/decision", body, user="Reviewer")

    assert (status, refused["error"]["code"]) == (409, "NOT_CLAIMED")


def test_a_claim_is_handed_to_a_colleague_who_may_have_it(bulwark):
    _, review_id = open_for(bulwark)
    claim(bulwark, review_id)

    def hand_to(name: str) -> tuple[int, dict]:
        return bulwark.call("POST", f"/reviews/{review_id}/hand-over", {"to": name}, user="Reviewer")

    for nobody in ("nobody", "caller", "globex-reviewer", "narrow-reviewer"):
        status, refused = hand_to(nobody)
        assert (status, refused["error"]["code"]) == (409, "NOT_A_REVIEWER"), nobody
    status, handed = hand_to("second-reviewer")

    assert (status, handed["claimed_by"]) == (200, "second-reviewer")
    assert bulwark.decide(review_id, "APPROVE", "SecondReviewer")[0] == 200


def test_everybody_who_asks_for_the_next_one_gets_another(bulwark):
    expected = {open_for(bulwark, "blind")[1] for _ in range(4)}
    got: list[str] = []
    users = ["Reviewer", "SecondReviewer", "Lead", "SecondLead"]
    for user in users:
        bulwark.token(user)

    def take(user: str) -> None:
        _, answer = bulwark.call("POST", "/reviews/claim", {"use_case": "blind"}, user=user)
        got.append(answer["review"]["review_id"])

    threads = [threading.Thread(target=take, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(got)) == 4 and set(got) == expected
    assert bulwark.call("POST", "/reviews/claim", {"use_case": "blind"}, user="Reviewer")[1] == {"review": None}
    _, mine = bulwark.call("GET", "/reviews?claimed=mine", user="Reviewer")
    assert {one["review_id"] for one in mine["reviews"]} & expected


def test_a_claim_whose_answer_was_lost_is_found_again(bulwark):
    expected = {open_for(bulwark, "blind")[1] for _ in range(2)}
    body = {"use_case": "blind", "attempt": "lost-1"}

    first, again = (bulwark.call("POST", "/reviews/claim", body, user="SecondLead")[1]["review"] for _ in range(2))
    _, other = bulwark.call("POST", "/reviews/claim", body | {"attempt": "lost-2"}, user="SecondLead")

    assert first["review_id"] == again["review_id"]
    assert {first["review_id"], other["review"]["review_id"]} == expected


# --- Tiers ------------------------------------------------------------------------------------


def test_two_reviewers_of_one_mind_decide_apart(bulwark):
    request_id, review_id = open_for(bulwark, "two_eyes_more")
    _, first = bulwark.decide(review_id, "APPROVE")
    assert first["next"] == "second"
    at_tier(bulwark, review_id, "second")

    assert claim(bulwark, review_id)[0] == 409, "nobody gets an item twice"
    claim(bulwark, review_id, "SecondReviewer")
    _, shown = bulwark.call("GET", f"/reviews/{review_id}", user="SecondReviewer")
    assert shown["opinions"] == [] and "decision" not in shown
    _, second = bulwark.decide(review_id, "APPROVE", "SecondReviewer")

    assert second["next"] == "done"
    assert bulwark.outcome(request_id, "COMPLETED")["decided_by"] == "second"
    assert bulwark.record(request_id)["status"] == "COMPLETED"
    quality = month(bulwark, "two_eyes_more")
    assert quality["agreement"]["pairs"] == quality["agreement"]["agreed"] == 1


def test_where_two_differ_a_lead_sees_both_and_decides(bulwark):
    request_id, review_id = open_for(bulwark, "two_eyes_more")
    bulwark.decide(review_id, "EDIT", answer="A ledger is a book of accounts.")
    at_tier(bulwark, review_id, "second")
    bulwark.decide(review_id, "REJECT", "SecondReviewer", reason_code="WRONG")
    at_tier(bulwark, review_id, "lead")

    assert bulwark.call("GET", f"/reviews/{review_id}", user="Reviewer")[0] == 403
    claim(bulwark, review_id, "Lead")
    _, shown = bulwark.call("GET", f"/reviews/{review_id}", user="Lead")
    assert [one["decision"] for one in shown["opinions"]] == ["EDIT", "REJECT"]
    assert shown["opinions"][0]["edited"] == "A ledger is a book of accounts."
    bulwark.decide(review_id, "EDIT", "Lead", answer="A ledger is a book.")

    record = bulwark.outcome(request_id, "COMPLETED")
    answer = bulwark.text_of(record, "answer")
    assert (answer, record["decided_by"]) == ("A ledger is a book.", "lead")
    draft = bulwark.text_of(bulwark.review(review_id), "draft")
    _, after = bulwark.call("GET", f"/reviews/{review_id}", user="Lead")
    assert after["draft"] == draft != answer
    assert after["edited"] == answer


def test_whoever_escalates_hands_it_to_a_lead_at_once(bulwark):
    request_id, review_id = open_for(bulwark)

    assert bulwark.decide(review_id, "ESCALATE", comment="beyond me")[1]["next"] == "lead"
    at_tier(bulwark, review_id, "lead")
    status, refused = bulwark.decide(review_id, "ESCALATE", "Lead")
    assert (status, refused["error"]["code"]) == (409, "NO_HIGHER_TIER")
    bulwark.decide(review_id, "REJECT", "Lead", reason_code="OTHER")

    assert bulwark.outcome(request_id, "REFUSED")["decided_by"] == "lead"
    assert "RouteBySilence" not in bulwark.review_states(review_id)


def test_who_cannot_judge_passes_it_on_and_the_second_one_to_a_lead(bulwark):
    _, review_id = open_for(bulwark)

    assert bulwark.decide(review_id, "CANNOT_JUDGE")[1]["next"] == "reviewer"
    assert bulwark.review(review_id)["status"] == "OPEN"
    assert claim(bulwark, review_id)[0] == 409
    assert bulwark.decide(review_id, "CANNOT_JUDGE", "SecondReviewer")[1]["next"] == "lead"

    at_tier(bulwark, review_id, "lead")


def test_a_first_verdict_whose_token_was_not_sent_is_carried_on_by_the_sweeper(bulwark):
    request_id, review_id = open_for(bulwark, "two_eyes_more")
    faults = [{"service": "states", "operation": "SendTaskSuccess", "error": "AccessDeniedException", "count": 1}]
    bulwark.cloud.load_faults({"services": faults})
    assert bulwark.decide(review_id, "APPROVE")[0] == 200
    assert bulwark.review(review_id)["status"] == "ANSWERED"
    bulwark.cloud.clear_faults()

    bulwark.invoke("SweepRequestsFunction", {"now": int(bulwark.record(request_id)["sweep_at"]) + 1})

    at_tier(bulwark, review_id, "second")


def test_a_verdict_on_what_has_changed_meanwhile_is_refused(bulwark):
    request_id, review_id = open_for(bulwark)
    claim(bulwark, review_id)
    _, shown = bulwark.call("GET", f"/reviews/{review_id}", user="Reviewer")
    record = bulwark.record(request_id)
    other = bulwark.key_of(record).seal("Another draft.", f"{record['request_key']}/answer")
    bulwark.cloud.client("dynamodb").update_item(
        TableName=bulwark.outputs["RequestsTable"],
        Key={"request_key": {"S": record["request_key"]}},
        UpdateExpression="SET answer = :other",
        ExpressionAttributeValues={":other": {"S": other}},
    )

    body = {"decision": "APPROVE", "shown_digest": shown["shown_digest"]}
    status, refused = bulwark.call("POST", f"/reviews/{review_id}/decision", body, user="Reviewer")

    assert (status, refused["error"]["code"]) == (409, "DRAFT_CHANGED")
    assert bulwark.decide(review_id, "APPROVE")[0] == 200, "read again, it may be decided"


def test_silence_never_lets_out_what_the_one_who_looked_rejected(bulwark):
    request_id, review_id = open_for(bulwark, "silence_after_a_verdict")
    bulwark.decide(review_id, "REJECT", reason_code="UNSAFE")

    record = bulwark.outcome(request_id, "REFUSED", "COMPLETED")

    assert (record["status"], record["reason"]) == ("REFUSED", "REVIEW_LAPSED")


def test_a_verdict_as_the_time_runs_out_is_for_the_next_tier_and_not_for_silence(bulwark):
    """The process that took it died before it resumed the review, and the token timed out."""
    request_id, review_id = open_for(bulwark, "silence_after_a_verdict")
    faults = [{"service": "states", "operation": "SendTaskSuccess", "error": "AccessDeniedException", "count": 1}]
    bulwark.cloud.load_faults({"services": faults})
    bulwark.decide(review_id, "APPROVE")

    at_tier(bulwark, review_id, "second")
    bulwark.decide(review_id, "APPROVE", "SecondReviewer")

    assert bulwark.outcome(request_id, "COMPLETED")["decided_by"] == "second"
    assert "RouteByRecord" in bulwark.review_states(review_id)


# --- Audits and planted answers ------------------------------------------------------------------


def month(bulwark: Bulwark, use_case: str, user: str = "Lead") -> dict:
    def counted() -> dict | None:
        _, report = bulwark.call("GET", "/quality", user=user)
        return next((one for one in report["use_cases"] if one["use_case"] == use_case), None)

    return wait_for(counted, f"{use_case} to be counted")


def test_an_audit_judges_a_released_answer_and_changes_nothing_of_it(bulwark):
    request_id = bulwark.send("audited")
    record = bulwark.outcome(request_id, "COMPLETED")
    review_id = record["review"]["review_id"]
    wait_for(lambda: (bulwark.review(review_id) or {}).get("status") == "OPEN", "the audit to open")

    claim(bulwark, review_id)
    _, shown = bulwark.call("GET", f"/reviews/{review_id}", user="Reviewer")
    assert shown["blind"] is True
    assert not {"reason", "confidence", "signals", "findings", "model", "kind"} & shown.keys()
    bulwark.decide(review_id, "REJECT", reason_code="WRONG")

    [told] = bulwark.announced(request_id, "AuditDecided")
    assert told["detail"]["decision"] == "REJECT"
    bulwark.review_states(review_id)
    after = bulwark.record(request_id)
    assert (after["status"], after["answer"]) == ("COMPLETED", record["answer"])
    assert "sweep" not in after and "task_token" not in bulwark.review(review_id)
    audits = month(bulwark, "audited")["audits"]
    assert (audits["judged"], audits["wrong"]) == (1, 1) and 0 < audits["low"] < audits["high"] == 1
    assert not [event for event in bulwark.announced(request_id) if event["detail-type"] == "InferenceHeld"]


def test_a_held_answer_may_be_blind_too_so_that_blind_does_not_mean_audit(bulwark):
    _, review_id = open_for(bulwark, "blind")

    _, shown = bulwark.call("GET", f"/reviews/{review_id}", user="Reviewer")

    assert shown["blind"] is True and not {"reason", "confidence", "signals"} & shown.keys()


def test_a_planted_answer_tells_who_looks(bulwark):
    body = {"use_case": "sure", "query": "Is 91 prime?", "answer": "Yes, 91 is prime."}
    assert bulwark.call("POST", "/planted-reviews", body, user="Reviewer")[0] == 403
    status, planted = bulwark.call("POST", "/planted-reviews", body, user="Operator")
    assert status == 201
    review_id = planted["review_id"]
    wait_for(lambda: (bulwark.review(review_id) or {}).get("status") == "OPEN", "it to open")

    assert bulwark.call("GET", f"/inferences/{planted['request_id']}", user="Operator")[0] == 404
    bulwark.decide(review_id, "APPROVE")
    bulwark.review_states(review_id)

    planted_count = month(bulwark, "sure")["planted"]
    assert planted_count == {"shown": 1, "missed": 1}
    _, own = bulwark.call("GET", "/quality", user="Reviewer")
    assert [set(row) for row in own["reviewers"]] == [{"reviewer", "decided", "mean_seconds"}]
    assert not any({"planted", "audits"} & report.keys() for report in own["use_cases"])
    _, all_of_them = bulwark.call("GET", "/quality", user="Lead")
    row = next(row for row in all_of_them["reviewers"] if row["reviewer"] == "reviewer")
    assert row["planted_missed"] >= 1


def test_ones_own_verdicts_are_listed_the_latest_first(bulwark):
    reviews = [open_for(bulwark)[1] for _ in range(3)]
    for review_id in reviews:
        bulwark.decide(review_id, "APPROVE", "SecondReviewer")

    seen, query = [], "?limit=2"
    while query:
        _, page = bulwark.call("GET", f"/verdicts{query}", user="SecondReviewer")
        seen += page["verdicts"]
        query = f"?limit=2&next={page['next']}" if "next" in page else ""

    assert [one["review_id"] for one in seen[:3]] == reviews[::-1]
    assert len({one["review_id"] for one in seen}) == len(seen)


# --- Notices, load and modes -----------------------------------------------------------------------


def test_people_hear_of_a_review_with_a_link_and_no_words(bulwark):
    sqs, sns = bulwark.cloud.client("sqs"), bulwark.cloud.client("sns")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=bulwark.outputs["ReviewTopicArn"], Protocol="sqs", Endpoint=arn)
    request_id, review_id = open_for(bulwark, query="Is a canary a ledger?")

    def found() -> list[dict]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        bodies = [json.loads(json.loads(message["Body"])["Message"]) for message in messages]
        return [body for body in bodies if review_id in body["link"]]

    [notice] = wait_for(found, "the notice")

    assert notice["link"] == f"{bulwark.outputs['DeskUrl']}/#/reviews/{review_id}"
    assert (notice["notice"], notice["tenant"], notice["tier"]) == ("ReviewRequested", "acme", "reviewer")
    assert "canary" not in json.dumps(notice)
    [event] = bulwark.announced(request_id, "ReviewRequested")
    schema = json.loads((ROOT / "events/schemas/ReviewRequested.json").read_text())
    Draft202012Validator(schema).validate(event["detail"])


def test_what_nobody_decides_is_said_to_be_overdue(bulwark):
    request_id = bulwark.send("escalating")
    bulwark.open_review(request_id, tier="lead")

    [event] = bulwark.announced(request_id, "ReviewOverdue")

    assert (event["detail"]["tier"], event["detail"]["then"]) == ("reviewer", "lead")
    assert len(bulwark.announced(request_id, "ReviewRequested")) == 2


def test_a_review_that_is_nearly_due_is_said_so_once(bulwark):
    request_id, review_id = open_for(bulwark)
    nearly = time.time() + 14_400 - 1800

    for _ in range(2):
        bulwark.invoke("WatchReviewsFunction", {"now": nearly})

    assert len(bulwark.announced(request_id, "ReviewDue")) == 1
    assert bulwark.review(review_id)["status"] == "OPEN"


@pytest.fixture
def behind(bulwark):
    """Reviewers of a use case are behind: what waits has waited for more than half of its time."""
    opened: list[str] = []

    def run(use_case: str) -> None:
        body = {"use_case": use_case, "query": "Is 91 prime?", "answer": "Yes."}
        _, planted = bulwark.call("POST", "/planted-reviews", body, user="Operator")
        opened.append(planted["review_id"])
        wait_for(lambda: (bulwark.review(planted["review_id"]) or {}).get("status") == "OPEN", "it to open")
        table = bulwark.outputs["ReviewsTable"]
        bulwark.cloud.client("dynamodb").update_item(
            TableName=table,
            Key={"review_id": {"S": planted["review_id"]}},
            UpdateExpression="SET opened_at = :long_ago",
            ExpressionAttributeValues={":long_ago": {"S": "2026-01-01T00:00:00.000Z"}},
        )
        bulwark.invoke("WatchReviewsFunction", {})

    yield run
    for review_id in opened:
        bulwark.decide(review_id, "REJECT", "Lead", reason_code="WRONG")
    bulwark.invoke("WatchReviewsFunction", {})
    time.sleep(5.1)  # as long as a mode may be seen after it was lifted


def load_changes(bulwark: Bulwark, use_case: str) -> list[str]:
    bulwark._drain()
    changes = [event["detail"] for event in bulwark.seen if event["detail-type"] == "ReviewLoadChanged"]
    return [change["state"] for change in changes if change["use_case"] == use_case]


def test_while_reviewers_are_behind_only_what_is_stored_is_answered(bulwark, behind):
    earlier = bulwark.send("storing", query="What is a day book?")
    answer = bulwark.text_of(bulwark.outcome(earlier, "COMPLETED"), "answer")
    behind("storing")
    wait_for(lambda: load_changes(bulwark, "storing") == ["BREACHING"], "the change to be told")
    _, queues = bulwark.call("GET", "/queues", user="Reviewer")
    [told] = [queue for queue in queues["queues"] if queue["use_case"] == "storing"]
    assert (told["state"], told["gives"], told["waiting"]) == ("BREACHING", "cache_only", 1)

    time.sleep(5.1)
    same, other = bulwark.send("storing", query="What is a day book?"), bulwark.send("storing", query="A new one?")

    again = bulwark.outcome(same, "COMPLETED")
    told = bulwark.text_of(again, "answer")
    assert (told, again["decided_by"], again["mode"]) == (answer, "store", "cache_only")
    refused = bulwark.outcome(other, "REFUSED")
    assert (refused["reason"], refused["retry_after_seconds"] > 0) == ("CACHE_ONLY", True)
    assert bulwark.announced(same, "InferenceCompleted") and bulwark.announced(other, "InferenceRefused")


def test_while_reviewers_are_behind_a_use_case_may_refuse_and_comes_back_by_itself(bulwark, behind):
    behind("refusing")
    time.sleep(5.1)

    refused = bulwark.outcome(bulwark.send("refusing"), "REFUSED")

    assert refused["reason"] == "REVIEWERS_BEHIND" and "new request_id in" in refused["message"]


# --- Who may do what -----------------------------------------------------------------------------


def raw_call(bulwark: Bulwark, token: str | None, method: str = "GET", path: str = "/reviews") -> int:
    request = urllib.request.Request(bulwark.cloud.api_url + path, method=method)
    if token is not None:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def forged(token: str, **changes) -> str:
    """The same token, changed and signed with a key of one's own under the same name."""
    header, payload, _ = token.split(".")
    known = json.loads(base64.urlsafe_b64decode(header + "=="))
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    key = RSAKey.generate_key(2048, {"kid": known["kid"]})
    return jwt.encode({"alg": "RS256", "kid": known["kid"]}, claims | changes, key)


def unsigned(token: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def test_a_token_that_is_forged_spoilt_or_missing_is_unauthorised(bulwark):
    good = bulwark.token("Reviewer")
    assert raw_call(bulwark, good) == 200

    for bad in (None, "", "x", good[:-4] + "AAAA", unsigned(good), forged(good), forged(good, exp=1)):
        assert raw_call(bulwark, bad) == 401, bad


def test_an_expired_token_is_unauthorised(bulwark):
    """Signed by the pool's own key, and good in all but its time."""
    from moto.cognitoidp.models import cognitoidp_backends

    from bulwark.local.clients import ACCOUNT, REGION

    pool = cognitoidp_backends[ACCOUNT][REGION].user_pools[bulwark.outputs["UserPoolId"]]
    claims = json.loads(base64.urlsafe_b64decode(bulwark.token("Reviewer").split(".")[1] + "=="))

    def signed(**changes) -> str:
        return pool.json_web_key and jwt.encode({"alg": "RS256"}, claims | changes, pool.json_web_key)

    assert raw_call(bulwark, signed()) == 200
    assert raw_call(bulwark, signed(exp=int(time.time()) - 1)) == 401
    assert raw_call(bulwark, signed(client_id="another")) == 401
    assert raw_call(bulwark, signed(iss="https://elsewhere.example")) == 401


ROUTES = [
    ("GET", "/reviews"),
    ("GET", "/reviews/{id}"),
    ("POST", "/reviews/claim"),
    ("POST", "/reviews/{id}/claim"),
    ("DELETE", "/reviews/{id}/claim"),
    ("POST", "/reviews/{id}/hand-over"),
    ("POST", "/reviews/{id}/decision"),
    ("GET", "/verdicts"),
    ("GET", "/queues"),
    ("GET", "/quality"),
    ("GET", "/inferences"),
    ("POST", "/planted-reviews"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_without_a_token_or_to_the_wrong_group(bulwark, method, path):
    path = path.replace("{id}", "r-0")
    body = {} if method == "POST" else None

    assert raw_call(bulwark, None, method, path) == 401
    assert bulwark.call(method, path, body, user="Caller")[0] == 403


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if "{id}" in route[1]])
@pytest.mark.parametrize("user", ["GlobexReviewer", "NarrowReviewer"])
def test_what_is_not_ones_own_to_review_looks_like_what_does_not_exist(bulwark, one_open, method, path, user):
    body = {"to": "lead"} if "hand" in path else {} if method == "POST" else None

    there = bulwark.call(method, path.replace("{id}", one_open), body, user=user)
    nowhere = bulwark.call(method, path.replace("{id}", "r-0"), body, user=user)

    assert there == nowhere and there[0] == 404


@pytest.fixture(scope="module")
def one_open(stack):
    return open_for(stack)[1]


def test_a_request_of_ones_own_is_nobodys_to_review(bulwark):
    _, review_id = open_for(bulwark, user_id=bulwark.outputs["ReviewerUserId"])

    assert bulwark.call("GET", f"/reviews/{review_id}", user="Reviewer")[0] == 403
    assert claim(bulwark, review_id)[0] == 403
    _, listed = bulwark.call("GET", "/reviews?limit=100", user="Reviewer")
    assert review_id not in {one["review_id"] for one in listed["reviews"]}
    assert bulwark.decide(review_id, "APPROVE", "SecondReviewer")[0] == 200


def test_news_costs_nothing_while_there_is_none(bulwark, one_open):
    def get(etag: str | None) -> tuple[int, str, bytes]:
        request = urllib.request.Request(f"{bulwark.cloud.api_url}/reviews/{one_open}")
        request.add_header("authorization", f"Bearer {bulwark.token('SecondReviewer')}")
        if etag:
            request.add_header("if-none-match", etag)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.headers["etag"], response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["etag"], error.read()

    status, etag, body = get(None)
    assert status == 200 and body
    assert get(etag) == (304, etag, b"")
    claim(bulwark, one_open, "Lead")

    assert get(etag)[0] == 200


def test_operators_see_what_became_of_requests_and_no_answer(bulwark):
    done, held = bulwark.send("sure"), bulwark.send("unsure")
    bulwark.outcome(done), bulwark.outcome(held)

    _, page = bulwark.call("GET", "/inferences?limit=100", user="Operator")
    _, only = bulwark.call("GET", "/inferences?limit=100&status=HELD&use_case=unsure", user="Operator")

    listed = [one["request_id"] for one in page["inferences"]]
    assert {done, held} <= set(listed)
    times = [one["outcome_at"] for one in page["inferences"]]
    assert times == sorted(times, reverse=True)
    assert held in {one["request_id"] for one in only["inferences"]}
    assert {one["status"] for one in only["inferences"]} == {"HELD"}
    assert not any("answer" in one for one in page["inferences"])


def test_an_audit_that_could_not_begin_is_begun_by_the_sweeper(bulwark):
    machine = bulwark.outputs["HumanReviewStateMachineArn"].rpartition(":")[2]
    fault = {"service": "states", "operation": "StartExecution", "error": "AccessDeniedException", "contains": machine}
    bulwark.cloud.load_faults({"services": [fault]})
    request_id = bulwark.send("audited")
    record = bulwark.outcome(request_id, "COMPLETED")
    bulwark.states(request_id)
    assert bulwark.review(record["review"]["review_id"]) is None
    bulwark.cloud.clear_faults()

    bulwark.invoke("SweepRequestsFunction", {"now": int(bulwark.record(request_id)["sweep_at"]) + 1})

    wait_for(lambda: bulwark.review(record["review"]["review_id"]), "the audit to open")


def test_an_audit_nobody_judges_lapses_in_silence(bulwark):
    fail_function(bulwark, "AwaitReviewerFunction", "ResourceNotFoundException")

    record = bulwark.outcome(bulwark.send("audited"), "COMPLETED")
    bulwark.states(record["request_id"])

    assert bulwark.review_states(record["review"]["review_id"])[-2:] == ["RouteByRecord", "ReturnDecision"]
    after = bulwark.record(record["request_id"])
    assert after["status"] == "COMPLETED" and "sweep" not in after
