"""Runs handlers and adapters in this process against moto, with the template's own tables."""

import functools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.awsrequest import AWSResponse
from botocore.signers import RequestSigner
from botocore.stub import Stubber
from moto import mock_aws
from moto.core.base_backend import BackendDict
from words import sealed

import adapters.clock
from adapters import key_memory, modes_table, payloads, requests_table, root_key, schemas, workflows
from adapters import policy as policy_adapter
from adapters.clock import iso
from adapters.desk import desk_settings
from adapters.dynamodb import as_item, decimal
from adapters.reviews import reviews_table
from bulwark.local import hot_paths, moto_names
from domain.outcomes import review_id_of
from domain.policy import Policy

# Made once, as in a function: a client costs more than the calls of a test.
dynamodb = boto3.resource("dynamodb")
sqs = boto3.client("sqs")
events = boto3.client("events")
kms = boto3.client("kms")
s3 = boto3.resource("s3")

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path_factory) -> None:
    for name, value in {
        "SCHEMAS_DIR": str(_schemas_dir(tmp_path_factory)),
        "REQUESTS_TABLE": "requests",
        "REVIEWS_TABLE": "reviews",
        "GEOGRAPHY": "us",
        "CONTROL_TABLE": "control",
        "CACHE_TABLE": "cache",
        "PAYLOAD_BUCKET": "payloads",
        "AUDIT_BUCKET": "audit",
        "AUDIT_DAYS": "400",
        "KEYS_TABLE": "keys",
        "EVENT_BUS": "bulwark",
        "POLICY_APPLICATION": "bulwark",
        "POLICY_ENVIRONMENT": "dev",
        "POLICY_PROFILE": "runtime",
        "POWERTOOLS_SERVICE_NAME": "bulwark",
        "DESK_URL": "https://desk.example",
        "DESK_DIR": str(ROOT / "desk"),
        "DESK_PARAMETER": "/bulwark/desk",
        "GUARDRAILS": '{"standard": {"id": "guardrail", "version": "1"}}',
        "INFERENCE_STATE_MACHINE": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:inference",
        "HUMAN_REVIEW_STATE_MACHINE": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:human_review",
        "ERASURE_STATE_MACHINE": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:erasure",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """What a process keeps from one event to the next is no part of a test."""
    modes_table._seen.clear()
    desk_settings._read.cache_clear()


_directory: list[Path] = []


def _schemas_dir(tmp_path_factory) -> Path:
    """Event and policy schemas in one folder, as the layers put them under /opt."""
    if not _directory:
        folder = tmp_path_factory.mktemp("opt")
        for path in [*ROOT.glob("events/schemas/*.json"), ROOT / "policies/runtime.schema.json"]:
            (folder / path.name).symlink_to(path)
        _directory.append(folder)
        schemas._validator.cache_clear()
    return _directory[0]


@pytest.fixture(autouse=True, scope="module")
def _moto():
    """Begun once per file, since beginning costs more than a test."""
    with mock_aws():
        hot_paths.install()
        # Nobody here reads what calls, or checks a signature: which service is meant is all that counts.
        moto_names.replace("botocore.useragent:UserAgentString.to_string", lambda *_: "tests")
        moto_names.replace("botocore.signers:RequestSigner.sign", _name_service)
        yield
        moto_names.put_back()


_sign = RequestSigner.sign


def _name_service(self: Any, operation_name: str, request: Any, *more: Any, **options: Any) -> None:
    if self._signing_name == "s3":
        # To sign is also to say how a body is cut into pieces.
        _sign(self, operation_name, request, *more, **options)
        return
    scope = f"testing/20000101/{self._region_name}/{self._signing_name}/aws4_request"
    request.headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"


@pytest.fixture(autouse=True)
def aws(_moto) -> None:
    """An account with nothing in it."""
    BackendDict.reset()


@pytest.fixture
def clock(monkeypatch) -> Callable[[float], None]:
    """Stops the clock at NOW; calling it moves the hand."""
    hand = [NOW]
    monkeypatch.setattr(adapters.clock, "time", SimpleNamespace(time=lambda: hand[0]))
    return lambda seconds: hand.__setitem__(0, hand[0] + seconds)


@pytest.fixture
def table(aws, template) -> Callable[[str], Any]:
    """Create a table as the template has it: table("Requests") is RequestsTable, named requests."""

    def create(name: str):
        properties = template["Resources"][f"{name}Table"]["Properties"]
        known = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        dynamodb.meta.client.create_table(
            TableName=name.lower(), **{key: properties[key] for key in known if key in properties}
        )
        return _table(name.lower())

    return create


# boto3 makes a class of its own for each.
_table = functools.cache(dynamodb.Table)
_bucket = functools.cache(s3.Bucket)


@pytest.fixture
def requests(table, keys):
    """The requests' table, and the keys' one, whose root names its subjects."""
    return table("Requests")


@pytest.fixture
def reviews(table):
    return table("Reviews")


@pytest.fixture
def control(table):
    return table("Control")


@pytest.fixture
def cache(table):
    return table("Cache")


@pytest.fixture
def keys(table, monkeypatch):
    """The keys' table, and the KMS key that wraps their root."""
    made = kms.create_key()["KeyMetadata"]["Arn"]
    monkeypatch.setenv("SUBJECTS_KEY", made)
    root_key._root = None
    key_memory._remembered.clear()
    return table("Keys")


@pytest.fixture
def bucket(aws):
    s3.meta.client.create_bucket(Bucket="payloads")
    return _bucket("payloads")


@pytest.fixture
def forbidden() -> Callable[[], AbstractContextManager[None]]:
    """For as long as the context lasts nobody may read from S3."""

    @contextmanager
    def forbid() -> Iterator[None]:
        def refuse(model: Any, **_: Any) -> tuple[AWSResponse, dict] | None:
            if model.name not in ("GetObject", "HeadObject", "CopyObject"):
                return None
            # Of a HEAD there is the status alone.
            code = "403" if model.name == "HeadObject" else "AccessDenied"
            return AWSResponse("", 403, {}, None), {"Error": {"Code": code, "Message": ""}}

        events = payloads.client().meta.events
        events.register_first("before-call.s3", refuse)
        yield
        events.unregister("before-call.s3", refuse)

    return forbid


@pytest.fixture
def audit_bucket(aws, monkeypatch):
    """The audit log's bucket, locked as the template has it, and the key that signs its digests."""
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    monkeypatch.setenv("AUDIT_KEY", made)
    s3.meta.client.create_bucket(Bucket="audit", ObjectLockEnabledForBucket=True)
    retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 400}}
    s3.meta.client.put_object_lock_configuration(
        Bucket="audit", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
    )
    return _bucket("audit")


