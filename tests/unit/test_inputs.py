"""events/inputs/*.json: what `sam local invoke` sends is what each handler takes."""

import base64
import hashlib
import importlib
import json
from pathlib import Path

import pytest
from people import claim, judge, reviewer, shown_now
from words import carried_by, key_of, sealed

from adapters import payloads, requests_table, subject_keys, workflows
from adapters.api import users
from adapters.clock import iso
from adapters.desk import desk_settings
from adapters.governance import erasures_table
from adapters.governance.erasers.cases import place_of
from adapters.incidents import incidents_table
from adapters.incidents.incidents_table import Case
from adapters.reviews import reviews_table
from domain.incidents.course import begin
from domain.incidents.incidents import Incident, IncidentType
from domain.incidents.mitigation import MitigationSettings
from domain.inference.answers import Answer
from domain.requests import canonical

ROOT = Path(__file__).parents[2]
INPUTS = sorted(ROOT.glob("events/inputs/*.json"))
NOW = 1_800_000_000.0
SETTINGS = {"api_url": "https://api.example", "sign_in_url": "https://sign-in.example", "client_id": "desk"}


def input_of(name: str) -> dict:
    return json.loads((ROOT / f"events/inputs/{name}Function.json").read_text())


# Who the reviewers' inputs come from, and the draft they are about.
CALLER = reviewer(input_of("DecideReview")["requestContext"]["authorizer"]["jwt"]["claims"]["sub"])
DRAFT = Answer.from_converse(input_of("AssessAnswer")["answer"]).text
INCIDENT_ID = input_of("StepMitigation")["incident_id"]


@pytest.fixture
def world(open_review, requests, rules, bus, dead_letters, audit_bucket, clock, monkeypatch, sample):
    """A held request and its review, under the ids the inputs use, and services that do as they are told."""
    review = open_review("ticket-4711", use_case="product_support", draft=DRAFT)
    body = canonical(sample("InferenceRequested"))
    kept = sealed("payload", review["request_key"], body)["payload"]
    requests.update_item(
        Key={"request_key": review["request_key"]},
        UpdateExpression="SET payload = :body, body_digest = :digest",
        ExpressionAttributeValues={":body": kept, ":digest": hashlib.sha256(body.encode()).hexdigest()},
    )
    for reference in (input_of("InvokeLargeModel")["payload_ref"], "events/2f0d1c9a-7b53-4e0e-8f43-51d0c6c1a7e2.json"):
        payloads.put(reference, (kept if reference.startswith("requests/") else body).encode())
    monkeypatch.setattr(workflows, "resume_review", lambda token, next: True)
    monkeypatch.setattr(workflows, "start_review", lambda review: True)
    monkeypatch.setattr(workflows, "infer", lambda execution_input: {"request_key": review["request_key"]})
    monkeypatch.setattr(users, "find", lambda name: reviewer(f"sub-of-{name}"))
    monkeypatch.setattr(desk_settings, "current", lambda: SETTINGS)
    monkeypatch.setattr(
        "adapters.inference.bedrock.converse",
        lambda *_: {"StopReason": "end_turn", "Output": {"Message": {"Content": []}}},
    )
    return review


@pytest.fixture
def case(world, rules) -> Case:
    """The incident of the inputs, and what has begun to be done about it."""
    moment = int(NOW)
    incident = Incident(
        INCIDENT_ID, "product_support", IncidentType.QUALITY_DEGRADATION, 2, moment, since=moment, seen_at=moment
    )
    begun = begin(incident, NOW, MitigationSettings.from_json(rules.incidents["mitigation"]))
    case = Case(incident, begun)
    incidents_table.keep_case(case, NOW)
    return case


ERASURE_ID, SUBJECT_REF = input_of("CloseSubject")["erasure_id"], input_of("CloseSubject")["subject_ref"]


@pytest.fixture
def erasure(world, undelivered, receipt_key, monkeypatch) -> None:
    """The erasure of the inputs, with its subject closed and all but the end behind it."""
    key = subject_keys.make(SUBJECT_REF, "acme", NOW)
    record = {
        "erasure_id": ERASURE_ID,
        "tenant": "acme",
        "subject_ref": SUBJECT_REF,
        "requested_by": "privacy-desk",
        "reason": "SUBJECT_REQUEST",
        "known": True,
        "sealed_subject": key.seal("patient-88", place_of(ERASURE_ID)),
    }
    erasures_table.begin(record, NOW)
    erasures_table.change(ERASURE_ID, erased_at=iso(NOW))
    subject_keys.begin_erasure(SUBJECT_REF, ERASURE_ID, NOW)
    monkeypatch.setattr(workflows, "start_erasure", lambda erasure: None)
    monkeypatch.setattr(workflows, "resume", lambda token, output: True)


