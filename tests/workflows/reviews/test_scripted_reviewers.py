"""The demo's reviewers: what they disagree on has somebody left who may decide it."""

from bulwark.cli.questions import Question
from bulwark.cli.scripted_reviewer import ScriptedReviewers
from bulwark.cli.target import Api

PEOPLE = ("Reviewer", "SecondReviewer", "Lead")


def test_what_two_reviewers_disagree_on_the_lead_ends(bulwark):
    requests = [bulwark.send("two_eyes_more") for _ in range(4)]
    for request_id in requests:
        bulwark.open_review(request_id)
    labels = {one: Question({"request_id": one}, "Wrong.", False, "A book of accounts.") for one in requests}
    first, second, lead = (Api(bulwark.cloud.api_url, bulwark.token(user)) for user in PEOPLE)
    reviewers, ended = ScriptedReviewers([first, second], lead, labels, edits=100), []

    # Two edits are two answers, so that each of these needs a third person.
    reviewers.work_off(requests, 20, ended.append)

    assert ended == ["EDIT"] * 4
    assert reviewers.problems == []
    for request_id in requests:
        assert bulwark.outcome(request_id, "COMPLETED")["decided_by"] == "lead"


def test_what_is_to_be_left_is_left(bulwark):
    requests = [bulwark.send("unsure") for _ in range(6)]
    for request_id in requests:
        bulwark.open_review(request_id)
    labels = {one: Question({"request_id": one}, "Right.", True, None) for one in requests}
    first, second, lead = (Api(bulwark.cloud.api_url, bulwark.token(user)) for user in PEOPLE)
    reviewers, ended = ScriptedReviewers([first, second], lead, labels), []

    reviewers.work_off(requests, 20, ended.append, leave=4)

    assert ended == ["APPROVE"] * 2 and reviewers.problems == []
    decided = [one for one in requests if bulwark.outcome(one, "COMPLETED", "HELD")["status"] == "COMPLETED"]
    assert len(decided) <= 2
    reviewers.work_off([one for one in requests if one not in decided], 5, ended.append)
