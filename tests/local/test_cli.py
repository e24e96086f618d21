"""The `bulwark` command against a running embedded AWS: what it shows, what it changes, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from moto.appconfig.models import appconfig_backends
from sealed_words import key_of
from typer.testing import CliRunner, Result

from bulwark.cli import app, demo, demo_incident, instances
from bulwark.cli.announcements import listening
from bulwark.cli.dead_letters import _tell_gap
from bulwark.cli.embedded import running_cloud
from bulwark.cli.exits import Problem
from bulwark.cli.questions import OWN_QUESTIONS, read_details, read_question
from bulwark.cli.scoring import Share
from bulwark.cli.target import ROOT, Target
from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.cloud import Cloud, start

COMMANDS = (
    "demo up send requests request reviews review plant calibrate incidents incident report-incident outputs faults "
    "replay-dlq"
).split()
AUDIT = ("verify", "search", "seal", "export-key")
HELD = [["hold", "set"], ["hold", "lift"], ["hold", "list"], ["retention", "run"]]
BULWARK = [sys.executable, "-c", "from bulwark.cli import main; main()"]
ANSWERED = {"RELEASED", "HELD"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    policy, replay = json.loads((ROOT / "policies" / "runtime.json").read_text()), OWN_QUESTIONS
    for use_case in policy["use_cases"].values():
        # What chance picks would come and go from run to run.
        use_case["review"] |= {"audit_share": 0, "blind_share": 0, "second_reviewer_share": 0}
    with start(template=ROOT / "template.yaml", policy=policy, replay=replay, schedules=False) as running:
        yield running


@pytest.fixture(scope="module")
def told(bulwark: Callable[..., Result]) -> Callable[..., object]:
    """What a command says in JSON."""
    return lambda *arguments, ends=0: json.loads(bulwark(*arguments, "--json", ends=ends).stdout)


@pytest.fixture(scope="module")
def sent(told: Callable[..., object], tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Twelve of our questions, sent as events."""
    file = tmp_path_factory.mktemp("cli") / "questions.jsonl"
    file.write_text("".join(OWN_QUESTIONS.read_text().splitlines(keepends=True)[:12]))
    return told("send", file)


@pytest.fixture
def held(sent: dict, told: Callable[..., object]) -> dict:
    """An answer that waits for a person."""
    deadline = time.monotonic() + 120
    while not (found := [one for one in told("reviews") if "claimed_by" not in one]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found[0]


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def lines(path: Path, *values: dict) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def outcome(told: Callable[..., object], request_id: str, *statuses: str) -> dict:
    """A request's record, once it has one of these statuses."""
    deadline = time.monotonic() + 120
    while (record := told("request", request_id)["record"])["status"] not in statuses:
        assert time.monotonic() < deadline, record
        time.sleep(0.2)
    return record


# --- the command itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in COMMANDS),
        ["policy", "deploy"],
        ["policy", "show"],
        ["mode", "set"],
        ["mode", "clear"],
        *(["audit", name] for name in AUDIT),
        *HELD,
    ],
)
def test_every_command_teaches_by_example_and_says_what_its_exit_codes_mean(command):
    help_text = CliRunner().invoke(app, [*command, "--help"]).stdout

    assert f"$ bulwark {' '.join(command)}" in help_text
    assert "Exit codes: 0 done" in help_text


def test_help_is_quick_because_nothing_heavy_is_imported_for_it():
    heavy = "{'boto3', 'botocore', 'moto', 'samtranslator'} & set(sys.modules)"
    code = f"import sys; from bulwark.cli import app; sys.exit(bool({heavy}))"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_nothing_to_talk_to_is_told_in_a_sentence():
    result = CliRunner().invoke(app, ["requests", "--endpoint", "http://127.0.0.1:1"])

    assert result.exit_code == 3
    assert "No embedded AWS answers at http://127.0.0.1:1" in result.stderr


# --- send, requests, request ----------------------------------------------------------------------


def test_what_is_sent_has_an_outcome_each(sent):
    assert sum(sent["outcomes"].values()) == sent["requests"] == 12
    assert set(sent["outcomes"]) == ANSWERED


def test_no_label_is_sent(sent, cloud):
    stored = cloud.client("dynamodb").scan(TableName=cloud.outputs["RequestsTable"])["Items"]

    for item in stored:
        key = key_of(cloud, item["subject_ref"]["S"])
        payload = key.open(item["payload"]["S"], f"{item['request_key']['S']}/payload")
        assert set(json.loads(payload)) <= {"request_id", "use_case", "query", "passages", "user_id"}


