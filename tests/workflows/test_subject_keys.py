"""Whose words a request's are: a subject who is being erased is closed for a while, and nothing of theirs is lost."""

import time
import uuid
from contextlib import contextmanager
from pathlib import Path

from workflows.conftest import Bulwark, wait_for


@contextmanager
def closed(bulwark: Bulwark, subject_ref: str):
    """A subject under erasure, whose key is dropped in the end."""
    dynamodb, table, key = (
        bulwark.cloud.client("dynamodb"),
        bulwark.outputs["KeysTable"],
        {"subject_ref": {"S": subject_ref}},
    )
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET erasure = :erasure",
        ExpressionAttributeValues={":erasure": {"M": {"erasure_id": {"S": "e-1"}}}},
    )
    yield
    dynamodb.delete_item(TableName=table, Key=key)


def test_a_request_whose_subject_is_being_erased_waits_and_is_answered_under_a_new_key(bulwark):
    subject = f"ana-{uuid.uuid4().hex}"
    before = bulwark.outcome(bulwark.send("delivered", user_id=subject))

    with closed(bulwark, before["subject_ref"]):
        request_id = bulwark.send("delivered", user_id=subject)
        somebody_else_s = bulwark.send("sure", user_id=f"ben-{uuid.uuid4().hex}")
        assert bulwark.outcome(somebody_else_s)["status"] == "COMPLETED"
        time.sleep(2)
        assert bulwark.record(request_id) is None

    after = bulwark.outcome(request_id)
    assert (after["status"], after["subject_ref"]) == ("COMPLETED", before["subject_ref"])
    assert after["subject_mac"] != before["subject_mac"], "the key is another one"
    [event] = bulwark.announced(request_id)
    assert event["detail"]["answer"]


def test_a_call_of_somebody_who_is_being_erased_is_told_at_once_to_come_again(bulwark):
    body = {"use_case": "sure", "query": "What is a ledger?"}
    status, answered = bulwark.call("POST", "/inferences", body)
    assert status == 200
    record = bulwark.record(answered["request_id"])

    with closed(bulwark, record["subject_ref"]):
        began = time.monotonic()
        status, refused = bulwark.call("POST", "/inferences", body)

        assert time.monotonic() - began < 20
        assert (status, refused["error"]["code"]) == (503, "UNAVAILABLE")
        assert refused["error"]["retry_after_seconds"] > 0

    assert bulwark.call("POST", "/inferences", body)[0] == 200
    # For a minute, who has just read for the caller opens words from memory; a new process has none.
    readers = bulwark.cloud.functions.workers("ReadInferenceFunction")
    bulwark.cloud.functions.kill_workers("ReadInferenceFunction", len(readers))
    wait_for(lambda: not any(Path(f"/proc/{reader}").exists() for reader in readers), "the readers to be gone")
    status, gone = bulwark.call("GET", f"/inferences/{answered['request_id']}")
    assert (status, gone["error"]["code"]) == (410, "GONE")
