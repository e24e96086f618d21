"""Drives every sample and input of events/ through what `sam build` produced: what is packaged is what was tested.

Needs python3.13, as the build does: on PATH, or among pyenv's versions.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from boto3.dynamodb.types import TypeSerializer
from jsonschema import Draft202012Validator
from sealed_words import new_key
from workflows.conftest import ROOT, Bulwark, wait_for

from adapters.governance.erasers.cases import place_of
from adapters.sealing import SubjectKey
from bulwark.local import cloud as embedded
from domain.incidents.course import begin
from domain.incidents.incidents import Incident, IncidentType
from domain.incidents.mitigation import MitigationSettings
from domain.inference.answers import Answer
from domain.requests import canonical

INPUTS = sorted(ROOT.glob("events/inputs/*.json"))
REQUEST_KEY = "acme#ticket-4711"


def python313() -> Path | None:
    """A python3.13 that runs; pyenv's shim for it may stand on PATH without running."""
    candidates = [shutil.which("python3.13")]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.13*/bin/python3.13")))
    for candidate in filter(None, candidates):
        asked = subprocess.run([candidate, "-c", "print(1)"], capture_output=True)
        if asked.returncode == 0:
            return Path(candidate)
    return None


PYTHON = python313()
pytestmark = pytest.mark.skipif(PYTHON is None, reason="python3.13 is not here, and sam build needs it")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes of the template."""
    target = tmp_path_factory.mktemp("build")
    path = os.pathsep.join([str(PYTHON.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "SAM_CLI_TELEMETRY": "0"}
    command = ["sam", "build", "--build-dir", str(target), "--no-cached", "--template", str(ROOT / "template.yaml")]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    native = list((target / "DependenciesLayer/python").rglob("*.cpython-313-*.so"))
    assert native and all("aarch64" in path.name for path in native), "the functions' own architecture"
    if platform.machine() != "aarch64":
        # What is compiled cannot run here: the same releases for this machine take its place.
        pinned = (ROOT / "dependencies/requirements.txt").read_text().split()
        layer = ["--upgrade", "--target", str(target / "DependenciesLayer/python")]
        install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *layer, *pinned]
        subprocess.run(install, check=True, capture_output=True)
    return target / "template.yaml"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's own python3.13 image brings beside the interpreter: the runtime client and boto3."""
    home = tmp_path_factory.mktemp("runtime") / "venv"
    pinned = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line.partition("==")[0] in ("awslambdaric", "boto3", "botocore")
    ]
    subprocess.run([PYTHON, "-m", "venv", home], check=True)
    install = [home / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *pinned]
    subprocess.run(install, check=True, capture_output=True)
    return home / "bin/python"


@pytest.fixture(scope="module")
def bulwark(built: Path, runtime: Path) -> Iterator[Bulwark]:
    policy = ROOT / "policies/runtime.json"
    with embedded.start(
        built, stack_name="bulwark-built", policy=policy, python=str(runtime), schedules=False
    ) as cloud:
        yield Bulwark(cloud)


@pytest.fixture(scope="module")
def key(bulwark: Bulwark) -> SubjectKey:
    """The key of whom the inputs are about, made by a request of theirs."""
    detail = json.loads((ROOT / "events/samples/InferenceRequested.json").read_text())
    bulwark.put(detail | {"request_id": "first-of-theirs"})
    return bulwark.key_of(bulwark.outcome("first-of-theirs"))


@pytest.fixture(scope="module")
def held(bulwark: Bulwark, key: SubjectKey) -> dict:
    """A request held under the ids that the inputs use."""
    review = json.loads((ROOT / "events/inputs/AwaitReviewerFunction.json").read_text())["review"]
    reader = json.loads((ROOT / "events/inputs/ReadInferenceFunction.json").read_text())
    sample = (ROOT / "events/samples/InferenceRequested.json").read_text()
    draft = Answer.from_converse(
        json.loads((ROOT / "events/inputs/AssessAnswerFunction.json").read_text())["answer"]
    ).text
    return {
        "request_key": REQUEST_KEY,
        "tenant": "acme",
        "request_id": review["request_id"],
        "use_case": review["use_case"],
        "user_id": reader["requestContext"]["authorizer"]["jwt"]["claims"]["sub"],
        "channel": "event",
        "execution_name": "sample",
        "status": "HELD",
        "admitted_at": "2026-11-23T09:30:00.000Z",
        "outcome_at": "2026-11-23T09:30:02.120Z",
        "review_id": review["review_id"],
        "subject_ref": key.ref,
        "subject_mac": key.mark,
        "payload": key.seal(canonical(json.loads(sample)), f"{REQUEST_KEY}/payload"),
        "answer": key.seal(draft, f"{REQUEST_KEY}/answer"),
        "body_digest": hashlib.sha256(canonical(json.loads(sample)).encode()).hexdigest(),
        "sweep": "OPEN#0",
        "sweep_at": "1795426322",
    }


def put(bulwark: Bulwark, record: dict | None) -> None:
    """Have this be the sample request's record, and the first of its review."""
    client = bulwark.cloud.client("dynamodb")
    table = bulwark.outputs["RequestsTable"]
    client.delete_item(TableName=table, Key={"request_key": {"S": REQUEST_KEY}})
    if record:
        typed = {name: {"N" if name == "sweep_at" else "S": value} for name, value in record.items()}
        client.put_item(TableName=table, Item=typed)


def delete(bulwark: Bulwark, table: str, key: str, value: str) -> None:
    bulwark.cloud.client("dynamodb").delete_item(TableName=bulwark.outputs[table], Key={key: {"S": value}})


