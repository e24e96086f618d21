"""Walks every state and every Catch of human_review; a person decides through the HTTP API."""

import json
import threading

from workflows.conftest import Bulwark, wait_for


def test_an_approved_answer_is_released_to_its_owner(bulwark):
    request_id = bulwark.send("unsure", user_id=bulwark.outputs["CallerUserId"])
    review = bulwark.open_review(request_id)

    status, decided = bulwark.decide(review["review_id"], "APPROVE")

    assert (status, decided["status"]) == (200, "DECIDED")
    record = bulwark.outcome(request_id, "COMPLETED")
    assert record["decided_by"] == "reviewer" and "reason" not in record
    assert bulwark.review_states(review["review_id"]) == [
        "ReceiveReview",
        "AwaitReviewer",
        "RouteByVerdict",
        "RecordDecision",
        "RouteByRecord",
        "ReturnDecision",
    ]
    types = [event["detail-type"] for event in bulwark.announced(request_id, "InferenceCompleted")]
    assert types == ["InferenceCompleted"] and bulwark.announced(request_id, "InferenceHeld")
    _, view = bulwark.call("GET", f"/inferences/{request_id}")
    assert view["answer"] == bulwark.text_of(record, "answer")


def test_an_edited_answer_replaces_the_draft(bulwark):
    request_id = bulwark.send("unsure")
    review = bulwark.open_review(request_id)

    bulwark.decide(review["review_id"], "EDIT", answer="A ledger is a book of accounts.")

    record = bulwark.outcome(request_id, "COMPLETED")
    assert bulwark.text_of(record, "answer") == "A ledger is a book of accounts."


def test_a_rejected_answer_is_refused(bulwark):
    request_id = bulwark.send("unsure", user_id=bulwark.outputs["CallerUserId"])
    review = bulwark.open_review(request_id)

    bulwark.decide(review["review_id"], "REJECT", reason_code="WRONG")

    record = bulwark.outcome(request_id, "REFUSED")
    assert (record["reason"], record["decided_by"]) == ("REJECTED", "reviewer")
    _, view = bulwark.call("GET", f"/inferences/{request_id}")
    assert "answer" not in view


def test_of_two_reviewers_one_wins_and_the_other_is_told(bulwark):
    review_id = bulwark.open_review(bulwark.send("unsure"))["review_id"]
    answers = []
    reviewers = [
        threading.Thread(target=lambda u=user, d=decision, m=more: answers.append(bulwark.decide(review_id, d, u, **m)))
        for user, decision, more in [
            ("Reviewer", "APPROVE", {}),
            ("Lead", "REJECT", {"reason_code": "WRONG"}),
        ]
    ]
    for user in ("Reviewer", "Lead"):
        bulwark.token(user)
    for reviewer in reviewers:
        reviewer.start()
    for reviewer in reviewers:
        reviewer.join()

    assert sorted(status for status, _ in answers) == [200, 409]
    [lost] = [body for status, body in answers if status == 409]
    assert lost["error"]["code"] in ("CLAIMED", "ALREADY_DECIDED")


def test_the_same_decision_sent_twice_is_taken_once(bulwark):
    review_id = bulwark.open_review(bulwark.send("unsure"))["review_id"]

    answers = [bulwark.decide(review_id, "APPROVE") for _ in range(2)]

    assert [status for status, _ in answers] == [200, 200]


def test_silence_of_the_reviewers_asks_a_lead_once(bulwark):
    request_id = bulwark.send("escalating")
    review = bulwark.open_review(request_id, tier="lead")

    assert bulwark.call("GET", f"/reviews/{review['review_id']}", user="Reviewer")[0] == 403
    assert bulwark.decide(review["review_id"], "APPROVE", user="Lead")[0] == 200

    assert bulwark.outcome(request_id, "COMPLETED")["decided_by"] == "lead"
    states = bulwark.review_states(review["review_id"])
    assert states == [
        "ReceiveReview",
        "AwaitReviewer",
        "RouteBySilence",
        "AwaitReviewer",
        "RouteByVerdict",
        "RecordDecision",
        "RouteByRecord",
        "ReturnDecision",
    ]


def test_silence_ends_as_the_policy_says(bulwark):
    rejected, approved = bulwark.send("silence_rejects"), bulwark.send("silence_approves")

    refused = bulwark.outcome(rejected, "REFUSED")
    released = bulwark.outcome(approved, "COMPLETED")

    assert (refused["reason"], refused["decided_by"]) == ("REVIEW_LAPSED", "silence")
    assert released["decided_by"] == "silence"
    assert bulwark.review_states(refused["review_id"])[-4:] == [
        "RouteBySilence",
        "RecordDecision",
        "RouteByRecord",
        "ReturnDecision",
    ]


def test_a_decision_after_the_deadline_is_told_so_and_recorded(bulwark):
    record = bulwark.outcome(bulwark.send("silence_rejects"), "REFUSED")
    review_id = record["review_id"]

    body = {"decision": "APPROVE", "shown_digest": "of what was shown"}
    status, answer = bulwark.call("POST", f"/reviews/{review_id}/decision", body, user="Reviewer")

    assert (status, answer["error"]["code"]) == (409, "DEADLINE_PASSED")
    assert bulwark.review(review_id)["late_decisions"][0]["decision"] == "APPROVE"
    assert bulwark.record(record["request_id"])["status"] == "REFUSED"


def fail_function(bulwark: Bulwark, function: str, error: str, **more) -> None:
    contains = bulwark.cloud.stack.physical_id(function)
    bulwark.cloud.load_faults({"services": [{"service": "lambda", "error": error, "contains": contains, **more}]})


