"""Runs the real template on the embedded AWS, once for all workflow tests; faults are scripted, nothing is patched."""

import copy
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sealed_words import key_of

from adapters import payloads
from adapters.sealing import SubjectKey
from bulwark.local import cloud as embedded
from bulwark.local.users import sign_in

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120


def policy_for_tests() -> dict:
    """The shipped policy, and use cases whose confidence is known beforehand."""
    policy = json.loads((ROOT / "policies/runtime.json").read_text())
    policy["version"] = "tests"
    policy["confidence"] |= {
        "sure": {"intercept": 20, "weights": {}},
        "unsure": {"intercept": -20, "weights": {}},
    }
    base = policy["use_cases"]["general_question"] | {"confidence_threshold": 0.5}
    base.pop("knowledge_base", None)
    # What chance picks would come and go from run to run.
    base["review"] |= {"audit_share": 0, "blind_share": 0, "second_reviewer_share": 0}
    base["review"]["overload"] = {"gives": "ask_less", "confidence_floor": 0}

    def use_case(name: str, confidence: str = "unsure", review: dict | None = None, **changes: Any) -> None:
        one = copy.deepcopy(base) | {"confidence": confidence, **changes}
        one["review"] |= review or {}
        policy["use_cases"][name] = one
        policy["tenants"]["acme"]["use_cases"].append(name)

    use_case("sure", "sure")
    use_case("unsure")
    use_case("risky", "sure", risk_class="high")
    use_case("delivered", "sure", deliver="event")
    use_case("retrieving", "sure", knowledge_base={"passages": 3})
    use_case("one_model", "sure", models=["nova-lite"])
    silent = {"reviewer_sla_seconds": 1, "lead_sla_seconds": 0}
    use_case("silence_rejects", review=silent)
    use_case("silence_approves", review=silent | {"on_silence": "APPROVE"})
    two_silent = {"second_reviewer_share": 1, "reviewer_sla_seconds": 3, "lead_sla_seconds": 0, "on_silence": "APPROVE"}
    use_case("silence_after_a_verdict", review=two_silent)
    use_case("passing_on", "sure", on_refusal="pass_on")
    use_case("looked_at", "sure", on_refusal="hold", languages=["de"])
    use_case("ailing", "sure")
    # A minute of an incident takes two seconds, and little is asked for before it is told.
    policy["incidents"]["drill_speed"] = 30
    quick = {"settle_seconds": 120, "probe_after_seconds": 120, "watch_seconds": 300}
    policy["incidents"]["mitigation"] |= quick
    use_case("escalating", review={"reviewer_sla_seconds": 1, "lead_sla_seconds": 600})
    use_case("two_eyes_more", review={"second_reviewer_share": 1})
    use_case("audited", "sure", review={"audit_share": 1, "blind_share": 1})
    use_case("blind", review={"blind_share": 1})
    use_case("storing", "sure", review={"overload": {"gives": "cache_only", "confidence_floor": 0}})
    use_case("refusing", review={"overload": {"gives": "refuse", "confidence_floor": 0}})
    return policy