def test_requests_are_listed_by_status(sent, told):
    listed = told("requests", "--status", "held")

    assert {record["request_id"] for record in listed} >= {
        result["request_id"] for result in sent["results"] if result["status"] == "HELD"
    }
    assert {record["status"] for record in listed} == {"HELD"}


def test_a_call_is_answered_at_once_and_its_answer_shown_to_its_owner(bulwark, told, tmp_path):
    detail = {"request_id": "sync-1", "use_case": "general_question", "query": "What is 17 % of 250?"}

    called = told("send", lines(tmp_path / "one.jsonl", detail), "--sync")
    shown = bulwark("request", "sync-1", "--answer").stdout

    assert sum(called["outcomes"].values()) == 1
    assert ("42.5" in shown) == (called["outcomes"] == {"RELEASED": 1})


def test_what_is_refused_is_told_with_its_reason(bulwark, tmp_path):
    file = lines(
        tmp_path / "bad.jsonl",
        {"request_id": "bad/1", "use_case": "general_question", "query": "hi"},
        {"request_id": "bad-2", "use_case": "general_question"},
        {"request_id": "bad-3", "use_case": "horoscopes", "query": "hi"},
    )

    shown = " ".join(bulwark("send", file).stdout.split())

    for part in ("REFUSED", "INVALID_REQUEST", "query is missing", "UNKNOWN_USE_CASE"):
        assert part in shown


def test_a_line_that_is_no_json_is_named(bulwark, tmp_path):
    file = tmp_path / "broken.jsonl"
    file.write_text('{"request_id": "a"}\n{"request_id": \n')

    assert "line 2, is not JSON" in bulwark("send", file, ends=2).stderr


def test_a_held_requests_life_shows_both_machines_and_no_token_and_no_word(held, cloud, bulwark, told):
    life = told("request", held["request_id"])
    everything = bulwark("request", held["request_id"]).stdout + json.dumps(life)
    item = cloud.client("dynamodb").get_item(
        TableName=cloud.outputs["ReviewsTable"], Key={"review_id": {"S": held["review_id"]}}
    )["Item"]

    assert [step["state"] for step in life["inference"]][::6] == ["AdmitRequest", "StartHumanReview"]
    assert [step["state"] for step in life["human_review"]] == ["ReceiveReview", "AwaitReviewer"]
    assert item["task_token"]["S"] not in everything
    assert (
        next(q for q in map(json.loads, OWN_QUESTIONS.open()) if q["request_id"] == held["request_id"])["query"]
        not in everything
    )


def test_an_unknown_request_is_said_to_be_none(bulwark):
    assert "There is no request nobody-knows." in bulwark("request", "nobody-knows", ends=4).stderr


# --- reviews ---------------------------------------------------------------------------------------


def test_an_approval_completes_the_request_and_a_second_decision_is_refused(held, bulwark, told):
    bulwark("review", held["review_id"], "approve", "--comment", "checked")
    record = outcome(told, held["request_id"], "COMPLETED")
    second = bulwark("review", held["review_id"], "reject", ends=4)

    assert record["decided_by"] == "reviewer"
    assert "ALREADY_DECIDED" in second.stderr


def test_an_edit_gives_the_callers_the_edited_answer(held, bulwark, told):
    bulwark("review", held["review_id"], "edit", "--answer", "Edited by hand.")
    outcome(told, held["request_id"], "COMPLETED")

    assert told("request", held["request_id"], "--answer")["answer"] == "Edited by hand."


def test_a_rejection_refuses_the_request(held, bulwark, told):
    bulwark("review", held["review_id"], "reject", "--reason", "UNSAFE")

    assert outcome(told, held["request_id"], "REFUSED")["reason"] == "REJECTED"


def test_a_decision_on_another_draft_is_refused(held, bulwark):
    assert "DRAFT_CHANGED" in bulwark("review", held["review_id"], "approve", "--digest", "0" * 64, ends=4).stderr


def test_a_review_is_escalated_and_a_lead_decides(held, bulwark, told):
    assert told("review", held["review_id"], "escalate", "--comment", "beyond me")["next"] == "lead"

    def at_lead() -> bool:
        return held["review_id"] in {
            one["review_id"] for one in told("reviews", "--as", "lead") if one["tier"] == "lead"
        }

    wait_for(at_lead)
    assert "needs membership in leads" in bulwark("review", held["review_id"], ends=4).stderr
    told("review", held["review_id"], "reject", "--as", "lead")

    assert outcome(told, held["request_id"], "REFUSED")["decided_by"] == "lead"


