"""api/submit_inference.py: a call's identity is its token's, and its answer is the first outcome."""

import json

import pytest
from words import sealed

from adapters import payloads, workflows
from adapters.dynamodb import decimal
from api import submit_inference
from domain.inference.prompts import MAX_RENDERED_BYTES
from domain.requests import MAX_BODY_BYTES

CALLER = ("callers", "tenant-acme")
BODY = {"request_id": "r-1", "use_case": "general_question", "query": "How long?"}


class Machine:
    """The inference machine: stores the record a test gives it, or raises, and keeps what it was started with."""

    def __init__(self, requests):
        self.requests = requests
        self.inputs: list[dict] = []
        self.record: dict = {}
        self.error: Exception | None = None

    def infer(self, execution_input: dict) -> dict:
        self.inputs.append(json.loads(json.dumps(execution_input)))
        if self.error:
            raise self.error
        key = f"acme#{self.record['request_id']}"
        self.requests.put_item(Item={"request_key": key, "tenant": "acme"} | self.record)
        return {"request_key": key}


@pytest.fixture
def machine(monkeypatch, stores, requests):
    machine = Machine(requests)
    monkeypatch.setattr(workflows, "infer", machine.infer)
    return machine


@pytest.fixture
def submit(call):
    return lambda body, *groups, **more: call(submit_inference.handler, *(groups or CALLER), body=body, **more)


def outcome(status: str, **more: object) -> dict:
    return {
        "request_id": "r-1",
        "use_case": "general_question",
        "status": status,
        "user_id": "user-17",
    } | more


def test_a_released_answer_is_answered_at_once(submit, machine):
    machine.record = outcome(
        "COMPLETED", **sealed("answer", "acme#r-1", "Eleven hours."), cost_usd=decimal(0.0002), model="nova-lite"
    )

    status, body = submit(BODY)

    assert status == 200
    assert body == {
        "request_id": "r-1",
        "tenant": "acme",
        "use_case": "general_question",
        "status": "COMPLETED",
        "answer": "Eleven hours.",
        "cost_usd": 0.0002,
        "model": "nova-lite",
    }
    assert machine.inputs == [{"tenant": "acme", "user_id": "user-17", "detail": BODY}]


@pytest.mark.parametrize(
    ("record", "status", "code"),
    [
        (outcome("HELD", review_id="r-9", reason="LOW_CONFIDENCE"), 202, None),
        (outcome("ADMITTED"), 202, None),
        (outcome("REFUSED", reason="INVALID_REQUEST", message="?", field="query"), 400, "INVALID_REQUEST"),
        (outcome("REFUSED", reason="UNKNOWN_USE_CASE", message="?"), 400, "UNKNOWN_USE_CASE"),
        (outcome("REFUSED", reason="UNKNOWN_TENANT", message="?"), 403, "UNKNOWN_TENANT"),
        (outcome("REFUSED", reason="USE_CASE_NOT_ALLOWED", message="?"), 403, "USE_CASE_NOT_ALLOWED"),
        (outcome("REFUSED", reason="REQUEST_ID_CONFLICT", message="?"), 409, "REQUEST_ID_CONFLICT"),
        (outcome("REFUSED", reason="RATE_LIMITED", message="?", retry_after_seconds=7), 429, "RATE_LIMITED"),
        (outcome("REFUSED", reason="TOO_MANY_IN_FLIGHT", message="?"), 429, "TOO_MANY_IN_FLIGHT"),
        (outcome("REFUSED", reason="GUARDRAIL_BLOCKED", message="?"), 422, "GUARDRAIL_BLOCKED"),
        (outcome("REFUSED", reason="REJECTED", message="?"), 422, "REJECTED"),
        (outcome("FAILED", reason="MODEL_UNAVAILABLE", message="?"), 502, "MODEL_UNAVAILABLE"),
    ],
)
def test_each_outcome_has_its_status(submit, machine, record, status, code):
    machine.record = record

    answered, body = submit(BODY)

    assert answered == status
    assert body.get("error", {}).get("code") == code
    assert "answer" not in body


