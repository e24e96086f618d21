"""The function host: real workers, their environment, their limits and their ends."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from small_cloud import drain, eventually, seen, start_small

ROOT = Path(__file__).parents[2]
PROBE = "ProbeFunction"
# What a busy machine may take over it; nothing here is about time.
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def probe(cloud):
    return lambda **event: cloud.functions.invoke(PROBE, event)


def test_a_handler_answers(cloud, probe):
    payload, error = probe(do="echo", words="grüße")

    assert error is None
    assert payload["echo"]["words"] == "grüße"
    assert payload["pid"] in cloud.functions.workers(PROBE)


def test_a_worker_is_used_again(probe):
    assert probe()[0]["pid"] == probe()[0]["pid"]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_are_forked_from_a_template_that_has_imported_the_handler(cloud, probe):
    with ThreadPoolExecutor(2) as pool:
        pids = {answer["pid"] for answer, _ in pool.map(lambda _: probe(do="sleep", seconds=0.5), range(2))}

    assert len(pids) == 2
    template = {parent(pid) for pid in pids}
    assert len(template) == 1
    cloud.functions.warm("CollectorFunction", "TickFunction")
    (collector,), (tick,) = cloud.functions.workers("CollectorFunction"), cloud.functions.workers("TickFunction")
    assert parent(collector) != parent(tick)
    assert parent(parent(collector)) == parent(parent(tick))
    assert parent(parent(parent(tick))) == os.getpid()


def test_a_worker_starts_by_itself_when_its_template_has_died(cloud, probe):
    os.kill(parent(probe()[0]["pid"]), signal.SIGKILL)
    cloud.functions.kill_workers(PROBE, 10)

    answer, error = eventually(lambda: (got := probe()) and got[1] is None and got)
    assert error is None
    assert parent(answer["pid"]) == os.getpid()
    cloud.functions.kill_workers(PROBE, 10)
    answer, _ = eventually(lambda: (got := probe()) and got[1] is None and got)
    assert parent(answer["pid"]) != os.getpid()


def test_another_zygote_takes_the_place_of_one_that_died(cloud):
    def started_from() -> int | None:
        cloud.functions.kill_workers("CollectorFunction", 10)
        cloud.functions.warm("CollectorFunction")
        return parent(cloud.functions.workers("CollectorFunction")[0])

    zygote = parent(started_from())
    os.killpg(zygote, signal.SIGKILL)

    def by_another() -> bool:
        template = started_from()
        return template not in (None, os.getpid(), zygote) and parent(template) not in (None, zygote)

    eventually(by_another)


def test_what_a_forked_worker_draws_at_random_is_its_own(cloud, probe):
    drawn = []
    for _ in range(3):
        cloud.functions.kill_workers(PROBE, 10)
        answer, _ = eventually(lambda: (got := probe(do="random")) and got[1] is None and got)
        drawn.append(answer["drawn"])

    assert len(set(drawn)) == 3


def test_an_import_that_ends_the_process_is_told_with_its_status(cloud):
    for _ in range(2):
        payload, error = cloud.functions.invoke("LeavingFunction", {})

        assert (payload["errorType"], error) == ("Runtime.ExitError", "Unhandled")
        assert "exit status 7" in payload["errorMessage"]


def test_the_lambda_client_answers_as_on_aws(cloud):
    answer = cloud.client("lambda").invoke(
        FunctionName=cloud.stack.attribute(PROBE, "Arn"), Payload=json.dumps({"do": "raise", "message": "bad"})
    )

    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    error = json.loads(answer["Payload"].read())
    assert (error["errorType"], error["errorMessage"]) == ("ValueError", "bad")


def test_the_context_is_lambdas(cloud, probe):
    context, _ = probe(do="context")

    assert 0 < context["remaining"] <= 1000
    assert context["arn"] == cloud.stack.attribute(PROBE, "Arn")
    assert (context["name"], context["memory"]) == (cloud.stack.physical_id(PROBE), "256")


def test_the_environment_holds_lambdas_variables_and_the_functions_only(cloud, probe, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_OWNER", "x")
    cloud.functions.kill_workers(PROBE, 10)
    environment, _ = eventually(lambda: (got := probe(do="environment")) and got[1] is None and got)

    assert "SECRET_OF_THE_OWNER" not in environment
    assert "HOME" not in environment
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"] == cloud.endpoint
    assert environment["STAGE_NAME"] == "development"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"


def test_layers_lie_over_one_another_under_opt(probe):
    words, error = probe(do="read", names=["WORDS", "MORE"])

    assert error is None
    assert words == {"WORDS": "from the first layer", "MORE": "from the second layer"}
    assert probe(do="both") == ("on top", None)
    assert probe(do="layered") == ("layered", None)


def test_a_function_reaches_the_embedded_aws(cloud, probe):
    assert probe(do="dynamodb", id="from-a-function") == ("written", None)
    key = {"id": {"S": "from-a-function"}}
    assert "Item" in cloud.client("dynamodb").get_item(TableName=cloud.outputs["Table"], Key=key)


def test_a_timeout_kills_the_worker(cloud, probe):
    pid = probe()[0]["pid"]
    before = time.monotonic()
    payload, error = probe(do="sleep", seconds=30)

    assert error == "Unhandled"
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert time.monotonic() - before < 25
    assert pid not in cloud.functions.workers(PROBE)
    assert probe()[1] is None


def test_a_crash_is_an_exit_error(probe):
    payload, error = probe(do="exit")

    assert (payload["errorType"], error) == ("Runtime.ExitError", "Unhandled")
    assert "exit status 3" in payload["errorMessage"]


def test_a_killed_worker_is_an_exit_error_and_an_idle_one_is_replaced(cloud, probe):
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(probe, do="sleep", seconds=0.8)
        time.sleep(0.3)
        assert cloud.functions.kill_workers(PROBE, 10) >= 1
        payload, error = under_way.result()

    assert (payload["errorType"], error) == ("Runtime.ExitError", "Unhandled")
    assert "signal: kill" in payload["errorMessage"]
    idle = probe()[0]["pid"]
    os.kill(idle, signal.SIGKILL)
    eventually(lambda: not is_running(idle))
    answer, error = probe()
    assert error is None and answer["pid"] != idle


def test_a_function_that_cannot_be_imported_says_so(cloud):
    payload, error = cloud.functions.invoke("BrokenFunction", {})

    assert error == "Unhandled"
    assert (payload["errorType"], payload["errorMessage"]) == ("RuntimeError", "cannot be imported")


def test_an_unknown_function_is_not_found(cloud):
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        cloud.client("lambda").invoke(FunctionName="absent")


def test_a_payload_that_is_not_json_is_refused(cloud):
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        cloud.client("lambda").invoke(FunctionName=cloud.stack.physical_id(PROBE), Payload=b"{")


def test_an_asynchronous_invocation_is_retried_and_then_given_to_its_destination(cloud):
    cloud.client("lambda").invoke(
        FunctionName=cloud.stack.physical_id("AsyncFunction"),
        InvocationType="Event",
        Payload=json.dumps({"id": "async", "fail": True}),
    )
    record = json.loads(drain(cloud, "GaveUpQueue")[0]["Body"])

    assert seen(cloud, "async") == 2
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestPayload"]["id"] == "async"
    assert record["responsePayload"]["errorMessage"] == "as asked"


def test_workers_can_be_warmed_and_killed_over_http(cloud):
    import urllib.request

    cloud.functions.warm("CollectorFunction")
    body = json.dumps({"function": "CollectorFunction", "count": 1}).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{cloud.endpoint}/_bulwark/kill-workers", body, kind, method="POST")

    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"killed": 1}


OWNER = """
import json, os, signal, sys, time
# A shell that puts a run of tests into the background has it ignore SIGINT, and who it starts with it.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = [{root!r}, {tests!r}]
from small_cloud import start_small
cloud = start_small()
cloud.functions.invoke("ProbeFunction", {{}})
parent = lambda pid: int(open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()[1])
started = [cloud.functions.workers()[0]]
while sys.platform == "linux" and parent(started[-1]) != os.getpid():
    started.append(parent(started[-1]))
