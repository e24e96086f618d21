"""Erases a person whose requests met every fate, and searches each store for what they were called and said."""

import base64
import hashlib
import json
import threading
import time
import uuid

import boto3
import pytest
from click.testing import Result
from typer.testing import CliRunner

from adapters import dynamodb, root_key, subject_keys, workflows
from adapters.governance import erasures_table
from bulwark.cli import app, erasures
from bulwark.cli.target import started
from workflows.conftest import Bulwark, plain, wait_for


def erase(bulwark: Bulwark, subject: str, **more) -> str:
    """Ask for an erasure as our own command does; gives its id."""
    detail = {"subject_id": subject, "reason": "SUBJECT_REQUEST", "requested_by": "privacy-desk", "tenant": "acme"}
    answer = bulwark.invoke("RequestErasureFunction", {"source": "bulwark", "detail": detail | more})
    assert answer["erasure_id"], answer
    return answer["erasure_id"]


def erasure(bulwark: Bulwark, erasure_id: str) -> dict:
    return bulwark.item("ControlTable", {"control_key": f"erasure#{erasure_id}"})


def ended(bulwark: Bulwark, erasure_id: str) -> dict:
    def done() -> dict | None:
        record = erasure(bulwark, erasure_id)
        return record if record["status"] == "DONE" else None

    # Each looks into two queues twice, a second each, and may have to do so three times.
    return wait_for(done, f"erasure {erasure_id} to end", 300)


def receipt(bulwark: Bulwark, record: dict) -> dict:
    body = bulwark.cloud.client("s3").get_object(Bucket=bulwark.outputs["PayloadBucket"], Key=record["receipt_ref"])
    return json.loads(body["Body"].read())["receipt"]


