"""What `sam build` and `sam local invoke --config-env local` are given: a Python, files, variables, an endpoint."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from small_cloud import start_small

from bulwark.cli import instances
from bulwark.cli.target import ROOT, SAM_FILES
from bulwark.local.functions import Function
from bulwark.local.functions.specification import environment
from bulwark.local.sam import build, containers, files, python313

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())["local"]


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        cloud.open_to_containers("127.0.0.1")
        yield cloud


# --- the files that `bulwark up` writes -----------------------------------------------------------


def test_the_files_are_their_owners_alone_and_go_however_it_ends(cloud, tmp_path):
    folder = tmp_path / "sam"
    with pytest.raises(KeyboardInterrupt), files.written(folder, cloud):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
        raise KeyboardInterrupt

    assert modes == {"sam": 0o700, "parameters.yaml": 0o600, "variables.json": 0o600}
    assert not folder.exists()


@pytest.fixture
def sam_files(tmp_path, monkeypatch, cloud):
    monkeypatch.setattr(instances, "SAM_FILES", tmp_path / "sam")
    monkeypatch.setattr(instances, "RUNNING", tmp_path / "running")
    monkeypatch.setattr(cloud, "container_endpoint", None)
    return tmp_path / "sam"


def test_bulwark_up_has_them_written_while_it_is_up(cloud, sam_files):
    with instances.open_to_containers(cloud, "127.0.0.1"):
        told = json.loads((sam_files / "variables.json").read_text())
        assert told["Parameters"]["AWS_ENDPOINT_URL"] == cloud.container_endpoint

    assert not sam_files.exists()


def test_they_are_the_first_one_s_alone(cloud, sam_files):
    """Two of one process are to the locks what two processes are."""
    with instances.open_to_containers(cloud, "127.0.0.1"):
        first = (sam_files / "variables.json").read_text()
        with instances.open_to_containers(SimpleNamespace(open_to_containers=pytest.fail), "127.0.0.1"):
            instances.sweep()
        assert (sam_files / "variables.json").read_text() == first


def test_what_a_killed_up_left_goes_with_the_next_start(sam_files):
    sam_files.mkdir()
    (sam_files / "variables.json").write_text("{}")

    instances.sweep()

    assert not sam_files.exists()


def test_what_a_killed_run_left_is_replaced(cloud, tmp_path):
    (tmp_path / "sam").mkdir()
    (tmp_path / "sam/variables.json").write_text("{}")

    with files.written(tmp_path / "sam", cloud):
        assert json.loads((tmp_path / "sam/variables.json").read_text())["Parameters"]
        assert stat.S_IMODE((tmp_path / "sam/variables.json").stat().st_mode) == 0o600


def test_each_function_is_told_its_own_variables_and_all_of_them_where_they_are(cloud):
    told = files.variables(cloud.functions.functions(), "http://172.17.0.1:1")

    assert told["Parameters"]["AWS_ENDPOINT_URL"] == "http://172.17.0.1:1"
    assert told["Parameters"]["AWS_ACCESS_KEY_ID"] == "local"
    probe = cloud.functions.function("ProbeFunction")
    assert told["ProbeFunction"] == probe.environment


def test_no_function_s_own_empty_endpoint_stands_before_the_one_of_all():
    function = Function("f", "a.b", Path(), "F", environment={"AWS_ENDPOINT_URL": "", "TABLE": "t"})

    assert files.variables([function], "http://172.17.0.1:1")["F"] == {"TABLE": "t"}


# --- what samconfig.toml says ---------------------------------------------------------------------


def test_samconfig_names_what_is_built_and_what_is_written():
    invoke = SAMCONFIG["local_invoke"]["parameters"]

    assert ROOT / invoke["parameter_overrides"].removeprefix("file://") == SAM_FILES / "parameters.yaml"
    assert ROOT / invoke["env_vars"] == SAM_FILES / "variables.json"
    assert ROOT / invoke["template_file"] == build.PLACES[True] / "template.yaml"
    assert ROOT / SAMCONFIG["build"]["parameters"]["build_dir"] == build.PLACES[True]
    assert invoke["region"] == "us-east-1"


def test_without_the_files_sam_starts_no_container(tmp_path):
    for name in ("samconfig.toml", "template.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    sam = Path(sys.executable).with_name("sam")
    line = [sam, "local", "invoke", "AdmitRequestFunction", "--config-env", "local", "--template", "template.yaml"]

    ended = subprocess.run(
        line, cwd=tmp_path, env=os.environ | {"SAM_CLI_TELEMETRY": "0"}, capture_output=True, text=True
    )

    assert ended.returncode != 0
    assert "'.bulwark/sam/variables.json' does not exist" in ended.stderr


# --- the endpoint ---------------------------------------------------------------------------------


def test_an_empty_endpoint_leaves_boto3_aws_s_own(monkeypatch):
    """So it is declared on AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "")

    client = boto3.session.Session().client("dynamodb", region_name="eu-west-1")

    assert client.meta.endpoint_url == "https://dynamodb.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(("declared", "found"), [("", "http://127.0.0.1:1"), ("http://other", "http://other")])