print(json.dumps(started), flush=True)
{then}
"""


def owner(temporary: Path, then: str = "time.sleep(600)") -> tuple[subprocess.Popen, list[int]]:
    """Another process that starts a cloud; gives it, and every process that it started."""
    code = OWNER.format(root=str(ROOT), tests=str(Path(__file__).parent), then=then)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)}
    )
    return process, json.loads(process.stdout.readline())


def parent(pid: int) -> int | None:
    """Who started a process, if it is there."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_running(pid: int) -> bool:
    """Whether a process is there; on Linux, one whose main thread alone has ended is."""
    try:
        os.kill(pid, 0)
        threads = list(Path(f"/proc/{pid}/task").iterdir()) if sys.platform == "linux" else []
        states = [(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in threads]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return not states or any(state not in "ZX" for state in states)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_owner_is_told_to_end(tmp_path, signal_number):
    process, started = owner(tmp_path)
    process.send_signal(signal_number)

    assert process.wait(PATIENCE_SECONDS) != 0
    eventually(lambda: not any(map(is_running, started)))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_the_owner_forgets_to_stop(tmp_path):
    process, started = owner(tmp_path, then="")

    assert process.wait(PATIENCE_SECONDS) == 0
    eventually(lambda: not any(map(is_running, started)))
    assert list(tmp_path.iterdir()) == []


def test_workers_die_with_an_owner_that_is_killed(tmp_path):
    process, started = owner(tmp_path)
    process.kill()
    process.wait()

    eventually(lambda: not any(map(is_running, started)))