def everything(bulwark: Bulwark) -> dict[str, str]:
    """What the stores hold, byte by byte, by where it is."""
    client, found = bulwark.cloud.client, {}
    for table in client("dynamodb").list_tables()["TableNames"]:
        pages = client("dynamodb").get_paginator("scan").paginate(TableName=table)
        found[f"table {table}"] = json.dumps([plain(item) for page in pages for item in page["Items"]], default=str)
    bucket = bulwark.outputs["PayloadBucket"]
    for one in client("s3").list_object_versions(Bucket=bucket).get("Versions", []):
        body = client("s3").get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        found[f"object {one['Key']}"] = one["Key"] + body.decode()
    for name in ("DeadLetterQueueUrl", "UndeliveredQueueUrl"):
        received = client("sqs").receive_message(
            QueueUrl=bulwark.outputs[name], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        found[f"queue {name}"] = json.dumps([one["Body"] for one in received.get("Messages", [])])
    for group in client("logs").describe_log_groups()["logGroups"]:
        pages = client("logs").get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        found[f"log {group['logGroupName']}"] = json.dumps([event for page in pages for event in page["events"]])
    states = client("stepfunctions")
    for machine in ("ErasureStateMachineArn", "HumanReviewStateMachineArn"):
        for one in states.list_executions(stateMachineArn=bulwark.outputs[machine], maxResults=1000)["executions"]:
            pages = states.get_paginator("get_execution_history").paginate(executionArn=one["executionArn"])
            history = [event for page in pages for event in page["events"]]
            described = states.describe_execution(executionArn=one["executionArn"])
            found[f"history {one['executionArn']}"] = json.dumps([history, described], default=str)
    return found


def live_through_every_fate(bulwark: Bulwark, person: str, canary: str) -> dict[str, str]:
    """Requests about a person that are released, held, edited, audited, large, refused, parked; their ids by fate."""
    mine = {"subject_id": person, "session_id": f"s-{canary}", "query": f"Is {canary} a ledger?"}
    sent = {
        "released": bulwark.send("sure", **mine, user_id=person),
        "held": bulwark.send("unsure", **mine),
        "edited": bulwark.send("unsure", **mine),
        "commented": bulwark.send("two_eyes_more", **mine),
        "audited": bulwark.send("audited", **mine),
        "kept": bulwark.send("storing", **mine),
    }
    book = [{"id": "b", "text": f"{canary}. " + "A ledger is a book of accounts. " * 9_000}]
    sent["large"] = bulwark.send("sure", **mine, passages=book)
    sent["refused"] = bulwark.send("nothing_like_it", **mine)
    for fate in ("edited", "commented"):
        bulwark.open_review(sent[fate])
    edit = f"No, {canary} is a book. " * 700
    status, said = bulwark.decide(bulwark.record(sent["edited"])["review_id"], "EDIT", answer=edit)
    assert status == 200, said
    bulwark.decide(bulwark.record(sent["commented"])["review_id"], "APPROVE", comment=canary)
    function = bulwark.cloud.stack.physical_id("AdmitRequestFunction")
    fault = {"service": "lambda", "error": "ResourceNotFoundException", "contains": function, "count": 1}
    bulwark.outcome(sent["large"])
    bulwark.cloud.load_faults({"services": [fault]})
    bulwark.send("sure", **mine)
    time.sleep(0.5)
    bulwark.cloud.clear_faults()
    wait_for(lambda: canary in everything(bulwark)["queue DeadLetterQueueUrl"], "the parked event")
    bulwark.outcome(sent["edited"], "COMPLETED")
    bulwark.open_review(sent["held"])
    for request_id in sent.values():
        bulwark.announced(request_id)
    return sent


def test_a_person_is_forgotten_everywhere_and_nobody_else(bulwark):
    canary, other = f"canary{uuid.uuid4().hex}", f"other{uuid.uuid4().hex}"
    sent = live_through_every_fate(bulwark, f"person-{canary}", canary)
    others = live_through_every_fate(bulwark, f"person-{other}", other)
    before = everything(bulwark)
    assert {place.split()[0] for place, text in before.items() if canary in text} == {"table", "object", "queue"}

    record = ended(bulwark, erase(bulwark, f"person-{canary}"))

    after = everything(bulwark)
    assert [place for place, text in after.items() if canary in text] == []
    assert [place for place, text in after.items() if any(one in text for one in sent.values()) and "#" in place] == []
    given = receipt(bulwark, record)
    assert given["outcome"] == "ERASED" and given["erased"]["DeadLetterQueue"] == 1
    assert given["erased"]["RequestsTable"] == 8 and not any(given["found_by_search"].values())
    [told] = [event for event in bulwark.announced(sent["held"], "InferenceFailed")]
    assert told["detail"]["reason"] == "SUBJECT_ERASED"
    assert bulwark.review_states(told["detail"].get("review_id") or review_of(sent["held"]))[-1] == "ReturnDecision"

    assert other in after["queue DeadLetterQueueUrl"]
    assert {place for place, text in before.items() if other in text and place.split()[0] == "object"} <= set(after)
    for fate, request_id in others.items():
        assert bulwark.record(request_id), fate
    assert bulwark.decide(bulwark.record(others["held"])["review_id"], "APPROVE")[0] == 200
    bulwark.dead_letters()


def review_of(request_id: str) -> str:
    return "r-" + hashlib.sha256(f"acme#{request_id}".encode()).hexdigest()[:32]


def test_who_is_not_known_is_said_to_be_unknown(bulwark):
    record = ended(bulwark, erase(bulwark, f"nobody-{uuid.uuid4().hex}"))

    assert receipt(bulwark, record)["outcome"] == "UNKNOWN_SUBJECT"


def test_an_application_s_event_starts_it_and_is_not_in_its_history(bulwark):
    person = f"person-{uuid.uuid4().hex}"
    bulwark.outcome(bulwark.send("sure", user_id=person))
    entry = {
        "EventBusName": bulwark.outputs["EventBusName"],
        "Source": "acme.app",
        "DetailType": "ErasureRequested",
        "Detail": json.dumps({"subject_id": person, "reason": "SUBJECT_REQUEST", "requested_by": "privacy-desk"}),
    }
    bulwark.cloud.client("events").put_events(Entries=[entry, entry])

    wait_for(lambda: not any(person in text for text in everything(bulwark).values()), "the person to be forgotten")


def test_a_hold_delays_it_and_its_end_resumes_it(bulwark, law):
    person = f"person-{uuid.uuid4().hex}"
    request_id = bulwark.send("sure", user_id=person)
    ref = bulwark.outcome(request_id)["subject_ref"]
    law.hold(ref, "acme", "legal", "case-7", time.time())

    erasure_id = erase(bulwark, person)

    wait_for(lambda: erasures_table.waiting_token(ref), "the erasure to wait")
    assert erasure(bulwark, erasure_id)["status"] == "WAITING" and bulwark.record(request_id)
    wait_for(lambda: told(bulwark, "ErasureDelayed", erasure_id), "the delay to be told")
    lift = {"tenant": "acme", "subject_id": person, "by": "legal", "reason": "the case is closed"}
    assert bulwark.invoke("LiftHoldFunction", lift)["standing"] == "LIFTED"
    assert ended(bulwark, erasure_id)["outcome"] == "ERASED"
    assert bulwark.record(request_id) is None
    wait_for(lambda: told(bulwark, "SubjectErased", erasure_id), "the end to be told")


def told(bulwark: Bulwark, detail_type: str, erasure_id: str) -> list[dict]:
    bulwark._drain()
    found = [event for event in bulwark.seen if event["detail-type"] == detail_type]
    return [event for event in found if event["detail"]["erasure_id"] == erasure_id]


@pytest.fixture
def law(bulwark, monkeypatch):
    """The subjects' keys as the functions use them, in this process, and the one who lifts a hold."""
    where = {
        "endpoint_url": bulwark.cloud.endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "local",
        "aws_secret_access_key": "local",
    }
    client = boto3.resource("dynamodb", **where).meta.client
    for module in (dynamodb, root_key, subject_keys, erasures_table):
        monkeypatch.setattr(module, "client", client)
    monkeypatch.setattr(root_key, "kms", boto3.client("kms", **where))
    machines = boto3.client("stepfunctions", **where)
    monkeypatch.setattr(workflows, "client", lambda: machines)
    monkeypatch.setenv("KEYS_TABLE", bulwark.outputs["KeysTable"])
    monkeypatch.setenv("CONTROL_TABLE", bulwark.outputs["ControlTable"])
    monkeypatch.setenv("SUBJECTS_KEY", bulwark.cloud.stack.resources["SubjectsKey"].attributes["Arn"])
    monkeypatch.setattr(root_key, "_root", None)
    return subject_keys


@pytest.mark.parametrize("seed", range(2))
def test_workers_that_die_in_the_middle_cost_time_and_nothing_else(bulwark, seed):
    canary = f"canary{uuid.uuid4().hex}"
    person = f"person-{canary}"
    held = [bulwark.send("unsure", user_id=person, query=f"Is {canary} a ledger?") for _ in range(3)]
    for request_id in held:
        bulwark.open_review(request_id)
    erasure_id, over = erase(bulwark, person), threading.Event()

    def kill() -> None:
        while not over.wait(0.15):
            bulwark.cloud.functions.kill_workers()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    over.wait(6)
    over.set()
    killer.join()

    assert ended(bulwark, erasure_id)["outcome"] == "ERASED"
    assert [place for place, text in everything(bulwark).items() if canary in text] == []


def test_a_restored_table_is_erased_again_and_a_new_life_is_not(bulwark):
    table, client = bulwark.outputs["RequestsTable"], bulwark.cloud.client("dynamodb")
    gone, stays = f"person-{uuid.uuid4().hex}", f"person-{uuid.uuid4().hex}"
    old, others = bulwark.send("sure", user_id=gone), bulwark.send("sure", user_id=stays)
    for request_id in (old, others):
        bulwark.outcome(request_id)
    backup = client.scan(TableName=table)["Items"]
    ended(bulwark, erase(bulwark, gone))
    new = bulwark.send("sure", user_id=gone)
    bulwark.outcome(new)

    for item in backup:
        if bulwark.item("RequestsTable", {"request_key": item["request_key"]["S"]}) is None:
            client.put_item(TableName=table, Item=item)
    assert bulwark.record(old), "the backup brought them back"
    result = CliRunner().invoke(app, ["erasure", "reapply", "--wait", "--json", "--endpoint", bulwark.cloud.endpoint])

    assert result.exit_code == 0, result.output
    assert bulwark.record(old) is None and bulwark.record(new) and bulwark.record(others)
    [mine] = [one for one in json.loads(result.stdout) if one["erased"]["RequestsTable"]]
    assert mine["erased"]["RequestsTable"] == 1 and mine["outcome"] == "ERASED" and mine["reason"] == "RESTORED"


def test_the_command_forgets_and_its_receipt_holds_to_the_letter(bulwark, tmp_path):
    person = f"person-{uuid.uuid4().hex}"
    bulwark.outcome(bulwark.send("sure", user_id=person))

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, [*words, "--endpoint", bulwark.cloud.endpoint])

    told = run("erase", "acme", person, "--reason", "ACCOUNT_CLOSED", "--by", "desk-7", "--wait", "--json")
    assert told.exit_code == 0, told.output
    erasure_id = json.loads(told.stdout)["erasure_id"]
    assert erasure_id in run("erasures").stdout and "RequestsTable" in run("erasure", erasure_id).stdout

    file = tmp_path / "receipt.json"
    file.write_text(run("erasure", "receipt", erasure_id).stdout)
    given = json.loads(file.read_text())["receipt"]
    assert (given["reason"], given["requested_by"], given["keys_backup_days"]) == ("ACCOUNT_CLOSED", "desk-7", 1)
    assert person not in file.read_text()
    assert run("erasure", "verify-receipt", str(file)).exit_code == 0
    file.write_text(file.read_text().replace("desk-7", "desk-8"))
    assert run("erasure", "verify-receipt", str(file)).exit_code == 1
    assert run("erase", "nobody", person).exit_code == 4