def test_planted_answers_wait_among_the_others_and_are_no_requests(bulwark, told, tmp_path):
    bad = {"use_case": "general_question", "query": "Is 91 prime?", "answer": "Yes, 91 is prime."}

    [planted] = told("plant", lines(tmp_path / "bad.jsonl", bad))

    wait_for(lambda: planted["review_id"] in {one["review_id"] for one in told("reviews")})
    assert planted["request_id"] not in {one["request_id"] for one in told("requests", "--limit", "1000")}
    told("review", planted["review_id"], "reject")


def test_a_use_case_that_nobody_judged_proves_no_threshold(bulwark, told):
    refused = bulwark("calibrate", "policy_advice", ends=1)

    assert "prove no threshold" in refused.stderr and "judged" in refused.stderr
    assert "it has general_question" in bulwark("calibrate", "horoscopes", ends=2).stderr


# --- incidents and modes ---------------------------------------------------------------------------


def test_what_a_person_reports_is_an_incident_that_a_person_ends(bulwark, told):
    bulwark("report-incident", "policy_advice", "answers name a law that does not exist", "--severity", "2")
    wait_for(lambda: told("incidents"))
    [listed] = told("incidents")
    assert (listed["type"], listed["severity"], listed["status"]) == ("REPORTED", 2, "OPEN")

    shown = told("incident", listed["incident_id"])
    assert (shown["phase"], shown["ask"]) == ("HOLDING", "REPORTED")
    assert "answers name a law" in shown["explanation"]
    report = bulwark("incident", listed["incident_id"], "--markdown").stdout
    assert report.startswith("# REPORTED in policy_advice") and "docs/runbooks/reported.md" in report
    assert "reason" in bulwark("incident", listed["incident_id"], "restore", ends=2).stderr
    told("incident", listed["incident_id"], "restore", "--reason", "it was another system's")

    wait_for(lambda: told("incident", listed["incident_id"])["phase"] == "WATCHING")
    timeline = told("incident", listed["incident_id"])["timeline"]
    [answered] = [entry for entry in timeline if entry["what"] == "ANSWERED"]
    assert (answered["answer"], answered["by"]) == ("restore", "operator")


def test_a_mode_set_by_hand_holds_until_it_is_cleared(bulwark, told, tmp_path):
    bulwark("mode", "set", "product_support", "refuse", "--reason", "a drill", "--minutes", "5")
    listed = bulwark("incidents").stdout
    assert "Modes in force" in listed and "refuse" in listed and "a drill" in listed
    time.sleep(5.2)  # as old as a mode may be
    question = {"use_case": "product_support", "query": "How long does the battery last?"}
    told("send", lines(tmp_path / "one.jsonl", question | {"request_id": "stopped-1"}), ends=0)
    assert outcome(told, "stopped-1", "REFUSED")["reason"] == "STOPPED"

    bulwark("mode", "clear", "product_support")
    time.sleep(5.2)
    told("send", lines(tmp_path / "two.jsonl", question | {"request_id": "stopped-2"}))
    assert outcome(told, "stopped-2", "COMPLETED", "HELD")
    assert "Modes in force" not in bulwark("incidents").stdout


def test_a_maintenance_goes_on_from_its_beginning_and_ends_when_told(bulwark, target):
    def spell() -> tuple[float, float]:
        key = {"control_key": {"S": "maintenance#policy_advice"}}
        item = target.client("dynamodb").get_item(TableName=target.outputs["ControlTable"], Key=key)["Item"]
        return float(item["since"]["N"]), float(item["until"]["N"])

    bulwark("maintenance", "policy_advice", "--reason", "new index", "--minutes", "5")
    since, until = spell()
    assert 299 < until - since < 301
    bulwark("maintenance", "policy_advice", "--reason", "longer", "--minutes", "20")
    assert spell()[0] == since and spell()[1] > until + 800
    bulwark("maintenance", "policy_advice", "--reason", "done", "--minutes", "0")
    assert since < spell()[1] <= time.time()
    bulwark("maintenance", "no_such", "--reason", "none", ends=2)


# --- the dead-letter queue -------------------------------------------------------------------------