def test_a_machine_that_takes_too_long_leaves_where_to_look(submit, machine):
    machine.error = workflows.StillRunning()

    assert submit(BODY) == (202, {"request_id": "r-1", "status": "ADMITTED"})


def test_a_machine_that_failed_after_the_claim_leaves_it_to_the_sweeper(submit, machine, requests):
    machine.error = workflows.ExecutionFailed("Unrecorded")
    requests.put_item(Item={"request_key": "acme#r-1", "status": "ADMITTED"})

    assert submit(BODY)[0] == 202


def test_a_machine_that_failed_before_the_claim_asks_for_another_call(submit, machine):
    machine.error = workflows.ExecutionFailed("Unadmitted")

    status, body = submit(BODY)

    assert (status, body["error"]["code"], body["error"]["retry_after_seconds"]) == (503, "UNAVAILABLE", 5)


def test_an_id_is_made_where_none_came(submit, machine):
    machine.error = workflows.StillRunning()

    _, body = submit({"use_case": "general_question", "query": "How long?"})

    assert machine.inputs[0]["detail"]["request_id"] == body["request_id"]
    assert len(body["request_id"]) == 36


def test_a_large_body_goes_by_reference(submit, machine):
    machine.error = workflows.StillRunning()
    large = BODY | {"query": "x" * MAX_RENDERED_BYTES}

    assert submit(large)[0] == 202

    [started] = machine.inputs
    assert started.keys() == {"tenant", "user_id", "detail_ref"}
    assert json.loads(payloads.get(started["detail_ref"])) == large


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ("", 400, "body"),
        ("{", 400, "body"),
        ("[]", 400, "body"),
        ("7", 400, "body"),
        ("null", 400, "body"),
        ('{"query": NaN}', 400, "body"),
        ('{"query": 1e999}', 400, "query"),
        ('{"query": "\\ud83d"}', 400, "query"),
        ('{"query": "\\u0000"}', 400, "query"),
        ('{"metadata": ' + '{"a":' * 50 + "1" + "}" * 51, 400, "metadata" + ".a" * 7),
        ("[" * 100_000, 400, "body"),
        ("9" * 5000, 400, "body"),
        ({"use_case": "general_question"}, 400, "query"),
        (BODY | {"request_id": "../x"}, 400, "request_id"),
        (BODY | {"request_id": "x" * 5000}, 400, "request_id"),
        (BODY | {"query": 7}, 400, "query"),
        (BODY | {"user_id": "somebody"}, 400, "user_id"),
        (BODY | {"subject_id": "somebody"}, 400, "subject_id"),
        (BODY | {"tenant": "globex"}, 400, "tenant"),
        (BODY | {"query": "x" * MAX_BODY_BYTES}, 413, None),
    ],
)
def test_a_body_that_cannot_be_read_starts_nothing(submit, machine, body, status, field):
    answered, said = submit(body)

    assert (answered, said["error"].get("field")) == (status, field)
    assert said["error"]["message"]
    assert machine.inputs == []


@pytest.mark.parametrize(
    "groups",
    [
        ["tenant-acme"],
        ["reviewers", "tenant-acme"],
        ["operators", "tenant-acme"],
        ["callers"],
        ["callers", "tenant-acme", "tenant-globex"],
    ],
)
def test_only_a_caller_of_one_tenant_asks(submit, machine, groups):
    status, body = submit(BODY, *groups)

    assert (status, body["error"]["code"]) == (403, "FORBIDDEN")
    assert machine.inputs == []


def test_another_user_s_answer_is_not_told(submit, machine):
    machine.record = outcome("COMPLETED", answer="Eleven hours.", user_id="somebody-else")

    status, body = submit(BODY)

    assert status == 200
    assert "answer" not in body