def put_erasure(bulwark: Bulwark) -> None:
    """The erasure of the inputs, with its subject closed and all but the end behind it."""
    told = json.loads((ROOT / "events/inputs/CloseSubjectFunction.json").read_text())
    erasure_id, ref = told["erasure_id"], told["subject_ref"]
    key, item = new_key(bulwark.cloud, ref, "acme")
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
    closed = item | {"erasure": {"erasure_id": erasure_id, "at": "2026-11-23T09:30:00.000Z"}}
    typed = TypeSerializer().serialize
    for table, values in (("ControlTable", record), ("KeysTable", closed)):
        typed_item = {name: typed(value) for name, value in values.items()}
        bulwark.cloud.client("dynamodb").put_item(TableName=bulwark.outputs[table], Item=typed_item)


def put_incident(bulwark: Bulwark, incident_id: str) -> None:
    """An incident of the inputs, about which something is being done."""
    moment = 1795426200
    incident = Incident(
        incident_id, "product_support", IncidentType.QUALITY_DEGRADATION, 2, moment, since=moment, seen_at=moment
    )
    settings = json.loads((ROOT / "policies/runtime.json").read_text())["incidents"]["mitigation"]
    begun = begin(incident, moment, MitigationSettings.from_json(settings))
    body = {"incident": incident.to_json(), "mitigation": begun.to_json(), "timeline": [], "answer": None}
    item = {"control_key": {"S": f"incident#{incident_id}"}, "body": {"S": json.dumps(body)}, "version": {"N": "1"}}
    bulwark.cloud.client("dynamodb").put_item(TableName=bulwark.outputs["ControlTable"], Item=item)


def test_the_packaged_functions_carry_no_library_and_the_layer_does(built):
    function = built.parent / "AdmitRequestFunction"
    size = sum(path.stat().st_size for path in function.rglob("*.py"))

    assert not (function / "aws_lambda_powertools").exists() and size < 600_000
    assert (built.parent / "DependenciesLayer/python/aws_lambda_powertools").is_dir()


def test_the_sample_request_is_answered_and_announced(bulwark):
    sample = json.loads((ROOT / "events/samples/InferenceRequested.json").read_text()) | {"request_id": "packaged"}
    bulwark.put(sample)

    record = bulwark.outcome("packaged")

    assert record["status"] in ("COMPLETED", "HELD")
    for event in bulwark.announced("packaged"):
        schema = json.loads((ROOT / f"events/schemas/{event['detail-type']}.json").read_text())
        Draft202012Validator(schema).validate(event["detail"])


@pytest.mark.parametrize("sample", ["InferenceCompleted", "InferenceHeld", "InferenceRefused", "InferenceFailed"])
def test_an_outcome_on_the_bus_starts_nothing(bulwark, sample):
    """Tenants listen to these on the same bus."""
    detail = (ROOT / f"events/samples/{sample}.json").read_text()
    started = [line for line in bulwark.log() if line["type"] == "ExecutionStarted"]
    entry = {"EventBusName": bulwark.outputs["EventBusName"], "Source": "bulwark", "DetailType": sample}
    bulwark.cloud.client("events").put_events(Entries=[entry | {"Detail": detail}])

    wait_for(lambda: [e for e in seen(bulwark) if e["detail-type"] == sample], f"{sample} to be heard")

    assert [line for line in bulwark.log() if line["type"] == "ExecutionStarted"] == started


def seen(bulwark: Bulwark) -> list[dict]:
    bulwark._drain()
    return bulwark.seen


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_each_input_is_taken_by_its_packaged_function(bulwark, held, key, path):
    event = json.loads(path.read_text())
    if "subject" in event.get("request", {}):
        # Its key, wrapped, is another one on each stack.
        event["request"]["subject"] = {"ref": key.ref, "wrapped_key": key.wrapped}
    if "GuardrailConfig" in event.get("call", {}):
        event["call"]["GuardrailConfig"]["GuardrailIdentifier"] = bulwark.outputs["GuardrailId"]
    fresh = ("AdmitRequestFunction", "SubmitInferenceFunction", "RecoverEventFunction")
    admitted = ("AssessAnswerFunction", "RecordFailureFunction")
    put(bulwark, None if path.stem in fresh else held | {"status": "ADMITTED"} if path.stem in admitted else held)
    if "detail_ref" in event or "payload_ref" in event:
        name = event.get("payload_ref") or event["detail_ref"]
        body = (ROOT / "events/samples/InferenceRequested.json").read_text()
        if "payload_ref" in event:
            body = key.seal(body, f"{REQUEST_KEY}/payload")
        bulwark.cloud.client("s3").put_object(Bucket=bulwark.outputs["PayloadBucket"], Key=name, Body=body.encode())
    if "{review_id}" in event.get("routeKey", ""):
        opened = json.loads((ROOT / "events/inputs/AwaitReviewerFunction.json").read_text())
        delete(bulwark, "ReviewsTable", "review_id", opened["review"]["review_id"])
        bulwark.invoke("AwaitReviewerFunction", opened)
    if path.stem in ("DecideReviewFunction", "ReleaseReviewFunction", "HandOverReviewFunction"):
        bulwark.invoke("ClaimReviewFunction", json.loads((ROOT / "events/inputs/ClaimReviewFunction.json").read_text()))
    if path.stem in ("ReadIncidentFunction", "AnswerIncidentFunction"):
        put_incident(bulwark, event["pathParameters"]["incident_id"])
    if "erasure_id" in event:
        put_erasure(bulwark)

    result = bulwark.invoke(path.stem, event)

    if isinstance(result, dict):
        assert result.get("statusCode", 200) in (200, 201, 202), result
        assert result.get("batchItemFailures", []) == []