def test_an_empty_endpoint_leaves_a_worker_the_embedded_one(declared, found):
    function = Function("f", "a.b", Path(), environment={"AWS_ENDPOINT_URL": declared, "EMPTY": ""})

    variables = environment(function, "http://127.0.0.1:1", "127.0.0.1:2", "stream", None)

    assert variables["AWS_ENDPOINT_URL"] == found
    assert variables["EMPTY"] == ""


def test_the_cloud_answers_where_containers_reach_it(cloud):
    assert cloud.container_endpoint != cloud.endpoint
    with urllib.request.urlopen(f"{cloud.container_endpoint}/_bulwark/outputs") as answer:
        assert json.load(answer)["Endpoint"] == cloud.endpoint


def test_an_address_that_is_not_this_machine_s_is_its_engine_s_to_lead_here(cloud, monkeypatch):
    """Docker Desktop's is: it leads to the same port of the loopback."""
    monkeypatch.setattr(containers, "is_ours", lambda address: False)
    monkeypatch.setattr(cloud, "container_endpoint", None)

    cloud.open_to_containers("192.168.65.254")

    assert cloud.container_endpoint == cloud.endpoint.replace("127.0.0.1", "192.168.65.254")


def test_whose_an_address_is():
    assert containers.is_ours("127.0.0.1")
    assert not containers.is_ours("192.0.2.1"), "which is for documentation"


def test_without_an_engine_s_bridge_there_is_no_address(monkeypatch):
    monkeypatch.setattr(containers, "BRIDGE", "no-such-bridge")

    assert containers.address() is None


# --- the build ------------------------------------------------------------------------------------


def executable(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def test_a_shim_that_does_not_run_is_passed_over_for_a_version_that_does(tmp_path, monkeypatch):
    executable(tmp_path / "shims/python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    real = tmp_path / "pyenv/versions/3.13.9/bin/python3.13"
    executable(real, f"echo {real}")
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))

    assert python313.find() == real


def test_a_shim_that_runs_gives_the_python_behind_it(tmp_path, monkeypatch):
    executable(tmp_path / "shims/python3.13", "echo /opt/python3.13")
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))

    assert python313.find() == Path("/opt/python3.13")


def test_without_a_python_the_build_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    with pytest.raises(SystemExit, match=r"needs Python 3\.13.*pyenv install 3\.13"):
        build.build()


def test_packages_of_the_same_code_are_the_same_with_their_bytecode(tmp_path):
    for name in ("AdmitRequestFunction", "AssessAnswerFunction"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "handler.py").write_text("def handler(event, context):\n    raise ValueError('no')\n")
    (tmp_path / "template.yaml").write_text("{}")

    build.compile_packages(Path(sys.executable), tmp_path)

    one, other = sorted(path.read_bytes() for path in tmp_path.rglob("*.pyc"))
    assert one == other and b"/var/task/handler.py" in one


def test_a_local_build_declares_what_keeps_the_caller_s_credentials_out():
    globals_ = "    Environment:\n      Variables:\n        AWS_ENDPOINT_URL: ''\n        OTHER: x\n"

    declared = build.declaring(globals_)

    assert "        AWS_ACCESS_KEY_ID: ''\n" in declared and "        AWS_SECRET_ACCESS_KEY: ''\n" in declared
    assert declared.startswith("    Environment:\n") and declared.endswith("        OTHER: x\n")
    with pytest.raises(ValueError, match="stands 0 times"):
        build.declaring("Globals: {}\n")