def test_a_review_nobody_could_see_is_not_let_out_even_where_silence_approves(bulwark):
    fail_function(bulwark, "AwaitReviewerFunction", "ResourceNotFoundException")

    record = bulwark.outcome(bulwark.send("silence_approves"), "REFUSED", "COMPLETED")

    assert (record["status"], record["reason"]) == ("REFUSED", "REVIEW_LAPSED")
    assert bulwark.review_states(record["review_id"]) == [
        "ReceiveReview",
        "AwaitReviewer",
        "RecordDecision",
        "RouteByRecord",
        "ReturnDecision",
    ]


def test_opening_and_recording_are_tried_again(bulwark):
    fail_function(bulwark, "AwaitReviewerFunction", "ServiceException", count=1)
    request_id = bulwark.send("unsure")
    review = bulwark.open_review(request_id)
    fail_function(bulwark, "RecordDecisionFunction", "ServiceException", count=1)

    bulwark.decide(review["review_id"], "APPROVE")

    assert bulwark.outcome(request_id, "COMPLETED")


def test_a_decision_that_could_not_be_recorded_is_finished_by_the_sweeper(bulwark):
    request_id = bulwark.send("unsure")
    review = bulwark.open_review(request_id)
    fail_function(bulwark, "RecordDecisionFunction", "ResourceNotFoundException")
    bulwark.decide(review["review_id"], "APPROVE")
    assert bulwark.review_states(review["review_id"])[-2:] == ["RecordDecision", "FailUnrecorded"]

    bulwark.invoke("SweepRequestsFunction", {"now": int(bulwark.record(request_id)["sweep_at"]) + 1})

    assert bulwark.outcome(request_id, "COMPLETED")["decided_by"] == "reviewer"


def test_a_decision_whose_token_was_not_sent_is_carried_on_by_the_sweeper(bulwark):
    """The process dies between the store and SendTaskSuccess."""
    request_id = bulwark.send("unsure")
    review = bulwark.open_review(request_id)
    faults = [{"service": "states", "operation": "SendTaskSuccess", "error": "AccessDeniedException", "count": 1}]
    bulwark.cloud.load_faults({"services": faults})
    assert bulwark.decide(review["review_id"], "APPROVE")[0] == 200, "it is stored, and will be carried on"
    assert bulwark.record(request_id)["status"] == "HELD"
    bulwark.cloud.clear_faults()

    bulwark.invoke("SweepRequestsFunction", {"now": int(bulwark.record(request_id)["sweep_at"]) + 1})

    assert bulwark.outcome(request_id, "COMPLETED")["decided_by"] == "reviewer"


def test_a_review_whose_execution_vanished_is_ended_by_the_sweeper(bulwark):
    request_id = bulwark.send("unsure")
    review = bulwark.open_review(request_id)
    machine = bulwark.outputs["HumanReviewStateMachineArn"].replace(":stateMachine:", ":execution:")
    bulwark.cloud.client("stepfunctions").stop_execution(executionArn=f"{machine}:{review['review_id']}")

    bulwark.invoke("SweepRequestsFunction", {"now": int(bulwark.record(request_id)["sweep_at"]) + 1})

    record = bulwark.outcome(request_id, "REFUSED")
    assert (record["reason"], record["decided_by"]) == ("REVIEW_LAPSED", "silence")


def test_a_review_held_across_a_deployment_finishes_by_its_old_definition(bulwark):
    request_id = bulwark.send("unsure")
    review = bulwark.open_review(request_id)
    states = bulwark.cloud.client("stepfunctions")
    arn = bulwark.outputs["HumanReviewStateMachineArn"]
    old = states.describe_state_machine(stateMachineArn=arn)["definition"]
    new = json.loads(old)
    new["States"]["ReturnDecision"] = {"Type": "Fail", "Error": "NewDefinition"}
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps(new))
    try:
        bulwark.decide(review["review_id"], "APPROVE")
        assert bulwark.outcome(request_id, "COMPLETED")
        assert bulwark.review_states(review["review_id"])[-1] == "ReturnDecision"
        execution = f"{arn.replace(':stateMachine:', ':execution:')}:{review['review_id']}"
        assert states.describe_execution(executionArn=execution)["status"] == "SUCCEEDED"
    finally:
        states.update_state_machine(stateMachineArn=arn, definition=old)


def test_the_token_stands_where_it_must_and_nowhere_else(bulwark):
    request_id = bulwark.send("unsure")
    review = bulwark.open_review(request_id)
    token = review["task_token"]

    _, listed = bulwark.call("GET", "/reviews", user="Reviewer")
    _, shown = bulwark.call("GET", f"/reviews/{review['review_id']}", user="Reviewer")
    _, decided = bulwark.decide(review["review_id"], "APPROVE")
    bulwark.outcome(request_id, "COMPLETED")
    seen = json.dumps([listed, shown, decided, bulwark.announced(request_id), bulwark.log()])

    assert token not in seen
    machine = bulwark.outputs["HumanReviewStateMachineArn"].replace(":stateMachine:", ":execution:")
    execution = f"{machine}:{review['review_id']}"
    wait_for(lambda: bulwark.review_states(review["review_id"]), "the review to end")
    history = bulwark.cloud.client("stepfunctions").get_execution_history(executionArn=execution, maxResults=1000)
    holding = [event["type"] for event in history["events"] if token in json.dumps(event, default=str)]
    assert holding == ["TaskScheduled"]
