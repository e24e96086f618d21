"""The audit log of the running stack: each decision once, no word of any request, and proof that it is whole."""

import json
import uuid
from collections import Counter

import pytest
from typer.testing import CliRunner

from bulwark.cli import app
from bulwark.cli.audit import Log, check, named_in_log
from bulwark.cli.target import started
from workflows.conftest import Bulwark, wait_for

CANARY = f"canary{uuid.uuid4().hex}"


def records(bulwark: Bulwark) -> list[dict]:
    return Log(started(bulwark.cloud)).records("")


def of(bulwark: Bulwark, request_id: str, last: str) -> list[dict]:
    """Wait until the log tells of a request's last step; gives all that it tells of it, each once."""

    def found() -> list[dict] | None:
        mine = [one for one in records(bulwark) if one.get("request_id") == request_id]
        return mine if last in {one["action"] for one in mine} else None

    return wait_for(found, f"the audit log to tell {last} of {request_id}")


def actions(told: list[dict]) -> Counter:
    return Counter(one["action"] for one in told)


ANSWERED = {"REQUEST_ADMITTED": 1, "MODEL_CALLED": 1, "GUARDRAIL_JUDGED": 1}


def test_a_released_answer_is_told_once(bulwark):
    request_id = bulwark.send("sure", query=f"Is {CANARY} a ledger?", user_id=CANARY)

    told = of(bulwark, request_id, "REQUEST_COMPLETED")

    assert actions(told) == {**ANSWERED, "REQUEST_COMPLETED": 1}


def test_a_person_s_decision_is_told_with_who_read_claimed_and_decided(bulwark):
    request_id = bulwark.send("unsure", query=f"Is {CANARY} a ledger?", user_id=CANARY)
    review = bulwark.open_review(request_id)
    token = review["task_token"]
    bulwark.decide(review["review_id"], "EDIT", answer=f"No, {CANARY} is a book.", comment=CANARY)
    bulwark.outcome(request_id, "COMPLETED")

    told = of(bulwark, request_id, "REQUEST_COMPLETED")
    told = of(bulwark, request_id, "REVIEW_DECIDED") and of(bulwark, request_id, "REVIEW_READ")

    reviewed = {"REVIEW_OPENED": 1, "REVIEW_CLAIMED": 1, "REVIEW_READ": 1, "REVIEW_VERDICT": 1, "REVIEW_DECIDED": 1}
    assert actions(told) == {**ANSWERED, "REQUEST_HELD": 1, **reviewed, "REQUEST_COMPLETED": 1}
    people = {one["actor"] for one in told if one["action"] in ("REVIEW_CLAIMED", "REVIEW_READ", "REVIEW_VERDICT")}
    assert len(people) == 1 and people != {"bulwark"}
    assert token not in json.dumps(told)


def test_a_refusal_and_a_failure_are_told(bulwark):
    refused = bulwark.send("no_such_use_case")
    bulwark.cloud.load_faults({"faults": [{"kind": "access_denied"}]})
    failed = bulwark.send("one_model")

    assert actions(of(bulwark, refused, "REQUEST_REFUSED")) == {"REQUEST_REFUSED": 1}
    told = of(bulwark, failed, "REQUEST_FAILED")
    assert actions(told) == {"REQUEST_ADMITTED": 1, "MODEL_CALLED": 1, "REQUEST_FAILED": 1}


def test_a_mode_and_a_policy_are_told(bulwark):
    run = CliRunner()
    endpoint = ["--endpoint", bulwark.cloud.endpoint]
    why = ["--reason", CANARY]
    assert run.invoke(app, ["mode", "set", "ailing", "cheaper", *why, *endpoint]).exit_code == 0
    assert run.invoke(app, ["mode", "clear", "ailing", *endpoint]).exit_code == 0
    bulwark.invoke(bulwark.cloud.stack.physical_id("DetectIncidentsFunction"), {})

    def told() -> tuple[list[str], set[str]]:
        everything = records(bulwark)
        mine = [one for one in everything if one.get("use_case") == "ailing" and one["actor"] == "operator"]
        policies = {one["policy_version"] for one in everything if one["action"] == "POLICY_CHANGED"}
        return [one["action"] for one in mine], policies

    def is_whole() -> bool:
        # Others set modes and find policies, too: only one's own records tell that the log has come so far.
        modes, policies = told()
        return len(modes) >= 2 and "tests" in policies

    wait_for(is_whole, "both of its modes and the policy in the log")
    modes, policies = told()
    assert modes == ["MODE_SET", "MODE_LIFTED"]
    assert "tests" in policies


def test_a_function_that_dies_leaves_a_log_that_verifies_and_lacks_nothing(bulwark):
    """RecordAudit within its call to S3, and WriteDigest between its digest and its word about it."""
    after_put = {
        "service": "s3",
        "operation": "PutObject",
        "error": "AccessDenied",
        "contains": "records/",
        "after": True,
    }
    head = {
        "service": "dynamodb",
        "operation": "UpdateItem",
        "error": "AccessDeniedException",
        "contains": "audit-head",
    }
    bulwark.cloud.load_faults({"services": [after_put | {"count": 2}, head]})
    request_id = bulwark.send("sure")
    told = of(bulwark, request_id, "REQUEST_COMPLETED")
    digests = bulwark.cloud.stack.physical_id("WriteDigestFunction")
    _, error = bulwark.cloud.functions.invoke(digests, {})
    bulwark.cloud.clear_faults()

    assert error, "it wrote its digest and died"
    assert actions(told) == {**ANSWERED, "REQUEST_COMPLETED": 1}
    assert check(started(bulwark.cloud)).flaws == []
    bulwark.invoke(digests, {})
    found = check(started(bulwark.cloud))
    assert (found.flaws, found.unsealed) == ([], 0)