def run(path: Path, template: dict, context) -> dict | None:
    module = template["Resources"][path.stem]["Properties"]["Handler"].removesuffix(".handler")
    event = json.loads(path.read_text())
    if "subject" in event.get("request", {}):
        # Its key, wrapped, is another one on each stack.
        event["request"]["subject"] = carried_by(key_of())
    return importlib.import_module(module).handler(event, context)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_each_input_is_one_its_handler_takes(path, world, case, erasure, template, context, requests, control):
    if path.stem in ("AdmitRequestFunction", "AssessAnswerFunction", "RecordFailureFunction"):
        requests.delete_item(Key={"request_key": world["request_key"]})
    if path.stem in ("AssessAnswerFunction", "RecordFailureFunction"):
        requests.put_item(Item={"request_key": world["request_key"], "status": "ADMITTED"})
    if path.stem in ("DecideReviewFunction", "ReleaseReviewFunction", "HandOverReviewFunction"):
        claim(world["review_id"], CALLER, NOW)
    if path.stem == "RecordDecisionFunction":
        judge(world["review_id"], CALLER, "APPROVE", NOW)

    result = run(path, template, context)

    if result and "statusCode" in result:
        assert result["statusCode"] in (200, 201, 202), result["body"]
    if result and "batchItemFailures" in result:
        assert result["batchItemFailures"] == []
    if path.stem == "AdmitRequestFunction":
        assert result["admission"] == "ADMITTED"
    if path.stem == "AssessAnswerFunction":
        assert result["status"] == "COMPLETED"
    if path.stem in ("ClaimNextReviewFunction", "ListReviewsFunction"):
        assert world["review_id"] in result["body"]
    if path.stem == "RecordDecisionFunction":
        assert result == {"status": "DECIDED", "next": "done"}
    if path.stem in ("ReadIncidentFunction", "AnswerIncidentFunction"):
        assert INCIDENT_ID in result["body"]
    if path.stem == "AnswerIncidentFunction":
        assert incidents_table.find_case(INCIDENT_ID).answer == "restore"
        [note] = [item for item in control.scan()["Items"] if item["control_key"].startswith("audit#")]
        assert note["action"] == "INCIDENT_ANSWERED" and note["facts"]["incident_id"] == INCIDENT_ID
    if path.stem == "StepMitigationFunction":
        assert (result["phase"], result["ask"]) == ("HOLDING", "REPORTED"), "no metric shows it"
    if path.stem == "WriteDigestFunction":
        assert result["number"] == 1
    if path.stem == "RequestErasureFunction":
        assert erasures_table.find(result["erasure_id"])["reason"] == "SUBJECT_REQUEST"
    if path.stem in ("EraseStoreFunction", "SearchStoreFunction"):
        assert result["done"]
    if path.stem == "DropKeyFunction":
        assert subject_keys.find(SUBJECT_REF) is None
    if path.stem == "IssueReceiptFunction":
        assert result == {"outcome": "ERASED"}
    if path.stem == "WatchReviewsFunction":
        assert (result["failed"], result["queues"]) == (0, 4)


def test_the_policy_s_input_is_the_shipped_policy(policy_document):
    assert json.loads(base64.b64decode(input_of("ValidatePolicy")["content"])) == policy_document


def test_a_review_s_inputs_are_of_one_review(world):
    decision = input_of("DecideReview")

    assert decision["pathParameters"]["review_id"] == world["review_id"]
    assert json.loads(decision["body"])["shown_digest"] == shown_now(world["review_id"])
    assert input_of("AwaitReviewer")["review"].keys() == planned(world).keys()
    assert input_of("AwaitReviewer")["review"]["review_id"] == world["review_id"]


def planned(review: dict) -> dict:
    return requests_table.find(review["request_key"])["review"]


def test_what_a_review_notice_s_input_shows_is_what_the_table_has(world):
    [record] = input_of("PublishReview")["Records"]

    assert record["dynamodb"]["NewImage"].keys() <= reviews_table.find(world["review_id"]).keys()
