"""The state that an input of events/inputs/ is about, put into a running stack: the same one each time."""

import hashlib
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from sealed_words import key_of, new_key

from adapters import requests_table
from adapters.clock import iso
from adapters.governance.erasers.cases import place_of
from adapters.root_key import ROOT as ROOT_KEY
from adapters.sealing import SubjectKey
from bulwark.local.cloud import Cloud
from domain.incidents.course import begin
from domain.incidents.incidents import Incident, IncidentType
from domain.incidents.mitigation import MitigationSettings
from domain.inference.answers import Answer
from domain.requests import canonical

ROOT = Path(__file__).parents[1]
REQUEST_KEY = "acme#ticket-4711"
TABLES = {
    "RequestsTable": "request_key",
    "ReviewsTable": "review_id",
    "CacheTable": "answer_key",
    "ControlTable": "control_key",
    "KeysTable": "subject_ref",
}
# Whose inputs are about a request that is not there yet.
FRESH = {"AdmitRequestFunction", "SubmitInferenceFunction", "RecoverEventFunction"}
# Whose inputs are about a request that is being answered.
RUNNING = {"AssessAnswerFunction", "EndRequestsFunction", "RecordFailureFunction"}
# Whose inputs are about a request of the person who is to be forgotten.
FORGETTING = {"EndRequestsFunction", "EraseStoreFunction", "SearchStoreFunction"}
# What others have to have done before, in order.
_OPEN, _CLAIMED = ["AwaitReviewer"], ["AwaitReviewer", "ClaimReview"]
_JUDGED = [*_CLAIMED, "DecideReview"]
BEFORE = {
    "ApplyHoldsFunction": ["SetHold"],
    "ClaimNextReviewFunction": _OPEN,
    "ClaimReviewFunction": _OPEN,
    "DecideReviewFunction": _CLAIMED,
    "HandOverReviewFunction": _CLAIMED,
    "LiftHoldFunction": ["SetHold"],
    "ListIncidentsFunction": ["DetectIncidents"],
    "ListQueuesFunction": [*_OPEN, "WatchReviews"],
    "ListReviewsFunction": _OPEN,
    "ListVerdictsFunction": _JUDGED,
    "ReadQualityFunction": [*_JUDGED, "RecordDecision"],
    "ReadReviewFunction": _OPEN,
    "RecordDecisionFunction": _JUDGED,
    "ReleaseReviewFunction": _CLAIMED,
    "WatchReviewsFunction": _OPEN,
}
LATER = 4_000_000_000


def input_of(function: str) -> dict:
    return json.loads((ROOT / f"events/inputs/{function}.json").read_text())


def sample() -> dict:
    return json.loads((ROOT / "events/samples/InferenceRequested.json").read_text())


def policy() -> dict:
    """The shipped policy without what chance picks, which would come and go from run to run."""
    shipped = json.loads((ROOT / "policies/runtime.json").read_text())
    for use_case in shipped["use_cases"].values():
        use_case["review"] |= {"audit_share": 0, "blind_share": 0, "second_reviewer_share": 0}
    return shipped