class Bulwark:
    """What a test does with the running stack, in the words of its users."""

    def __init__(self, cloud: embedded.Cloud) -> None:
        self.cloud, self.outputs = cloud, cloud.outputs
        self._queue = cloud.client("sqs").create_queue(QueueName=f"seen-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        arn = cloud.client("sqs").get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        events = cloud.client("events")
        bus = self.outputs["EventBusName"]
        events.put_rule(Name="seen", EventBusName=bus, EventPattern='{"source": ["bulwark"]}')
        target = {"Id": "seen", "Arn": arn["Attributes"]["QueueArn"]}
        events.put_targets(Rule="seen", EventBusName=bus, Targets=[target])
        self.seen: list[dict] = []
        self._tokens: dict[str, str] = {}

    def send(self, use_case: str = "sure", source: str = "acme.app", **detail: Any) -> str:
        """Put an InferenceRequested on the bus; gives its request id."""
        detail = {
            "request_id": f"t-{uuid.uuid4().hex}",
            "use_case": use_case,
            "query": "What is a ledger?",
        } | detail
        self.put(detail, source)
        return detail["request_id"]

    def put(self, detail: dict | str, source: str = "acme.app") -> None:
        entry = {
            "EventBusName": self.outputs["EventBusName"],
            "Source": source,
            "DetailType": "InferenceRequested",
            "Detail": detail if isinstance(detail, str) else json.dumps(detail),
        }
        assert self.cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def record(self, request_id: str, tenant: str = "acme") -> dict | None:
        return self.item("RequestsTable", {"request_key": f"{tenant}#{request_id}"})

    def review(self, review_id: str) -> dict | None:
        return self.item("ReviewsTable", {"review_id": review_id})

    def item(self, table: str, key: dict[str, str]) -> dict | None:
        typed = {name: {"S": value} for name, value in key.items()}
        found = self.cloud.client("dynamodb").get_item(TableName=self.outputs[table], Key=typed, ConsistentRead=True)
        return plain(found["Item"]) if "Item" in found else None

    def key_of(self, record: dict) -> SubjectKey:
        """The key that a record's words are under."""
        return key_of(self.cloud, record["subject_ref"])

    def text_of(self, record: dict, name: str) -> str | None:
        """A short text of a record, opened."""
        return payloads.text_of(record, name, self.key_of(record))

    def outcome(self, request_id: str, *statuses: str) -> dict:
        """Wait for a request's record to reach one of the statuses (any outcome, if none is named)."""

        def reached() -> dict | None:
            record = self.record(request_id)
            wanted = record and (record["status"] in statuses if statuses else record["status"] != "ADMITTED")
            return record if wanted else None

        return wait_for(reached, f"{request_id} to reach {statuses or 'an outcome'}")

    def announced(self, request_id: str, detail_type: str | None = None) -> list[dict]:
        """Wait for the announcements of a request; gives every one seen so far."""

        def found() -> list[dict]:
            self._drain()
            return [
                event
                for event in self.seen
                if event["detail"].get("request_id") == request_id and detail_type in (None, event["detail-type"])
            ]

        return wait_for(found, f"{request_id} to be announced as {detail_type}")

    def _drain(self) -> None:
        sqs = self.cloud.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.seen.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])

    def open_review(self, request_id: str, tier: str = "reviewer") -> dict:
        """Wait for a request's review to be open at a tier."""
        review_id = self.outcome(request_id, "HELD")["review_id"]

        def opened() -> dict | None:
            review = self.review(review_id)
            return review if review and review["status"] == "OPEN" and review["tier"] == tier else None

        return wait_for(opened, f"{review_id} to be open for a {tier}")

    def call(self, method: str, path: str, body: Any = None, user: str = "Caller", raw: bytes | None = None) -> Any:
        """Call the HTTP API as a local user; gives (status, body)."""
        import urllib.error
        import urllib.request

        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.cloud.api_url + path, data, method=method)
        request.add_header("content-type", "application/json")
        if user:
            request.add_header("authorization", f"Bearer {self.token(user)}")
        try:
            with urllib.request.urlopen(request, timeout=35) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def token(self, user: str) -> str:
        if user not in self._tokens:
            self._tokens[user] = sign_in(
                self.cloud.client("cognito-idp"),
                self.outputs["UserPoolClientId"],
                self.outputs[f"{user}Username"],
                self.outputs[f"{user}Password"],
            )
        return self._tokens[user]

    def decide(self, review_id: str, decision: str, user: str = "Reviewer", **more: Any) -> tuple[int, dict]:
        """Claim and read a review as a person does, and decide on what was shown."""
        self.call("POST", f"/reviews/{review_id}/claim", {}, user=user)
        _, shown = self.call("GET", f"/reviews/{review_id}", user=user)
        body = {"decision": decision, "shown_digest": shown.get("shown_digest", "x"), **more}
        return self.call("POST", f"/reviews/{review_id}/decision", body, user=user)

    def states(self, request_id: str, tenant: str = "acme") -> list[str]:
        """The states of inference that a request's execution entered, from the machine's log."""
        name = self.record(request_id, tenant)["execution_name"]
        return self.execution_states(f":{name}:")

    def execution_states(self, part_of_arn: str) -> list[str]:
        """Wait for an execution's last line in the log; gives the states it entered."""

        def ended() -> list[dict] | None:
            lines = [line for line in self.log() if part_of_arn in line["execution_arn"]]
            lines.sort(key=lambda line: int(line["id"]))
            return lines if lines and lines[-1]["type"].startswith("Execution") and len(lines) > 1 else None

        lines = wait_for(ended, f"the log of {part_of_arn}")
        return [line["details"]["name"] for line in lines if line["type"].endswith("StateEntered")]

    def log(self) -> list[dict]:
        logs = self.cloud.client("logs")
        group = self.outputs["InferenceLogGroupName"]
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [json.loads(event["message"]) for page in pages for event in page["events"]]

    def review_states(self, review_id: str) -> list[str]:
        """The states of human_review that a review's execution entered, once it has ended."""
        states = self.cloud.client("stepfunctions")
        machine = self.outputs["HumanReviewStateMachineArn"]
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{review_id}"
        wait_for(
            lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING",
            f"review {review_id} to end",
        )
        history = states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]

    def invoke(self, function: str, payload: dict) -> Any:
        result, error = self.cloud.functions.invoke(function, payload)
        assert error is None, result
        return result

    def dead_letters(self) -> list[dict]:
        """Take what lies in the dead-letter queue, with its attributes."""
        sqs, url = self.cloud.client("sqs"), self.outputs["DeadLetterQueueUrl"]
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        taken = []
        for message in messages.get("Messages", []):
            attributes = message.get("MessageAttributes", {})
            taken.append(
                {
                    "body": json.loads(message["Body"]),
                    **{name: one["StringValue"] for name, one in attributes.items()},
                }
            )
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def dead_letter(self, request_id: str) -> dict:
        """Wait for a request's event in the dead-letter queue, and take it."""

        def found() -> dict | None:
            letters = self.dead_letters()
            return next((one for one in letters if one["body"]["detail"]["request_id"] == request_id), None)

        return wait_for(found, f"{request_id} to be parked")


def plain(item: dict) -> dict:
    from boto3.dynamodb.types import TypeDeserializer

    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def wait_for(found: Callable[[], Any], what: str, patience: float | None = None) -> Any:
    # Looked up when it is waited, so that a test can be impatient.
    patience = patience or PATIENCE_SECONDS
    deadline = time.monotonic() + patience
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {patience} s for {what}"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="package")
def stack() -> Iterator[Bulwark]:
    with embedded.start(
        ROOT / "template.yaml",
        stack_name="bulwark-tests",
        parameters={"KnowledgeBaseId": "LOCALDOCS1"},
        policy=policy_for_tests(),
        schedules=False,
        # Nothing here is about how long a batch waits for company.
        longest_window=0.2,
    ) as cloud:
        yield Bulwark(cloud)


@pytest.fixture
def bulwark(stack: Bulwark) -> Iterator[Bulwark]:
    """The running stack, with no fault left over from the last test."""
    stack.cloud.clear_faults()
    yield stack
    stack.cloud.clear_faults()
