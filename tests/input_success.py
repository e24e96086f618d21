"""What it looks like when an input of events/inputs/ ends by its function's success path, on a state of input_stage.py.

A refusal, an answer that there was nothing to do, and a record that was parked since it is bad are no success.
"""

import json
from collections.abc import Callable
from typing import Any

from input_stage import REQUEST_KEY, Stage, input_of

REVIEW_ID = input_of("AwaitReviewerFunction")["review"]["review_id"]
INCIDENT_ID = input_of("StepMitigationFunction")["incident_id"]
ERASURE_ID = input_of("CloseSubjectFunction")["erasure_id"]
FORGOTTEN = input_of("CloseSubjectFunction")["subject_ref"]
# The stream's own number of the change, by which its records' object is named.
CHANGE = input_of("RecordAuditFunction")["Records"][0]["dynamodb"]["SequenceNumber"]


def body(answer: dict, status: int = 200) -> Any:
    """What a route answers, if it answers so; else nothing."""
    return json.loads(answer["body"]) if answer.get("statusCode") == status else {}


def _record(stage: Stage) -> dict:
    return stage.item("RequestsTable", REQUEST_KEY)


def _erasure(stage: Stage) -> dict:
    return stage.item("ControlTable", f"erasure#{ERASURE_ID}")


def _all_taken(answer: dict, stage: Stage) -> bool:
    return answer == {"batchItemFailures": []} and not stage.take_letters()


SUCCESS: dict[str, Callable[[Any, Stage], object]] = {
    "AdmitRequest": lambda answer, _: answer["admission"] == "ADMITTED",
    "AnswerIncident": lambda answer, _: body(answer).get("answer") == "restore",
    "ApplyHolds": lambda answer, stage: answer == {"cursor": ""} and "held_expires_at" in _record(stage),
    "AssessAnswer": lambda answer, stage: answer["status"] == _record(stage)["status"] == "COMPLETED",
    "AwaitLift": lambda answer, stage: answer is None and _erasure(stage)["task_token"] == "token",
    "AwaitOperator": lambda answer, stage: (
        answer is None and any("task_token" in item for item in stage.items("ControlTable").values())
    ),
    "AwaitReviewer": lambda answer, stage: (
        answer is None and stage.item("ReviewsTable", REVIEW_ID).get("status") == "OPEN"
    ),
    "ClaimNextReview": lambda answer, _: body(answer)["review"]["claimed_by_me"],
    "ClaimReview": lambda answer, _: body(answer)["claimed_by_me"],
    "CleanSegment": lambda answer, _: answer["done"] and sum(answer["tally"]["deleted"].values()) == 1,
    "CloseSubject": lambda answer, stage: not answer["held"] and _erasure(stage)["status"] == "ERASING",
    "DecideReview": lambda answer, _: body(answer)["next"] == "done",
    "DetectIncidents": lambda answer, _: len(answer["mitigations"]) == 1,
    "DropKey": lambda answer, stage: answer is None and not stage.item("KeysTable", FORGOTTEN),
    "EndRequests": lambda answer, stage: answer["stores"] and _record(stage)["reason"] == "SUBJECT_ERASED",
    "EraseStore": lambda answer, stage: answer["done"] and not _record(stage),
    "HandOverReview": lambda answer, _: body(answer)["claimed_by"] == "second-reviewer",
    "InvokeLargeModel": lambda answer, _: answer["StopReason"] == "end_turn",
    "IssueReceipt": lambda answer, stage: answer == {"outcome": "ERASED"} and _erasure(stage)["status"] == "DONE",
    "LiftHold": lambda answer, _: (answer["standing"], answer["changed"]) == ("LIFTED", 1),
    "ListIncidents": lambda answer, _: len(body(answer)["incidents"]) == 1,
    "ListInferences": lambda answer, _: len(body(answer)["inferences"]) == 1,
    "ListQueues": lambda answer, _: sum(queue["waiting"] for queue in body(answer)["queues"]) == 1,
    "ListReviews": lambda answer, _: len(body(answer)["reviews"]) == 1,
    "ListVerdicts": lambda answer, _: len(body(answer)["verdicts"]) == 1,
    "PlanRetention": lambda answer, _: {unit["store"] for unit in answer["units"]} > {"requests", "payloads"},
    "PlantReview": lambda answer, _: body(answer, 201)["review_id"],
    "PublishOutcome": _all_taken,
    "PublishReview": _all_taken,
    "ReadIncident": lambda answer, _: body(answer)["status"] == "OPEN",
    "ReadInference": lambda answer, _: body(answer)["status"] == "HELD",
    "ReadQuality": lambda answer, _: body(answer)["use_cases"][0]["held"]["edited"] == 1,
    "ReadReview": lambda answer, _: body(answer)["query"],
    "RecordAudit": lambda answer, stage: (
        answer is None and any(CHANGE in name for name in stage.objects("AuditBucket"))
    ),
    "RecordDecision": lambda answer, _: answer == {"status": "DECIDED", "next": "done"},
    "RecordFailure": lambda answer, stage: answer["status"] == _record(stage)["status"] == "FAILED",
    # What comes to it from the queue cannot be delivered: it is parked, with its reason.
    "RecoverEvent": lambda answer, stage: answer == {"batchItemFailures": []} and len(stage.take_letters()) == 1,
    "ReleaseReview": lambda answer, _: "claimed_by" not in body(answer) and body(answer)["status"] == "OPEN",
    "ReportRetention": lambda answer, stage: answer["report"] in stage.objects("PayloadBucket"),
    "RequestErasure": lambda answer, stage: f"erasure#{answer['erasure_id']}" in stage.items("ControlTable"),
    "SearchStore": lambda answer, _: (answer["done"], answer["found"]) == (True, 1),
    "ServeDesk": lambda answer, _: answer["statusCode"] == 200 and "<html" in answer["body"],
    "SetHold": lambda answer, _: (answer["standing"], answer["changed"]) == ("HELD", 1),
    "StepMitigation": lambda answer, _: (answer["phase"], answer["ask"]) == ("HOLDING", "REPORTED"),
    "SubmitInference": lambda answer, _: body(answer)["status"] == "COMPLETED",
    "SweepRequests": lambda answer, _: answer["reviews_started"] == 1 and answer["failed"] == 0,
    # What is not valid it raises.
    "ValidatePolicy": lambda answer, _: answer is None,
    "WatchReviews": lambda answer, _: answer["queues"] and answer["failed"] == 0,
    "WriteDigest": lambda answer, _: answer["number"] == 1 and answer["sha256"],
}


def is_success(function: str, answer: Any, stage: Stage) -> bool:
    """Whether a function that gave this came to its success."""
    try:
        return bool(SUCCESS[function.removesuffix("Function")](answer, stage))
    except (KeyError, TypeError, IndexError):
        # It gave something else altogether: an error, a refusal, or nothing.
        return False