def park(target: Target, body: object, **attributes: str) -> None:
    target.client("sqs").send_message(
        QueueUrl=target.outputs["DeadLetterQueueUrl"],
        MessageBody=body if isinstance(body, str) else json.dumps(body),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def event(request_id: str, query: str = "What is 17 % of 250?") -> dict:
    detail = {"request_id": request_id, "use_case": "general_question", "query": query}
    return {"id": f"event-{request_id}", "account": "123456789012", "source": "acme.app", "detail": detail}


def table_stream(cloud: Cloud) -> str:
    return cloud.client("dynamodb").describe_table(TableName=cloud.outputs["RequestsTable"])["Table"]["LatestStreamArn"]


def stream_records(cloud: Cloud) -> list[dict]:
    streams, arn = cloud.client("dynamodbstreams"), table_stream(cloud)
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    return [record | {"shard": shard["ShardId"]} for record in streams.get_records(ShardIterator=iterator)["Records"]]


def test_the_dead_letter_queue_is_replayed_and_what_cannot_be_stays(sent, told, target, cloud):
    records = stream_records(cloud)
    last = next(number for number, record in enumerate(records) if record["eventName"] == "MODIFY")
    in_batch = records[last]["dynamodb"]["Keys"]["request_key"]["S"]
    alone = next(one["request_key"] for one in sent["results"] if one["request_key"] != in_batch)
    batch = {
        "streamArn": table_stream(cloud),
        "shardId": records[0]["shard"],
        "startSequenceNumber": records[0]["dynamodb"]["SequenceNumber"],
        "endSequenceNumber": records[last]["dynamodb"]["SequenceNumber"],
        "batchSize": last + 1,
    }
    park(target, event("parked-1"), kind="event", reason="PolicyUnavailable")
    park(target, event("parked-2", "long " * 60_000), ERROR_CODE="SDK_CLIENT_ERROR", ERROR_MESSAGE="too large")
    park(target, {"request_key": alone}, kind="outcome", reason="SchemaViolated: tenant")
    park(target, {"requestContext": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": batch})
    park(target, "no json", kind="event", reason="broken")
    park(target, {"id": "e", "detail_ref": "events/gone.json"}, kind="event", reason="States.Timeout")

    reader = f"arn:aws:lambda:us-east-1:123456789012:function:{target.outputs['RecordAuditFunctionName']}"
    given_up = {"condition": "RecordAgeExceeded", "functionArn": reader}
    park(target, {"requestContext": given_up, "DDBStreamBatchInfo": batch})
    admitted = {
        "status": "ADMITTED",
        "tenant": "acme",
        "request_id": "replayed-4711",
        "admitted_at": "2026-11-25T08:00Z",
    }
    change = {
        "event_id": "e-4711",
        "sequence": "4711",
        "source": "requests",
        "at": "2026-11-25T08:00Z",
        "new": admitted,
    }
    park(target, {"audit": change}, kind="audit", reason="KeyError")

    looked_at = told("replay-dlq", "--dry-run")
    with listening(target) as announced:
        replayed = told("replay-dlq", ends=1)
        deadline = time.monotonic() + 120
        while not announced.requests() >= {alone, in_batch} and time.monotonic() < deadline:
            time.sleep(0.1)

    by_reason = {one["reason"]: one for one in replayed}
    assert {one["reason"] for one in looked_at} == set(by_reason)
    assert [one["reason"] for one in replayed if not one["replayed"]] in (
        ["broken", "States.Timeout"],
        ["States.Timeout", "broken"],
    )
    assert by_reason["SDK_CLIENT_ERROR; too large"]["result"].startswith("started by reference as ")
    assert by_reason["RetryAttemptsExhausted"]["result"] == f"{last + 1} records announced"
    assert by_reason["RecordAgeExceeded"]["result"] == f"{last + 1} records recorded"
    assert by_reason["KeyError"]["result"] == "recorded"
    assert [one["action"] for one in told("audit", "search", "--request", "replayed-4711")] == ["REQUEST_ADMITTED"]
    assert "events/gone.json has expired" in by_reason["States.Timeout"]["result"]
    assert announced.requests() >= {alone, in_batch}
    assert outcome(told, "parked-1", "COMPLETED", "HELD")
    assert outcome(told, "parked-2", "COMPLETED", "HELD")
    assert len(told("replay-dlq", "--dry-run")) == 2


def test_what_the_audit_log_lacks_for_good_is_told_in_it(told, target):
    batch = {
        "streamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/requests/stream/1",
        "startSequenceNumber": "7",
        "batchSize": 3,
        "approximateArrivalOfFirstRecord": "2026-11-23T08:00:00.000Z",
        "approximateArrivalOfLastRecord": "2026-11-23T08:01:00.000Z",
    }

    assert _tell_gap(target, batch).endswith("lacks 3 changes")

    wait_for(lambda: bool(told("audit", "search", "--action", "AUDIT_GAP")))
    [gap] = told("audit", "search", "--action", "AUDIT_GAP")
    assert (gap["facts"]["source"], gap["facts"]["changes"]) == ("requests", "3")


@pytest.mark.parametrize(
    ("arguments", "says", "ends"),
    [
        (["verify", "--head", "x"], "NUMBER:SHA256", 2),
        (["verify", "--since", "yesterday"], "is no moment", 2),
        (["verify", "--public-key", __file__], "cannot be read", 2),
        (["search", "--subject", "acme", "nobody"], "has no key", 4),
    ],
)
def test_what_the_audit_log_is_asked_wrongly_is_said(bulwark, arguments, says, ends):
    assert says in bulwark("audit", *arguments, ends=ends).output


# --- the policy ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"confidence_threshold": 1.5}, "use_cases.general_question.confidence_threshold must be at most 1"),
        ({"models": ["nova-huge"]}, "use_cases.general_question.models: there is no 'nova-huge'"),
    ],
)
@pytest.mark.parametrize("check", ["--check", "--no-check"])
def test_a_bad_policy_is_refused_here_and_by_appconfig_alike(bulwark, told, cloud, tmp_path, change, why, check):
    before = told("policy", "show")
    document = json.loads((ROOT / "policies" / "runtime.json").read_text())
    document["use_cases"]["general_question"] |= change

    versions = kept_versions(cloud)

    refused = bulwark("policy", "deploy", lines(tmp_path / "bad.json", document), check, ends=4)

    assert why in refused.stderr
    assert told("policy", "show") == before
    assert kept_versions(cloud) == versions, "a profile has room for a hundred"


def kept_versions(cloud: Cloud) -> list[int]:
    """As ListHostedConfigurationVersions would say, which moto does not have."""
    application = appconfig_backends[ACCOUNT][REGION].applications[cloud.outputs["PolicyApplicationId"]]
    return sorted(application.config_profiles[cloud.outputs["PolicyProfileId"]].config_versions)


@pytest.mark.parametrize("made", ["/hostedconfigurationversions", "/deployments"])
def test_what_appconfig_does_not_take_is_told_and_leaves_nothing(bulwark, told, cloud, tmp_path, made):
    document, versions = told("policy", "show") | {"version": "too-many"}, kept_versions(cloud)
    fault = {"service": "appconfig", "contains": made, "error": "ServiceQuotaExceededException"}
    cloud.load_faults({"services": [fault]})

    refused = bulwark("policy", "deploy", lines(tmp_path / "next.json", document), ends=4)
    cloud.clear_faults()

    assert "AppConfig did not take the policy" in refused.stderr and "Nothing was deployed" in refused.stderr
    assert kept_versions(cloud) == versions


def test_a_good_policy_is_in_force_afterwards(bulwark, told, tmp_path):
    document = told("policy", "show") | {"version": "next"}

    deployed = bulwark("policy", "deploy", lines(tmp_path / "next.json", document))

    assert told("policy", "show")["version"] == "next"
    # Who may send 1,800 requests a minute may need 60 units a second.
    assert "60 guardrail text units" in deployed.stdout and "an account has 25" in " ".join(deployed.stdout.split())


# --- up, outputs, faults, demo ---------------------------------------------------------------------


def test_outputs_are_the_stacks(told, cloud):
    assert told("outputs")["RequestsTable"] == cloud.outputs["RequestsTable"]


def test_a_fault_makes_requests_fall_over_to_the_next_model(told, tmp_path):
    fault = {"kind": "throttle", "model": "amazon.nova-lite-v1:0"}

    loaded = told("faults", lines(tmp_path / "faults.json", {"faults": [fault]}))
    attempted = told("send", lines(tmp_path / "one.jsonl", event("fault-1")["detail"]))
    told("faults", "--clear")

    assert [one["kind"] for one in loaded["faults"]] == ["throttle"]
    assert [result["model"] for result in attempted["results"]] == ["nova-pro"]


def test_the_same_commands_work_on_a_deployed_stack(cloud, sent, monkeypatch):
    """CloudFormation is moto's here; what the command asks of it is what it asks on AWS."""
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": str(value)} for name, value in cloud.outputs.items() if name != "Endpoint"},
    }
    cloud.client("cloudformation").create_stack(StackName="bulwark-dev", TemplateBody=json.dumps(template))
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    monkeypatch.setenv("BULWARK_USERNAME", cloud.outputs["ReviewerUsername"])
    monkeypatch.setenv("BULWARK_PASSWORD", cloud.outputs["ReviewerPassword"])

    def on_stack(*arguments: str) -> list:
        result = CliRunner().invoke(app, [*arguments, "--stack", "bulwark-dev", "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    assert len(on_stack("requests")) >= sent["requests"]
    assert on_stack("reviews")
    assert on_stack("policy", "show")["version"]
    unknown = CliRunner().invoke(app, ["requests", "--stack", "nowhere"])
    assert (unknown.exit_code, "There is no stack nowhere" in unknown.stderr) == (3, True)


def test_up_says_where_it_is_and_ends_cleanly_by_sigterm():
    process = subprocess.Popen([*BULWARK, "up", "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    ready = json.loads(process.stdout.readline())
    outputs = CliRunner().invoke(app, ["outputs", "--json", "--endpoint", ready["endpoint"]])
    process.send_signal(signal.SIGTERM)

    assert json.loads(outputs.stdout)["ApiUrl"] == ready["api_url"]
    assert process.wait(60) == 0


def test_the_demo_ends_by_itself_with_every_request_at_its_end():
    command = [*BULWARK, "demo", "--requests", "12", "--questions", str(OWN_QUESTIONS), "--json"]
    environment = os.environ | {"PYTHONWARNINGS": "default"}
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, env=environment)

    assert (ended.returncode, ended.stderr) == (0, ""), "no library's warning is a person's to read"
    figures = json.loads(ended.stdout)
    assert figures["stuck"] == figures["left_open"] == []
    assert figures["wrong"]["everything"]["of"] == 12
    assert set(figures["summary"]["reasons"]["REFUSED"]) == {
        "GUARDRAIL_BLOCKED",
        "INVALID_REQUEST",
        "UNKNOWN_USE_CASE",
        "REQUEST_ID_CONFLICT",
    }
    assert figures["summary"]["reasons"]["FAILED"] == {"MODEL_UNAVAILABLE": 1}


def test_a_demo_that_stays_leaves_held_answers_to_whoever_opens_the_desk():
    command = [*BULWARK, "demo", "--stay", "--requests", "16", "--questions", str(OWN_QUESTIONS)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = ""
    while "It runs on until Ctrl-C" not in said:
        said += (line := process.stdout.readline())
        assert line, said
    endpoint = re.search(r"Up after .* at (http://\S+)", said)[1]
    waiting = CliRunner().invoke(app, ["requests", "--status", "HELD", "--json", "--endpoint", endpoint])
    process.send_signal(signal.SIGINT)
    ending, warned = process.communicate(timeout=60)

    left = len(json.loads(waiting.stdout))
    assert left >= 3 and f"{left} held answers are left for you at http://127.0.0.1:" in said
    assert f"Forgotten with it: {left} held for a reviewer" in ending
    assert (process.returncode, warned) == (0, "")


@pytest.mark.parametrize("play", [[], ["incident"], ["--stay"]])
def test_a_demo_does_not_open_itself_to_containers(monkeypatch, play):
    asked = []

    def running_cloud(**options: object) -> None:
        asked.append(options)
        raise Problem("enough was seen")

    for module in (demo, demo_incident):
        monkeypatch.setattr(module, "running_cloud", running_cloud)

    assert "enough was seen" in CliRunner().invoke(app, ["demo", *play]).stderr
    assert [options for options in asked if options.get("containers")] == [] and len(asked) == 1


@pytest.mark.parametrize("containers", [False, True])
def test_a_cloud_is_open_to_containers_only_if_it_is_to_be(monkeypatch, tmp_path, containers):
    opened = []
    fake = SimpleNamespace(endpoint="http://127.0.0.1:1", api_url="", container_endpoint=None)
    fake.open_to_containers = opened.append
    monkeypatch.setattr("bulwark.local.cloud.start", lambda **_: nullcontext(fake))
    monkeypatch.setattr("bulwark.local.translation.begin", lambda: None)
    monkeypatch.setattr(instances, "SAM_FILES", tmp_path / "sam")
    monkeypatch.setattr(instances, "RUNNING", tmp_path / "running")

    with running_cloud(containers=containers, container_address="127.0.0.1", quiet=True):
        assert len(list((tmp_path / "running").iterdir())) == 1

    assert opened == ["127.0.0.1"] * containers and not (tmp_path / "sam").exists()
    assert list((tmp_path / "running").iterdir()) == []


# --- questions and their score -----------------------------------------------------------------------


def test_our_own_questions_are_valid_requests_and_a_quarter_of_the_answers_is_wrong(schema):
    questions = [read_question(json.loads(line)) for line in OWN_QUESTIONS.open()]

    for detail in read_details(OWN_QUESTIONS):
        jsonschema.validate(detail, schema("InferenceRequested"))
    assert len({question.request_id for question in questions}) == 60
    assert len({question.detail["query"] for question in questions}) == 60
    assert 12 <= sum(not question.acceptable for question in questions) <= 18


@pytest.mark.parametrize(
    ("wrong", "of", "low", "high"),
    # From R's binom.test.
    [(0, 20, 0.0, 0.1684), (5, 50, 0.0333, 0.2181), (36, 200, 0.1293, 0.2404), (3, 3, 0.2924, 1.0)],
)
def test_the_interval_of_a_share_is_exact(wrong, of, low, high):
    assert Share(wrong, of).interval == pytest.approx((low, high), abs=1e-4)


def test_a_subject_is_held_and_let_go(bulwark, told, sent):
    assert told("hold", "list") == []

    held = json.loads(bulwark("hold", "set", "acme", "customer-17", "--reason", "case 118", "--json").stdout)
    assert held["standing"] == "HELD" and held["hold"]["by"].startswith("arn:aws:")
    [listed] = told("hold", "list")
    assert (listed["subject_ref"], listed["tenant"]) == (held["subject_ref"], "acme")
    assert "customer-17" not in json.dumps(listed)
    assert "case 118" in bulwark("hold", "list").output
    assert "lifted" in bulwark("hold", "lift", "acme", "customer-17", "--reason", "closed").output
    assert "Nobody is held" in bulwark("hold", "list").output
    assert "No hold stands" in bulwark("hold", "lift", "acme", "customer-17", "--reason", "closed", ends=4).output


@pytest.mark.parametrize(
    ("tenant", "subject", "reason", "said"),
    [
        ("nobody", "customer-17", "case 118", "tenant is not one of the policy's"),
        ("acme", "", "case 118", "subject_id must match"),
        ("acme", "*", "case 118", "subject_id must match"),
        ("acme", "a" * 100_000, "case 118", "subject_id must match"),
        ("acme", "a\x1b[2J", "case 118", "subject_id must match"),
        ("acme", "customer-17", "", "reason is blank"),
        ("acme", "customer-17", "a\x07", "reason holds a control character"),
    ],
)
def test_a_hold_of_nobody_is_refused_in_a_line(bulwark, told, tenant, subject, reason, said):
    refused = bulwark("hold", "set", tenant, subject, "--reason", reason, ends=4)

    assert said in refused.stderr and len(refused.stderr.splitlines()) == 1 and len(refused.stderr) < 300
    assert told("hold", "list") == []


def test_a_hold_of_somebody_unknown_stands_and_warns(bulwark, told):
    warned = bulwark("hold", "set", "acme", "customer-18", "--reason", "case 119")

    assert "Held since" in warned.stdout and "Nothing of this subject is here" in warned.stderr
    assert [one["tenant"] for one in told("hold", "list")] == ["acme"]
    bulwark("hold", "lift", "acme", "customer-18", "--reason", "closed")


def test_a_night_is_run_by_hand(bulwark, told, cloud):
    item = {"control_key": {"S": "rate#over"}, "expires_at": {"N": "1"}}
    cloud.client("dynamodb").put_item(TableName=cloud.outputs["ControlTable"], Item=item)

    dry = told("retention", "run", "--dry-run")
    assert dry["dry_run"] and dry["stores"]["control"]["deleted"]["rate"] == 1
    assert "1 rate" in bulwark("retention", "run").output
    assert told("retention", "run")["stores"]["control"]["deleted"] == {}
