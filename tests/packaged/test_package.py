"""Drives every sample and input of events/ through what `sam build` produced: what is packaged is what was tested.

Needs python3.13, as the build does: on PATH, or among pyenv's versions.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from input_stage import Stage, policy
from input_success import is_success
from jsonschema import Draft202012Validator
from workflows.conftest import ROOT, Bulwark, wait_for

from bulwark.local import cloud as embedded
from bulwark.local.sam import python313

INPUTS = sorted(path.stem for path in ROOT.glob("events/inputs/*.json"))


PYTHON = python313.find()
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
    with embedded.start(
        built, stack_name="bulwark-built", policy=policy(), python=str(runtime), schedules=False
    ) as cloud:
        yield Bulwark(cloud)


@pytest.fixture(scope="module")
def stage(bulwark: Bulwark) -> Stage:
    return Stage(bulwark.cloud)


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


@pytest.mark.parametrize("function", INPUTS)
def test_each_input_ends_by_the_success_path_of_its_packaged_function(stage, function):
    event = stage.prepare(function)

    answer = stage.invoke(function, event)

    assert is_success(function, answer, stage), answer