def test_a_foreign_key_signs_no_receipt(bulwark, tmp_path):
    kms = bulwark.cloud.client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    given = {"erasure_id": "e-1", "outcome": "ERASED"}
    text = json.dumps(given, sort_keys=True, separators=(",", ":"))
    signed = hashlib.sha256(text.encode()).hexdigest().encode()
    signature = kms.sign(KeyId=key, Message=signed, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    for named in (key, bulwark.outputs["ReceiptKeyArn"]):
        document = {"receipt": given, "signature": base64.b64encode(signature).decode(), "key": named}
        assert erasures.fault_of(started(bulwark.cloud), json.dumps(document))


def test_a_dead_claim_is_ended_and_its_place_given_back(bulwark):
    """A request whose execution died long ago, and which the sweeper has not met yet."""
    person = f"person-{uuid.uuid4().hex}"
    request_id = bulwark.send("sure", user_id=person)
    record = bulwark.outcome(request_id)
    bulwark.cloud.client("dynamodb").update_item(
        TableName=bulwark.outputs["RequestsTable"],
        Key={"request_key": {"S": record["request_key"]}},
        UpdateExpression="SET #status = :admitted, admitted_at = :long_ago",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":admitted": {"S": "ADMITTED"}, ":long_ago": {"S": "2026-01-01T00:00:00.000Z"}},
    )
    key = {"control_key": record["in_flight_key"]}
    before = bulwark.item("ControlTable", key)["count"]

    ended(bulwark, erase(bulwark, person))

    assert bulwark.record(request_id) is None
    assert bulwark.item("ControlTable", key)["count"] == before - 1
    # The place was given back already when it was answered.
    bulwark.cloud.client("dynamodb").update_item(
        TableName=bulwark.outputs["ControlTable"],
        Key={"control_key": {"S": record["in_flight_key"]}},
        UpdateExpression="ADD #count :one",
        ExpressionAttributeNames={"#count": "count"},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def test_a_request_sent_meanwhile_is_answered_afterwards(bulwark):
    person = f"person-{uuid.uuid4().hex}"
    bulwark.outcome(bulwark.send("sure", user_id=person))
    erasure_id = erase(bulwark, person)
    wait_for(lambda: erasure(bulwark, erasure_id)["status"] != "REQUESTED", "the subject to be closed")
    meanwhile = bulwark.send("sure", user_id=person)

    ended(bulwark, erasure_id)

    assert bulwark.outcome(meanwhile, "COMPLETED")


def test_an_undelivered_wish_is_replayed_as_what_it_is(bulwark):
    person = f"person-{uuid.uuid4().hex}"
    request_id = bulwark.send("sure", user_id=person)
    bulwark.outcome(request_id)
    detail = {"subject_id": person, "reason": "SUBJECT_REQUEST", "requested_by": "desk"}
    event = {"id": "w-1", "account": "123456789012", "source": "acme.app", "detail-type": "ErasureRequested"}
    letter = json.dumps({"requestPayload": event | {"detail": detail}})
    bulwark.cloud.client("sqs").send_message(QueueUrl=bulwark.outputs["DeadLetterQueueUrl"], MessageBody=letter)

    result = CliRunner().invoke(app, ["replay-dlq", "--endpoint", bulwark.cloud.endpoint])

    assert result.exit_code == 0 and person not in result.stdout, result.output
    wait_for(lambda: bulwark.record(request_id) is None, "the person to be forgotten")


def test_what_keeps_coming_is_said_and_not_hidden(bulwark):
    person, over = f"person-{uuid.uuid4().hex}", threading.Event()
    record = bulwark.outcome(bulwark.send("sure", user_id=person))
    client, table = bulwark.cloud.client("dynamodb"), bulwark.outputs["RequestsTable"]

    def go_on_writing() -> None:
        while not over.wait(0.3):
            item = {"request_key": f"acme#w-{uuid.uuid4().hex}", "subject_ref": record["subject_ref"]}
            item |= {"status": "PLANTED", "tenant": "acme", "admitted_at": record["admitted_at"], "subject_id": person}
            client.put_item(TableName=table, Item={name: {"S": value} for name, value in item.items()})

    writer = threading.Thread(target=go_on_writing, daemon=True)
    writer.start()
    try:
        erasure_id = erase(bulwark, person)
        told = receipt(bulwark, ended(bulwark, erasure_id))
    finally:
        over.set()
        writer.join()

    assert (told["outcome"], told["rounds"]) == ("INCOMPLETE", 3) and told["found_by_search"]["RequestsTable"]
    machine = bulwark.outputs["ErasureStateMachineArn"]
    execution = f"{machine.replace(':stateMachine:', ':execution:')}:{erasure_id}-0"
    states = bulwark.cloud.client("stepfunctions")
    wait_for(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING", "the machine to end")
    assert states.describe_execution(executionArn=execution)["error"] == "StillFound"
    # Asked again once the writer is gone, it ends as promised.
    assert receipt(bulwark, ended(bulwark, erase(bulwark, person)))["outcome"] == "ERASED"
