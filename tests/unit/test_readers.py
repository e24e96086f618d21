"""Two thousand odd bodies through every reader: each is read or refused in a line of ours, and none is lost."""

import base64
import json
from contextlib import suppress
from pathlib import Path

import pytest
from odd_json import odd_bodies

from adapters import workflows
from adapters.api.http import Refused, body_of
from adapters.schemas import SchemaViolated
from bulwark.cli import dead_letters as replaying
from bulwark.cli.exits import Problem
from bulwark.cli.policy import check_document
from bulwark.cli.questions import read_details
from bulwark.documents import Unreadable, read_document, read_lines
from bulwark.local.bedrock.conversation import Conversation
from bulwark.local.bedrock.errors import BedrockError
from bulwark.local.bedrock.openai_compatible import complete
from domain.foreign_json import MAX_LEVELS
from domain.governance.audit_chain import Broken, open_digest
from domain.policy import PolicyInvalid
from domain.requests import RequestRefused
from inference.admit.admission import Admission
from inference.admit.check_body import check_body
from inference.admit.read_body import read_body
from policy import validate_policy
from recovery import recover_event

DETAIL = {"request_id": "r-1", "use_case": "general_question", "query": "Why?"}
EVENT = {"id": "e-1", "account": "123456789012", "source": "acme.app", "detail": DETAIL}
COMPLETION = {
    "choices": [{"message": {"content": "Because."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
BODIES = list(odd_bodies(8, 2_000, DETAIL))
EVENTS = list(odd_bodies(9, 2_000, EVENT))


def one_line(error: Exception) -> None:
    assert str(error).isprintable() and len(str(error)) < 500


def test_the_bodies_are_of_every_kind():
    assert len(set(BODIES)) > 500
    assert sum(body.count(b"[") > MAX_LEVELS or body.count(b"{") > MAX_LEVELS for body in BODIES) > 100
    assert json.dumps(DETAIL)[:20].encode() in b"".join(BODIES)


def test_bodies_of_calls():
    for body in BODIES:
        try:
            body_of({"body": base64.b64encode(body).decode(), "isBase64Encoded": True})
        except (RequestRefused, Refused) as error:
            one_line(error)


def test_bodies_of_events(rules, monkeypatch):
    came = Admission({"source": "acme.app"}, "execution-1", "123456789012", 0.0, rules, tenant=rules.tenants["acme"])
    passed = 0
    for body in BODIES:
        monkeypatch.setattr("adapters.payloads.get", lambda _, body=body: body)
        details = [read_body(came._replace(event={"detail_ref": "events/1.json"})).detail]
        with suppress(ValueError, RecursionError):
            # As the Lambda runtime reads what was small enough for it.
            details.append(read_body(came._replace(event={"detail": json.loads(body)})).detail)
        for detail in details:
            try:
                passed += check_body(came._replace(detail=detail)).request is not None
            except RequestRefused as error:
                one_line(error)
    assert 0 < passed < len(BODIES)


def test_large_events_are_each_restarted_or_parked(monkeypatch, context):
    parked, started = [], []
    monkeypatch.setattr(recover_event, "MAX_INPUT_BYTES", 0)
    monkeypatch.setattr(recover_event.dead_letters, "park", lambda kind, body, reason: parked.append(reason))
    monkeypatch.setattr(recover_event.payloads, "put_event", lambda body: "events/1.json")
    monkeypatch.setattr(workflows, "start_inference", lambda reference, name: started.append(reference))
    texts = [body.decode("utf-8", "replace") or " " for body in EVENTS]

    for start in range(0, len(texts), 10):
        records = [{"messageId": str(n), "body": text} for n, text in enumerate(texts[start : start + 10])]
        assert recover_event.handler({"Records": records}, context) == {"batchItemFailures": []}

    assert len(parked) + len(started) == len(texts) and parked and started
    assert all(reason.isprintable() and reason.startswith("it can only fail") for reason in parked)


@pytest.mark.parametrize("kind", ["event", "outcome", "audit", "stream", None])
def test_dead_letters_are_each_planned(kind):
    for body in EVENTS if kind == "event" else BODIES:
        text = body.decode("utf-8", "replace").replace("request_id", "request_key").replace("use_case", "audit")
        text = text.replace("query", "DDBStreamBatchInfo") if kind == "stream" else text
        attributes = {"kind": {"StringValue": kind}} if kind else {}

        letter = replaying._read({"Body": text, "MessageAttributes": attributes})

        assert {"kind", "about", "reason", "plan", "replay", "hopeless"} == letter.keys()
        assert all(isinstance(letter[name], str) for name in ("kind", "about", "reason", "plan"))


def test_files_of_json_lines(tmp_path):
    for body in BODIES:
        (tmp_path / "odd.jsonl").write_bytes(body)
        for read in (read_lines, read_details):
            try:
                read(tmp_path / "odd.jsonl")
            except (Unreadable, Problem) as error:
                one_line(error)
                assert "odd.jsonl" in str(error)


def test_policies(tmp_path: Path, policy_document, context):
    for body in odd_bodies(10, 400, policy_document):
        (tmp_path / "policy.json").write_bytes(body)
        try:
            check_document(read_document(tmp_path / "policy.json"))
        except (Unreadable, Problem) as error:
            one_line(error)
        try:
            validate_policy.handler({"content": base64.b64encode(body).decode()}, context)
        except (ValueError, SchemaViolated, PolicyInvalid) as error:
            one_line(error)


def test_a_model_servers_answers(monkeypatch):
    asked = Conversation.parse({"messages": [{"role": "user", "content": [{"text": "Why?"}]}]})
    for body in odd_bodies(11, 2_000, COMPLETION):
        monkeypatch.setattr("bulwark.local.bedrock.openai_compatible._Call.post", lambda *_, body=body: body)
        try:
            text, stop_reason, usage = complete("http://127.0.0.1:1", "model", asked)
        except BedrockError as error:
            assert error.code == "ModelErrorException"
        else:
            assert isinstance(text, str) and isinstance(stop_reason, str)
            assert all(isinstance(count, int) and count >= 0 for count in usage.values())


def test_digests_of_the_audit_log():
    for body in BODIES:
        with pytest.raises(Broken):
            open_digest(body)