@pytest.fixture
def stores(requests, reviews, control, cache, keys, bucket) -> None:
    """Every store of the template, empty."""


@pytest.fixture
def held(stores) -> Callable[..., dict]:
    """Record a held request; gives the review it waits for, as AssessAnswer hands it on."""

    def hold(
        request_id: str = "r-1",
        tenant: str = "acme",
        draft: str = "Eleven hours.",
        subject_id: str = "user-17",
        **changes,
    ) -> dict:
        request_key = f"{tenant}#{request_id}"
        review = {
            "review_id": review_id_of(request_key),
            "tenant": tenant,
            "request_id": request_id,
            "request_key": request_key,
            "use_case": "general_question",
            "reason": "LOW_CONFIDENCE",
            "confidence": 0.41,
            "kind": "HELD",
            "risk_class": "low",
            "blind": False,
            "second_reviewer": False,
            "head_start_seconds": 0,
            "reviewer_sla_seconds": 600,
            "lead_sla_seconds": 60,
            "claim_seconds": 300,
            "due_notice_seconds": 120,
            "on_silence": "REJECT",
            "audit_share": 0.05,
            "review_days": 90,
            "retention_class": "standard",
        } | changes
        body = {"request_id": request_id, "use_case": "general_question", "query": "How long?"}
        record = {
            "request_key": request_key,
            "tenant": tenant,
            "request_id": request_id,
            "use_case": review["use_case"],
            "channel": "event",
            "body_digest": "body",
            "execution_name": "first",
            "user_id": "user-17",
            "subject_id": subject_id,
            "status": {"HELD": "HELD", "AUDIT": "COMPLETED", "PLANTED": "PLANTED"}[review["kind"]],
            "reason": "LOW_CONFIDENCE",
            "admitted_at": iso(NOW - 2),
            "outcome_at": iso(NOW),
            "in_flight_key": f"in-flight#{tenant}#0",
            "review_id": review["review_id"],
            "review": as_item(review),
            "model": "nova-lite",
            "cost_usd": decimal(0.0002),
            "confidence": decimal(review["confidence"]),
            "signals": {"hedging": decimal(0.0)},
            "findings": [],
            "sweep": "OPEN#0",
            "sweep_at": int(NOW) + 120,
            **sealed("payload", request_key, json.dumps(body), subject_id),
            **sealed("answer", request_key, draft, subject_id),
        }
        dynamodb.Table("requests").put_item(Item=record)
        return review

    return hold


