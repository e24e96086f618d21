"""Odd bodies sent to a running cloud: what is accepted has an outcome or a letter, and none keeps back another."""

import io
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from odd_json import odd_bodies
from typer.testing import CliRunner

from bulwark.cli import app
from bulwark.cli.target import Target
from bulwark.documents import read_text
from bulwark.local.cloud import Cloud, start
from bulwark.rules import ROOT

DETAIL = {"use_case": "general_question", "query": "What is 17 % of 250?"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with start(template=ROOT / "template.yaml", policy=ROOT / "policies" / "runtime.json", schedules=False) as running:
        yield running


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def put(cloud: Cloud, *details: str) -> list[dict]:
    entries = [
        {
            "EventBusName": cloud.outputs["EventBusName"],
            "Source": "acme.app",
            "DetailType": "InferenceRequested",
            "Detail": detail,
        }
        for detail in details
    ]
    return cloud.client("events").put_events(Entries=entries)["Entries"]


def taken(target: Target) -> list[dict]:
    """The letters that are there; they are taken out."""
    sqs, queue, found = target.client("sqs"), target.outputs["DeadLetterQueueUrl"], []
    while got := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in got:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        found += got
    return found


def records(cloud: Cloud) -> dict[str, dict]:
    """Ended requests, by the event that they came with or by their id."""
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=cloud.outputs["RequestsTable"])
    items = [item for page in pages for item in page["Items"] if item["status"]["S"] != "ADMITTED"]
    named = {item["source_event_id"]["S"]: item for item in items if "source_event_id" in item}
    return named | {item["request_id"]["S"]: item for item in items}


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def id_in(detail: str) -> str:
    return json.loads(detail)["request_id"] if '"request_id": "odd-' in detail else "-"


def test_nothing_that_the_bus_accepts_is_without_an_outcome_or_a_letter(cloud, target):
    odd = [
        body.decode("utf-8", "replace").strip() or "{}"
        for number in range(150)
        for body in odd_bodies(number, 1, DETAIL | {"request_id": f"odd-{number}"})
    ]
    deep = [json.dumps(DETAIL)[:-1] + f', "{name}": {nested(n)}}}' for name in ("metadata", "passages", "history")
            for n in (8, 50, 98, 99, 900, 5_000)]  # fmt: skip
    accepted, refused, good, parked = {}, [], [], set()
    for number, start_ in enumerate(range(0, len(odd + deep), 9)):
        batch = (odd + deep)[start_ : start_ + 9]
        told = put(cloud, *batch, json.dumps(DETAIL | {"request_id": f"good-{number}"}))
        accepted |= {one["EventId"]: detail for one, detail in zip(told, batch, strict=False) if "EventId" in one}
        refused += [one for one in told[:-1] if "EventId" not in one]
        good.append(f"good-{number}")

    def missing() -> set[str]:
        known = records(cloud)
        parked.update(json.loads(one["Body"])["id"] for one in taken(target))
        left = {name for name in accepted if name not in known and name not in parked}
        # What is no odd request at all stands under its own id.
        return {name for name in left if id_in(accepted[name]) not in known} | {*good} - known.keys()

    deadline = time.monotonic() + 120
    while (left := missing()) and time.monotonic() < deadline:
        time.sleep(0.5)

    assert len(refused) > 20 and len(accepted) > 20
    assert all(one["ErrorCode"] == "MalformedDetail" and one["ErrorMessage"].isprintable() for one in refused)
    assert not {accepted.get(one, one) for one in left}