class Stage:
    """A running stack that inputs are tried on, one after the other."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.outputs = cloud, cloud.outputs
        self._dynamodb, self._s3 = cloud.client("dynamodb"), cloud.client("s3")
        self._states = cloud.client("stepfunctions")
        self.key, self._kept = self._known()

    def prepare(self, function: str) -> dict:
        """Have the state be what a function's input is about; gives the input as this very stack takes it."""
        self.clear()
        event = self.taken_here(input_of(function))
        self._put_payloads(event)
        if function not in FRESH:
            self.put("RequestsTable", self.request(function))
        if incident_id := event.get("incident_id") or event.get("pathParameters", {}).get("incident_id"):
            self.put_incident(incident_id)
        if "erasure_id" in event:
            self.put_erasure()
        for earlier in BEFORE.get(function, ()):
            self.invoke(f"{earlier}Function", self.taken_here(input_of(f"{earlier}Function")))
        if function == "ApplyHoldsFunction":
            # What came since the hold was set is what it is applied to.
            self.put("RequestsTable", self.request(function))
        return event

    def invoke(self, function: str, event: dict) -> Any:
        """What a function gives, or the error that it raises."""
        return self.cloud.functions.invoke(function, event)[0]

    def objects(self, bucket: str) -> list[str]:
        """The names of all objects of a bucket, by its logical id."""
        listed = self._s3.list_objects_v2(Bucket=self.cloud.stack.physical_id(bucket))
        return [found["Key"] for found in listed.get("Contents", ())]

    def put(self, table: str, item: dict) -> None:
        typed = {name: TypeSerializer().serialize(value) for name, value in item.items()}
        self._dynamodb.put_item(TableName=self.outputs[table], Item=typed)

    def item(self, table: str, key: str) -> dict:
        """An item, or an empty one."""
        return self.items(table).get(key, {})

    def items(self, table: str) -> dict[str, dict]:
        """All items of a table, by their keys."""
        found = self._dynamodb.scan(TableName=self.outputs[table], ConsistentRead=True)["Items"]
        plain = [{name: TypeDeserializer().deserialize(value) for name, value in item.items()} for item in found]
        return {item[TABLES[table]]: item for item in plain}

    def take_letters(self) -> list[str]:
        """What lies in the dead-letter queue, taken out of it."""
        sqs, url, bodies = self.cloud.client("sqs"), self.outputs["DeadLetterQueueUrl"], []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies

    def clear(self) -> None:
        """Nothing runs, and nothing is kept but the key of whom the inputs are about."""
        for machine in self._states.list_state_machines()["stateMachines"]:
            if machine["type"] == "STANDARD":
                arn = machine["stateMachineArn"]
                for one in self._states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]:
                    self._states.stop_execution(executionArn=one["executionArn"])
        self.cloud.settle()
        for table, name in TABLES.items():
            for key in self.items(table):
                self._dynamodb.delete_item(TableName=self.outputs[table], Key={name: {"S": key}})
        for item in self._kept:
            self.put("KeysTable", item)
        for name in self.objects("PayloadBucket"):
            self._s3.delete_object(Bucket=self.outputs["PayloadBucket"], Key=name)
        self.take_letters()

    def taken_here(self, event: dict) -> dict:
        """An input with the names that differ from stack to stack."""
        if "subject" in event.get("request", {}):
            event["request"]["subject"] = {"ref": self.key.ref, "wrapped_key": self.key.wrapped}
        if "GuardrailConfig" in event.get("call", {}):
            event["call"]["GuardrailConfig"]["GuardrailIdentifier"] = self.outputs["GuardrailId"]
        if "month" in event.get("queryStringParameters", {}):
            event["queryStringParameters"]["month"] = iso(time.time())[:7]
        return event

    def request(self, function: str) -> dict:
        """The request of the inputs: held, or being answered."""
        review = input_of("AwaitReviewerFunction")["review"]
        reader = input_of("ReadInferenceFunction")["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
        draft = Answer.from_converse(input_of("AssessAnswerFunction")["answer"]).text
        body, outcome_at = canonical(sample()), "2026-11-23T09:30:02.120Z"
        record = {
            "request_key": REQUEST_KEY,
            "tenant": "acme",
            "request_id": review["request_id"],
            "use_case": review["use_case"],
            "user_id": reader,
            "channel": "event",
            "execution_name": "sample",
            "status": "ADMITTED",
            "admitted_at": "2026-11-23T09:30:00.000Z",
            "expires_at": 1 if function == "CleanSegmentFunction" else LATER,
            "in_flight_key": "in-flight#acme#3",
            "subject_ref": input_of("CloseSubjectFunction")["subject_ref"] if function in FORGETTING else self.key.ref,
            "subject_mac": self.key.mark,
            "payload": self.key.seal(body, f"{REQUEST_KEY}/payload"),
            "body_digest": hashlib.sha256(body.encode()).hexdigest(),
        }
        if function in RUNNING:
            return record
        return record | {
            "status": "HELD",
            "reason": review["reason"],
            "outcome_at": outcome_at,
            "review_id": review["review_id"],
            "review": review | {"confidence": Decimal(str(review["confidence"])), "audit_share": 0},
            "answer": self.key.seal(draft, f"{REQUEST_KEY}/answer"),
            "sweep": "OPEN#0",
            "sweep_at": 1_795_426_322,
            **requests_table._listed(REQUEST_KEY, outcome_at),
        }

    def put_erasure(self) -> None:
        """The erasure of the inputs, with its subject closed and all but the end behind it."""
        told = input_of("CloseSubjectFunction")
        erasure_id, ref = told["erasure_id"], told["subject_ref"]
        key, item = new_key(self.cloud, ref, "acme")
        record = {
            "control_key": f"erasure#{erasure_id}",
            "erasure_id": erasure_id,
            "tenant": "acme",
            "subject_ref": ref,
            "requested_by": "privacy-desk",
            "requested_at": "2026-11-23T09:30:00.000Z",
            "erased_at": "2026-11-23T09:31:00.000Z",
            "reason": "SUBJECT_REQUEST",
            "status": "REQUESTED",
            "known": True,
            "erased": {},
            "residual": {},
            "sealed_subject": key.seal("patient-88", place_of(erasure_id)),
        }
        self.put("ControlTable", record)
        self.put("KeysTable", item | {"erasure": {"erasure_id": erasure_id, "at": "2026-11-23T09:30:00.000Z"}})

    def put_incident(self, incident_id: str) -> None:
        """An incident of the inputs, about which something is being done since just now."""
        moment = int(time.time())
        incident = Incident(
            incident_id, "product_support", IncidentType.QUALITY_DEGRADATION, 2, moment, since=moment, seen_at=moment
        )
        settings = json.loads((ROOT / "policies/runtime.json").read_text())["incidents"]["mitigation"]
        begun = begin(incident, moment, MitigationSettings.from_json(settings))
        body = {"incident": incident.to_json(), "mitigation": begun.to_json(), "timeline": [], "answer": None}
        self.put("ControlTable", {"control_key": f"incident#{incident_id}", "body": json.dumps(body), "version": 1})

    def _known(self) -> tuple[SubjectKey, list[dict]]:
        """The key of whom the inputs are about, made by a request of theirs; and what has to stay for it."""
        first = input_of("AdmitRequestFunction")
        first["detail"]["request_id"] = "first-of-theirs"
        ref = self.invoke("AdmitRequestFunction", first)["request"]["subject"]["ref"]
        keys = self.items("KeysTable")
        return key_of(self.cloud, ref), [keys[ROOT_KEY], keys[ref]]

    def _put_payloads(self, event: dict) -> None:
        """What an input names in the bucket: an event as it came, or a request's body under its subject's key."""
        body = json.dumps(sample())
        objects = {}
        if "detail_ref" in event:
            objects[event["detail_ref"]] = body
        if "payload_ref" in event:
            objects[event["payload_ref"]] = self.key.seal(body, f"{REQUEST_KEY}/payload")
        for name, text in objects.items():
            self._s3.put_object(Bucket=self.outputs["PayloadBucket"], Key=name, Body=text.encode())
