"""The reviewer's desk in a real browser: work, races, hostile text, and people who see or point differently."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from workflows.conftest import wait_for

from browser.conftest import NARROW, WIDE, keep_picture

HOSTILE = (
    "<script>document.body.dataset.owned='1'</script>"
    "<img src=x onerror=\"document.body.dataset.owned='1'\">"
    '<a href="javascript:document.body.dataset.owned=1">javascript:alert(1)</a> \u202eesrever\u202c <b>bold</b>'
)
PASSAGES = [{"id": "p-1", "text": "A ledger is a book of accounts. It was first kept in Venice in 1494."}]


def hold(bulwark, use_case: str = "unsure", draft: str | None = None, **detail) -> tuple[str, str]:
    """Have a request held, with a draft of one's own where one is given; gives its id and its review's."""
    request_id = bulwark.send(use_case, **detail)
    review_id = bulwark.open_review(request_id)["review_id"]
    if draft is not None:
        put_draft(bulwark, request_id, draft)
    return request_id, review_id


def put_draft(bulwark, request_id: str, draft: str) -> None:
    record = bulwark.record(request_id)
    sealed = bulwark.key_of(record).seal(draft, f"{record['request_key']}/answer")
    bulwark.cloud.client("dynamodb").update_item(
        TableName=bulwark.outputs["RequestsTable"],
        Key={"request_key": {"S": record["request_key"]}},
        UpdateExpression="SET answer = :draft",
        ExpressionAttributeValues={":draft": {"S": sealed}},
    )


def open_review(tab, review_id: str) -> Page:
    page = tab.sign_in(f"#/reviews/{review_id}")
    page.get_by_role("heading", name="Question").wait_for()
    return page


def test_a_reviewer_signs_in_claims_edits_and_the_workflow_resumes(bulwark, open_tab):
    request_id, review_id = hold(bulwark, passages=PASSAGES)
    tab = open_tab()
    page = tab.sign_in()
    page.locator(f'a[data-review="{review_id}"]').click()
    page.get_by_role("button", name="Claim this review").click()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Your answer").fill("A ledger is a book of accounts.")
    expect(page.locator("#diff")).to_contain_text("book of accounts")
    page.get_by_role("button", name="Send edit").click()
    page.get_by_role("dialog").get_by_role("button", name="Send edit").click()
    expect(page.locator("#toasts")).to_contain_text(re.compile("edit", re.IGNORECASE))

    record = bulwark.outcome(request_id, "COMPLETED")

    assert (bulwark.text_of(record, "answer"), record["decided_by"]) == ("A ledger is a book of accounts.", "reviewer")
    assert bulwark.review_states(review_id)[-1] == "ReturnDecision"
    assert tab.complaints == []


def test_a_review_is_approved_by_keys_alone(bulwark, open_tab):
    request_id, review_id = hold(bulwark)
    tab = open_tab("SecondReviewer")
    page = open_review(tab, review_id)
    page.keyboard.press("c")
    expect(page.get_by_role("button", name="Approve")).to_be_enabled()
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert bulwark.record(request_id)["status"] == "HELD", "one key decides nothing"
    page.keyboard.press("Enter")

    assert bulwark.outcome(request_id, "COMPLETED")["decided_by"] == "reviewer"
    assert tab.complaints == []


def test_rejecting_asks_for_a_reason_and_escalating_goes_to_a_lead(bulwark, open_tab):
    rejected, first = hold(bulwark)
    escalated, second = hold(bulwark)
    page = open_review(open_tab(), first)
    page.get_by_role("button", name="Claim this review").click()
    page.get_by_role("button", name="Reject").click()
    page.get_by_role("dialog").get_by_label("Wrong").check()
    page.get_by_role("dialog").get_by_role("button", name="Reject").click()
    assert bulwark.outcome(rejected, "REFUSED")["reason"] == "REJECTED"

    page = open_review(open_tab(), second)
    page.get_by_role("button", name="Claim this review").click()
    page.get_by_role("button", name="Escalate").click()
    page.get_by_role("dialog").get_by_role("button", name="Escalate").click()
    bulwark.open_review(escalated, tier="lead")

    page = open_review(open_tab("Lead"), second)
    expect(page.get_by_role("heading", name=re.compile("opinion|verdict|earlier", re.IGNORECASE)).first).to_be_visible()


def test_of_two_browsers_one_gets_the_review_and_the_other_is_told(bulwark, open_tab):
    request_id, review_id = hold(bulwark)
    pages = [open_review(open_tab(user), review_id) for user in ("Reviewer", "SecondReviewer")]
    for page in pages:
        page.get_by_role("button", name="Claim this review").wait_for()

    for page in pages:
        page.get_by_role("button", name="Claim this review").click(no_wait_after=True)
    winners = []
    for page in pages:
        expect(page.get_by_role("button", name="Approve").or_(page.locator("#notice .banner")).first).to_be_visible()
        winners.append(page.get_by_role("button", name="Approve").count())

    assert sorted(winners) == [0, 1]
    loser = pages[winners.index(0)]
    expect(loser.locator("#notice")).to_contain_text("Somebody else has claimed")
    winner = pages[winners.index(1)]
    winner.get_by_role("button", name="Approve").click()
    winner.get_by_role("dialog").get_by_role("button", name="Approve").click()
    assert bulwark.outcome(request_id, "COMPLETED")


def test_hostile_text_is_shown_and_does_nothing(bulwark, open_tab):
    passages = [{"id": "<b>p</b>", "text": HOSTILE}]
    history = [{"role": "user", "text": HOSTILE}, {"role": "assistant", "text": HOSTILE}]
    _, review_id = hold(bulwark, draft=HOSTILE, query=HOSTILE, passages=passages, history=history)
    tab = open_tab()
    page = open_review(tab, review_id)
    page.get_by_role("button", name="Claim this review").click()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Your answer").fill(HOSTILE + " and more")
    page.get_by_role("region", name="What changes").wait_for()

    assert page.evaluate("document.body.dataset.owned") is None
    assert page.locator("main script, main img, main b:has-text('bold')").count() == 0
    assert page.locator('[href^="javascript"], [onerror], [style]').count() == 0
    assert page.get_by_text("<script>document.body.dataset.owned='1'</script>").count() >= 2, "it is shown as it is"
    assert page.locator(".unprintable").count() >= 2, "a character that turns a line around is spelled out"
    hosts = {re.match(r"https?://[^/]+", url)[0] for url in tab.asked if url.startswith("http")}
    outputs = bulwark.outputs
    assert hosts <= {outputs["DeskUrl"], outputs["ApiUrl"], outputs["SignInUrl"]}
    assert tab.complaints == []


def test_the_policy_of_the_pages_stops_what_would_get_into_them(bulwark, open_tab):
    """As if an escape had been forgotten: even then nothing runs and nothing is sent."""
    tab = open_tab()
    page = tab.sign_in()

    with pytest.raises(Exception, match="TrustedHTML|TrustedScript|assignment"):
        page.evaluate("document.body.innerHTML = '<img src=x>'")
    page.evaluate(
        """() => { const s = document.createElement('img'); s.src = 'https://elsewhere.example/x.png';
                   document.body.append(s); }"""
    )
    page.wait_for_timeout(300)

    assert any("Content Security Policy" in complaint or "img-src" in complaint for complaint in tab.complaints)


def test_no_token_is_in_a_page_an_address_or_lasting_storage(bulwark, open_tab):
    _, review_id = hold(bulwark)
    tab = open_tab()
    page = open_review(tab, review_id)
    session = page.evaluate("JSON.parse(sessionStorage.getItem('bulwark.session'))")
    token = bulwark.review(review_id)["task_token"]

    assert session["access_token"] and session["refresh_token"]
    for secret in (session["access_token"], session["refresh_token"], token):
        assert secret not in page.content()
        assert not [url for url in tab.asked if secret in url]
    assert "code=" not in page.url and "state=" not in page.url
    assert page.evaluate("Object.keys(localStorage).length") == 0
    assert page.context.cookies(bulwark.outputs["DeskUrl"]) == [] or not any(
        session["access_token"] in cookie["value"] for cookie in page.context.cookies()
    )
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.evaluate("sessionStorage.getItem('bulwark.session')") is None


def test_a_draft_that_changed_is_shown_again_and_nothing_typed_is_lost(bulwark, open_tab):
    request_id, review_id = hold(bulwark, draft="A ledger is a boat.")
    page = open_review(open_tab(), review_id)
    page.get_by_role("button", name="Claim this review").click()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Your answer").fill("A ledger is a book.")
    put_draft(bulwark, request_id, "A ledger is a plank.")
    page.get_by_role("button", name="Send edit").click()
    page.get_by_role("dialog").get_by_role("button", name="Send edit").click()

    expect(page.locator("#notice")).to_contain_text("draft")
    expect(page.get_by_label("Your answer")).to_have_value("A ledger is a book.")
    assert bulwark.record(request_id)["status"] == "HELD"


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_serious_stands_in_anybodys_way(bulwark, open_tab, at_work, size, colours):
    """axe finds no serious violation in any view; each is looked at, and kept as a picture where one is wanted."""
    kind = f"{colours}-{'wide' if size is WIDE else 'narrow'}"
    lead, operator = open_tab("Lead", size, colours), open_tab("Operator", size, colours)
    page = lead.sign_in("#/queue")
    page.locator("a[data-review]").first.wait_for()
    check(page, f"queue-{kind}")
    page.goto(f"{bulwark.outputs['DeskUrl']}/#/reviews/{at_work}")
    page.get_by_role("heading", name="Question").wait_for()
    if page.get_by_role("button", name="Claim this review").count():
        page.get_by_role("button", name="Claim this review").click()
    page.get_by_role("button", name="Approve").wait_for()
    check(page, f"item-{kind}")
    page.keyboard.press("r")
    page.get_by_role("dialog").wait_for()
    check(page, f"reject-{kind}", keep=False)
    page.keyboard.press("Escape")
    for view in ("history", "quality"):
        page.goto(f"{bulwark.outputs['DeskUrl']}/#/{view}")
        page.locator(f"#{view} h2, #{view} table").first.wait_for()
        check(page, f"{view}-{kind}", keep=view == "quality")
    page = operator.sign_in("#/requests")
    page.get_by_role("table").wait_for()
    check(page, f"requests-{kind}")
    page.goto(f"{bulwark.outputs['DeskUrl']}/#/incidents")
    page.get_by_role("link", name="Reported").click()
    page.get_by_role("heading", name="Timeline").wait_for()
    check(page, f"incident-{kind}")

    assert lead.complaints == operator.complaints == []


@pytest.fixture(scope="module")
def at_work(stack) -> str:
    """A desk as a lead finds it: reviews of several kinds, and some that have ended; gives the one to look at."""
    for decision, more in (("APPROVE", {}), ("REJECT", {"reason_code": "UNGROUNDED"}), ("APPROVE", {})):
        _, review_id = hold(stack, "product_support")
        stack.decide(review_id, decision, "Lead", **more)
        stack.review_states(review_id)
    for verdict in ("APPROVE", "APPROVE", "REJECT"):
        reason = {"reason_code": "WRONG"} if verdict == "REJECT" else {}
        request_id, review_id = hold(stack, "two_eyes_more")
        stack.decide(review_id, verdict, "Reviewer", **reason)
        stack.open_review(request_id, tier="second")
        stack.decide(review_id, verdict, "SecondReviewer", **reason)
        stack.review_states(review_id)
        audited = stack.outcome(stack.send("audited"), "COMPLETED")["review"]["review_id"]
        wait_for(lambda audited=audited: (stack.review(audited) or {}).get("status") == "OPEN", "the audit to open")
        stack.decide(audited, verdict, "Reviewer", **reason)
        stack.review_states(audited)
    for use_case in ("policy_advice", "general_question", "blind", "general_question"):
        hold(stack, use_case)
    stack.send("sure")
    stack.invoke("WatchReviewsFunction", {})
    reported = {"use_case": "product_support", "words": "answers name a manual that does not exist", "severity": 2}
    stack.invoke("DetectIncidentsFunction", {"execution_name": "reported", "report": reported})
    query = "Where was a ledger first kept, and when?"
    draft = (
        "A ledger is a book of accounts. It was first kept in Venice in 1494.\n\n"
        "Double entry came to Antwerp by 1543, where Jan Ympyn described it for merchants."
    )
    return hold(stack, "product_support", draft=draft, query=query, passages=PASSAGES)[1]


def check(page: Page, name: str, keep: bool = True) -> None:
    if keep:
        keep_picture(page, name)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"
    found = Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    told = [{"rule": each["id"], "nodes": [node["html"][:200] for node in each["nodes"]]} for each in serious]
    assert not told, f"{name}: {json.dumps(told, indent=1)}"


def test_an_operator_ends_an_incident_by_their_word(bulwark, open_tab, at_work):
    tab = open_tab("Operator")
    page = tab.sign_in("#/incidents")
    page.get_by_role("link", name="Reported").click()
    page.get_by_role("button", name="Restore").click()
    page.get_by_label("Reason").fill("It was another system's.")
    page.get_by_role("dialog").get_by_role("button", name="Restore").click()

    expect(page.get_by_role("table")).to_contain_text("Answered")
    assert tab.complaints == []


def test_who_is_nobody_here_is_told_so(bulwark, open_tab):
    page = open_tab("Caller").sign_in()

    expect(page.get_by_role("heading", name="Nothing for you here yet")).to_be_visible()


def test_a_wrong_password_signs_nobody_in(bulwark, open_tab):
    page = open_tab().page
    page.goto(bulwark.outputs["DeskUrl"] + "/")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill(bulwark.outputs["ReviewerUsername"])
    page.get_by_label("Password").fill("not-the-password-1A")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_label("Password")).to_be_visible()
    assert page.url.startswith(bulwark.outputs["SignInUrl"])