@pytest.fixture
def bulwark_says(bulwark):
    def run(*arguments: str, ends: int = 0):
        result = CliRunner().invoke(app, ["audit", *arguments, "--endpoint", bulwark.cloud.endpoint])
        assert result.exit_code == ends, result.output + repr(result.exception)
        return result.stdout

    return run


def test_the_log_holds_no_word_and_no_token_and_is_found_and_verified_by_command(bulwark, bulwark_says, tmp_path):
    request_id = bulwark.send("sure", query=f"Is {CANARY} a ledger?", user_id=CANARY)
    of(bulwark, request_id, "REQUEST_COMPLETED")
    head = json.loads(bulwark_says("seal", "--json"))
    key = tmp_path / "auditor.pem"
    key.write_text(bulwark_says("export-key"))

    log = Log(started(bulwark.cloud))
    everything = b"".join(log.read(sorted([*log.objects, *log.digests])))
    assert request_id.encode() in everything, "the search would find it"
    assert CANARY.encode() not in everything
    tokens = {item["task_token"]["S"] for item in scan(bulwark, "ReviewsTable") if "task_token" in item}
    assert not [token for token in tokens if token.encode() in everything]

    kept = ["--public-key", str(key), "--head", f"{head['number']}:{head['sha256']}"]
    told = json.loads(bulwark_says("verify", "--json", *kept))
    assert told["verified"] and told["digests"] == head["number"]
    found = json.loads(bulwark_says("search", "--request", request_id, "--json"))
    assert [one["action"] for one in found][-1] == "REQUEST_COMPLETED"
    assert "REQUEST_COMPLETED" in bulwark_says("search", "--request", request_id)


def scan(bulwark: Bulwark, table: str) -> list[dict]:
    pages = bulwark.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=bulwark.outputs[table])
    return [item for page in pages for item in page["Items"]]


def test_a_person_is_found_by_their_key_and_what_was_done_about_them_without_it(bulwark, bulwark_says):
    person = f"person-{uuid.uuid4().hex}"
    ref, mac = named_in_log(started(bulwark.cloud), "acme", person)
    assert mac is None
    note = {"control_key": {"S": f"audit#{person}"}, "action": {"S": "HOLD_SET"}, "actor": {"S": "someone"}}
    note |= {"at": {"S": "2026-11-25T08:00:00.000Z"}, "facts": {"M": {"subject_ref": {"S": ref}}}}
    bulwark.cloud.client("dynamodb").put_item(TableName=bulwark.outputs["ControlTable"], Item=note)

    wait_for(lambda: "HOLD_SET" in {one["action"] for one in records(bulwark)}, "the note in the log")

    [found] = json.loads(bulwark_says("search", "--subject", "acme", person, "--json"))
    assert (found["action"], found["actor"]) == ("HOLD_SET", "someone")
    bulwark_says("search", "--subject", "acme", "nobody", ends=4)


def test_a_person_s_requests_and_reviews_are_found_and_no_one_else_s(bulwark, bulwark_says):
    person = f"person-{uuid.uuid4().hex}"
    mine = {bulwark.send("sure", subject_id=person), held := bulwark.send("unsure", subject_id=person)}
    other = bulwark.send("sure", subject_id="somebody")
    bulwark.decide(bulwark.open_review(held)["review_id"], "APPROVE")
    for request_id in (*mine, other):
        of(bulwark, request_id, "REQUEST_COMPLETED")
    of(bulwark, held, "REVIEW_DECIDED")
    of(bulwark, held, "REVIEW_READ")

    found = json.loads(bulwark_says("search", "--subject", "acme", person, "--json"))

    assert {one["request_id"] for one in found} == mine
    assert {"REVIEW_READ", "REVIEW_CLAIMED", "REVIEW_DECIDED", "REQUEST_HELD"} <= set(actions(found))
    assert all("body_mac" in one for one in found if one["action"].startswith("REQUEST_"))
    assert all("answer_mac" in one for one in found if one["action"] in ("REQUEST_COMPLETED", "REQUEST_HELD"))
    assert person not in json.dumps(found)


def test_what_is_changed_in_the_bucket_is_told_by_command(bulwark, bulwark_says):
    """Last in this file: by somebody who may do anything with the bucket."""
    of(bulwark, bulwark.send("sure"), "REQUEST_COMPLETED")
    bulwark_says("seal")
    s3, name = bulwark.cloud.client("s3"), bulwark.outputs["AuditBucket"]
    victim = sorted(Log(started(bulwark.cloud)).objects)[0]
    before = s3.get_object(Bucket=name, Key=victim)["Body"].read()
    s3.put_object(Bucket=name, Key=victim, Body=before.replace(b'"actor"', b'"actoR"', 1))

    told = json.loads(bulwark_says("verify", "--json", ends=1))

    assert (told["verified"], told["first"]["file"], told["first"]["line"]) == (False, victim, 1)
    assert "was overwritten" in told["flaws"][-1]["what"]
    [forged] = [
        one["VersionId"] for one in s3.list_object_versions(Bucket=name, Prefix=victim)["Versions"] if one["IsLatest"]
    ]
    s3.delete_object(Bucket=name, Key=victim, VersionId=forged, BypassGovernanceRetention=True)
    assert json.loads(bulwark_says("verify", "--json"))["verified"]