@pytest.fixture
def open_review(held, clock) -> Callable[..., dict]:
    """Put a review into its queue for a tier; gives it as the table has it."""

    def run(request_id: str = "r-1", tenant: str = "acme", *, tier: str = "reviewer", sla: int = 600, **more) -> dict:
        review, now = held(request_id, tenant, **more), adapters.clock.now()
        request = requests_table.find(review["request_key"])
        reviews_table.open_for(review, tier, f"token-of-{request_id}", sla, request, now)
        return reviews_table.find(review["review_id"])

    return run


@pytest.fixture
def dead_letters(aws, monkeypatch) -> Callable[[], list[dict]]:
    """The dead-letter queue; calling it gives what was parked."""
    url = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    monkeypatch.setenv("DEAD_LETTER_QUEUE", url)

    def parked() -> list[dict]:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        return [
            {"body": message["Body"]}
            | {name: one["StringValue"] for name, one in message.get("MessageAttributes", {}).items()}
            for message in received.get("Messages", [])
        ]

    return parked


@pytest.fixture
def undelivered(aws, monkeypatch) -> str:
    """The queue of what EventBridge could not deliver; its URL."""
    url = sqs.create_queue(QueueName="undelivered")["QueueUrl"]
    monkeypatch.setenv("UNDELIVERED_QUEUE", url)
    return url


@pytest.fixture
def receipt_key(aws, monkeypatch) -> str:
    """The key that signs receipts; its ARN."""
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    monkeypatch.setenv("RECEIPT_KEY", made)
    return made


@pytest.fixture
def bus(aws) -> Callable[[], list[dict]]:
    """The event bus; calling it gives the events published since the last call."""
    events.create_event_bus(Name="bulwark")
    queue = sqs.create_queue(QueueName="published")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="everything", EventBusName="bulwark", EventPattern='{"source": ["bulwark"]}')
    events.put_targets(Rule="everything", EventBusName="bulwark", Targets=[{"Id": "queue", "Arn": arn}])

    def published() -> list[dict]:
        found: list[dict] = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in messages]
        return found

    return published


@pytest.fixture
def deploy_policy(monkeypatch) -> Callable[[dict], Policy]:
    """Put a document in force, as if it had come from AppConfig."""

    def deploy(document: dict) -> Policy:
        rules = policy_adapter.load(document)
        monkeypatch.setattr(policy_adapter, "_last_good", (document, rules))
        monkeypatch.setattr(policy_adapter, "_retry_at", math.inf)
        return rules

    return deploy


@pytest.fixture
def rules(deploy_policy, policy_document) -> Policy:
    """The shipped policy, in force; general_question releases everything, as its score is made sure."""
    policy_document["confidence"]["open_question"] = {"intercept": 10, "weights": {}}
    return deploy_policy(policy_document)


@pytest.fixture
def step_functions():
    """Step Functions, scripted: each test says what it answers."""
    with Stubber(workflows.client()) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def context() -> LambdaContext:
    context = LambdaContext()
    context._function_name = "test"
    context._memory_limit_in_mb = 512
    context._invoked_function_arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:test"
    context._aws_request_id = "test"
    context.get_remaining_time_in_millis = lambda: 55_000
    return context


@pytest.fixture
def exchange(context) -> Callable[..., dict]:
    """Call an HTTP handler as somebody in these groups; gives the response as it is."""

    def run(handler, *groups: str, user_id: str = "user-17", body: Any = None, path=None, query=None, headers=None):
        claims = {
            "sub": user_id,
            "token_use": "access",
            "username": f"name-of-{user_id}",
            "cognito:groups": f"[{' '.join(groups)}]",
        }
        event = {
            "requestContext": {
                "requestId": "call-1",
                "authorizer": {"jwt": {"claims": claims}},
                "http": {"method": "GET" if body is None else "POST"},
            },
            "headers": headers or {},
            "pathParameters": path,
            "queryStringParameters": query,
        }
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        return handler(event, context)

    return run


@pytest.fixture
def call(exchange) -> Callable[..., tuple[int, Any]]:
    """Call an HTTP handler as somebody in these groups; gives the status and the JSON of the answer."""

    def run(handler, *groups: str, **more: Any) -> tuple[int, Any]:
        response = exchange(handler, *groups, **more)
        assert response["headers"]["content-type"] == "application/json"
        assert response["headers"]["cache-control"] == "no-store"
        return response["statusCode"], json.loads(response["body"])

    return run