def test_every_call_is_answered_and_none_by_a_fault_of_ours(cloud, target):
    api = target.sign_in("Caller")
    statuses = []
    for body in odd_bodies(22, 200, DETAIL | {"request_id": "odd-call"}):
        request = urllib.request.Request(
            f"{api._url}/inferences",
            data=body,
            headers={"authorization": f"Bearer {api._token}", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                statuses.append(response.status)
        except HTTPError as error:
            statuses.append(error.code)
            assert json.loads(error.read())["error"]["message"].isprintable()

    assert set(statuses) <= {200, 202, 400, 409} and statuses.count(400) > 50


def park(target: Target, body: str, **attributes: str) -> None:
    target.client("sqs").send_message(
        QueueUrl=target.outputs["DeadLetterQueueUrl"],
        MessageBody=body,
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def event(request_id: str, **more: object) -> str:
    detail = DETAIL | {"request_id": request_id} | more
    return json.dumps({"id": f"e-{request_id}", "account": "123456789012", "source": "acme.app", "detail": detail})


POISON = {
    "deep": '{"id": "e", "detail": {"metadata": ' + nested(3_000) + "}}",
    "deepest": nested(100_000),
    "endless": event("endless").replace('"What', "1e400, " + '"x": "What'),
    "no number": event("none").replace('"e-none"', "NaN"),
    "no json": "no json",
    "list": "[1]",
    "nothing": "{}",
    "odd id": '{"id": {"a": 1}, "detail": {}}',
    "odd batch": '{"DDBStreamBatchInfo": [1]}',
    "odd context": '{"DDBStreamBatchInfo": {"streamArn": "x"}, "requestContext": 7}',
    "gone": '{"id": "e", "detail_ref": "events/gone.json"}',
}


def test_one_poison_letter_keeps_back_no_other_and_what_can_only_fail_ends(target, cloud, bulwark):
    for reason, body in POISON.items():
        park(target, body, kind="event", reason=reason)
        park(target, event(f"beside-{reason.replace(' ', '-')}"), kind="event", reason="PolicyUnavailable")

    planned = json.loads(bulwark("replay-dlq", "--dry-run", "--json").stdout)
    replayed = json.loads(bulwark("replay-dlq", "--json", ends=1).stdout)
    left = {one["reason"]: one for one in replayed if not one["replayed"]}

    assert len(planned) == len(replayed) == 2 * len(POISON)
    assert left.keys() == POISON.keys() and all(one["can_only_fail"] for one in left.values())
    assert "deeper than 100 levels" in left["deep"]["result"]
    text = bulwark("replay-dlq", ends=1)
    assert "can only fail" in " ".join(text.stdout.split()) and "--drop-unreadable" in text.stderr

    dropped = json.loads(bulwark("replay-dlq", "--drop-unreadable", "--json").stdout)

    assert {one["reason"] for one in dropped if one["dropped"]} == POISON.keys()
    assert all("bytes, sha256 " in one["result"] for one in dropped)
    assert "is empty" in bulwark("replay-dlq").stdout
    wait_for(lambda: sum(name.startswith("beside-") for name in records(cloud)) == len(POISON))


def test_letters_in_other_hands_are_named_and_the_queue_is_not_called_empty(target, bulwark):
    sqs, queue = target.client("sqs"), target.outputs["DeadLetterQueueUrl"]
    park(target, event("in-flight"), kind="event", reason="PolicyUnavailable")
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]

    told = bulwark("replay-dlq", ends=1)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    assert "in flight when this began, and not looked at: 1" in told.stderr and "empty" not in told.stdout


def test_what_fails_for_another_reason_stays_and_says_which(target, cloud, bulwark):
    park(target, event("refused"), kind="event", reason="first")
    park(target, event("fine"), kind="event", reason="second")
    cloud.load_faults({"services": [{"service": "states", "error": "AccessDeniedException", "contains": "e-refused"}]})

    told = {one["reason"]: one for one in json.loads(bulwark("replay-dlq", "--json", ends=1).stdout)}
    cloud.clear_faults()

    assert told["second"]["replayed"] and not told["first"]["replayed"] and not told["first"]["can_only_fail"]
    assert "AccessDeniedException" in told["first"]["result"]
    assert json.loads(bulwark("replay-dlq", "--json").stdout)[0]["replayed"]


# --- files that people write ------------------------------------------------------------------------


ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_files_are_read_in_any_encoding_that_is_plain(bulwark, cloud, tmp_path, encoding):
    questions, faults, policy = (tmp_path / name for name in ("q.jsonl", "faults.json", "policy.json"))
    detail = DETAIL | {"request_id": f"in-{encoding}", "query": "Wie hei\u00dft der gr\u00f6\u00dfte Planet?"}
    questions.write_bytes(f"{json.dumps(detail, ensure_ascii=False)}\r\n\r\n".encode(encoding))
    faults.write_bytes(json.dumps({"faults": []}).encode(encoding))
    policy.write_bytes((ROOT / "policies" / "runtime.json").read_text().encode(encoding))

    assert json.loads(bulwark("send", questions, "--json").stdout)["requests"] == 1
    bulwark("faults", faults)
    bulwark("policy", "deploy", policy)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "is nested deeper than 100 levels"),
        ('{"a": 1e400}', "too large"),
        ('{"a": NaN}', "no number of JSON"),
        ("{", "is not JSON"),
        (b"\xff\xff", "is not UTF-8 at byte 0; save it as UTF-8"),
        ('{"a": "\ud83d"}'.encode("utf-8", "surrogatepass"), "half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize(
    ("command", "ends"),
    [(["send"], 2), (["plant"], 2), (["faults"], 2), (["policy", "deploy"], 4)],
)
def test_a_file_that_cannot_be_read_is_told_by_its_name(bulwark, tmp_path, command, ends, text, says):
    file = tmp_path / "odd.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())

    told = bulwark(*command, file, ends=ends).stderr

    assert str(file) in told and says in told and len(told.splitlines()) <= 2


def test_a_line_is_named_by_its_number(bulwark, tmp_path):
    file = tmp_path / "odd.jsonl"
    file.write_text(json.dumps(DETAIL) + "\n\n" + "[" * 5_000 + "\n")

    assert f"{file}, line 3, is nested deeper than 100 levels" in bulwark("send", file, ends=2).stderr


@pytest.mark.parametrize(
    "what",
    [
        "[]",
        "7",
        "null",
        '{"faults": 7}',
        '{"faults": [7]}',
        '{"faults": [{"kind": []}]}',
        '{"faults": [{"kind": "latency", "count": "x"}]}',
        '{"faults": [{"kind": "empty", "schedule": {"on_seconds": "x"}}]}',
        '{"services": [7]}',
        '{"services": {}}',
    ],
)
def test_faults_that_are_none_are_told_in_a_sentence(cloud, tmp_path, what):
    (tmp_path / "faults.json").write_text(what)

    result = CliRunner().invoke(app, ["faults", str(tmp_path / "faults.json"), "--endpoint", cloud.endpoint])

    assert result.exit_code in (2, 4)
    assert "fault" in result.stderr and "Error" not in result.stderr


@pytest.mark.parametrize("call", ["faults", "kill-workers"])
@pytest.mark.parametrize("body", [b"[]", b"[" * 100_000, b"\xff\xff", b"7"])
def test_a_control_call_is_refused_in_a_sentence(cloud, call, body):
    method = "PUT" if call == "faults" else "POST"
    kind = {"content-type": "application/json"}
    request = urllib.request.Request(f"{cloud.endpoint}/_bulwark/{call}", data=body, headers=kind, method=method)

    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)

    assert refused.value.code == 400 and json.loads(refused.value.read())["error"].startswith("the body ")


def test_a_service_s_call_that_is_too_deep_is_the_caller_s_fault(cloud):
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request",
        "X-Amz-Target": "DynamoDB_20120810.PutItem",
        "Content-Type": "application/x-amz-json-1.0",
    }
    body = ('{"a":' * 5_000 + "1" + "}" * 5_000).encode()
    request = urllib.request.Request(cloud.endpoint, data=body, headers=headers, method="POST")

    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)

    assert refused.value.code == 400 and b"SerializationException" in refused.value.read()


@pytest.mark.parametrize("encoding", ["utf-8", *ENCODINGS])
def test_an_answer_is_read_from_stdin_as_from_a_file(tmp_path, monkeypatch, encoding):
    data = "Gr\u00fc\u00dfe".encode(encoding)
    (tmp_path / "answer.txt").write_bytes(data)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="cp1252"))

    assert read_text(tmp_path / "answer.txt") == read_text(Path("-")) == "Gr\u00fc\u00dfe"


def test_a_file_that_is_not_there_is_told(bulwark, tmp_path):
    assert (
        f"{tmp_path / 'none'} cannot be read: No such file or directory."
        in bulwark("send", tmp_path / "none", ends=2).stderr
    )
