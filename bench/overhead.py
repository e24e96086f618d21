"""What a request costs besides the model: CPU of our own handlers, and AWS calls by service.

Own CPU: the handlers run in a process of their own against the embedded AWS, and the CPU of botocore's API calls is
taken off the thread's; Powertools, validation and logging stay in. The announcement is counted in batches of BATCH,
as the stream delivers it. `own_in_calls` is the same as a multiple of what reading one small item from a stub server
costs in that process, and `--old CHECKOUT` runs that checkout's handlers and these in turns and prints
`own_cpu_ratio_to_old`: milliseconds are the machine's, the two ratios are not.
Calls: everything that reaches the endpoint while real requests run through the stack, Lambda invocations by the state
machines included, the model and the services' own polling left out. Requests come in waves of WAVE to one process a
function, and streams are read when a wave is done, so that batches do not depend on the machine's pace.
Subjects' keys: what knowing them costs beyond a claim's one transaction, while requests of MIX_SUBJECTS people, the
n-th of whom comes as often as 1/n^1.1 (Zipf), reach MIX_PROCESSES processes at random; nobody is known at first. The
figure counts second attempts of a claim, reads of the keys' table and calls of KMS.
Prints one JSON line last: {"own_cpu_ms", "own_in_calls", "aws_calls": {"release", "held"},
"subject_key_calls_per_request", ...}.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions"), str(ROOT / "bench")]

from progress import last_line
from soak import Announcements, policy

from bulwark.local import cloud as embedded
from bulwark.local.dynamodb import streams
from bulwark.local.functions import specification

BATCH = 10
WAVE = 50
ENTRIES = 10
# The longest that a stream waits for its batch to fill (the audit log's), and a bit.
WINDOW_SECONDS = 7
QUIET_SECONDS = 3
PATIENCE_SECONDS = 240
TURNS = 5
TARGETS = {"own_in_calls": 1.3, "release": 6, "subject_key_calls": 0.1, "own_cpu_ratio_to_old": 1.05}
MIX_SUBJECTS, MIX_PROCESSES, MIX_EXPONENT = 1_000, 2, 1.1
# Polling by the services themselves, the model's own calls, and what this bench asks.
NOT_OURS = ("GetRecords", "GetShardIterator", "DescribeStream", "ReceiveMessage", "PutLogEvents", "Converse")


def subjects(kind: str = "person") -> Iterator[str]:
    """Who sends one request after the other: few people often, many seldom."""
    chance = random.Random(1)
    people = [f"{kind}-{number}" for number in range(1, MIX_SUBJECTS + 1)]
    weights = list(itertools.accumulate(1 / number**MIX_EXPONENT for number in range(1, MIX_SUBJECTS + 1)))
    while True:
        yield from chance.choices(people, cum_weights=weights, k=1000)


class OwnTime:
    """Thread CPU of a call, less what botocore's API calls took of it; and which calls those were."""

    def __init__(self) -> None:
        import botocore.client

        self.inside = 0.0
        self.key_calls = 0
        original = botocore.client.BaseClient._make_api_call

        def timed(client: Any, operation: str, parameters: dict) -> Any:
            started = time.thread_time()
            self.key_calls += operation == "TransactWriteItems" or client.meta.service_model.service_name == "kms"
            self.key_calls += operation == "GetItem" and parameters["TableName"] == os.environ["KEYS_TABLE"]
            try:
                return original(client, operation, parameters)
            finally:
                self.inside += time.thread_time() - started

        botocore.client.BaseClient._make_api_call = timed

    def of(self, call: Any, *arguments: Any) -> tuple[float, Any]:
        self.inside = 0.0
        started = time.thread_time()
        result = call(*arguments)
        spent = time.thread_time() - started
        return (spent - self.inside) * 1000, result


def in_a_process(cloud: embedded.Cloud, *arguments: str) -> Any:
    """What this bench measures with the release path's handlers, in a process of its own against the endpoint."""
    with tempfile.TemporaryDirectory() as layers:
        for folder in ("events/schemas", "policies"):
            shutil.copytree(ROOT / folder, layers, dirs_exist_ok=True)
        environment = dict(os.environ)
        for name in ("AdmitRequestFunction", "AssessAnswerFunction", "PublishOutcomeFunction"):
            function = cloud.functions.function(name)
            environment |= specification.environment(function, cloud.endpoint, "127.0.0.1:1", "bench", Path(layers))
        command = [sys.executable, __file__, *arguments]
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def count_key_calls(requests: int) -> float:
    """Calls for subjects' keys per admitted request, over the mix of subjects and of processes' memories."""
    from adapters import key_memory, root_key
    from inference import admit_request

    own, chance, whose = OwnTime(), random.Random(2), subjects("mix")
    memories = [(None, OrderedDict()) for _ in range(MIX_PROCESSES)]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for number in range(requests):
            process = chance.randrange(MIX_PROCESSES)
            root_key._root, key_memory._remembered = memories[process]
            detail = {"request_id": f"mix-{number}", "use_case": "sure", "query": "Why?", "user_id": next(whose)}
            admitted = admit_request.handler(arriving(f"mix-{number}", detail), CONTEXT)
            assert admitted["admission"] == "ADMITTED", admitted
            memories[process] = root_key._root, key_memory._remembered
    return round(own.key_calls / requests - 1, 4)


CONTEXT = SimpleNamespace(
    function_name="bench",
    function_version="1",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:bench",
    aws_request_id="bench",
    get_remaining_time_in_millis=lambda: 10_000,
)


def arriving(name: str, detail: dict) -> dict:
    """A request as its execution hands it to AdmitRequest."""
    event = {"id": f"event-{name}", "account": "123456789012", "source": "acme.app", "detail": detail}
    return {"execution_name": f"run-{name}", **event}


def one_call() -> Callable[[], float]:
    """Measures the CPU milliseconds of one GetItem by a client as adapters have it, answered by a stub."""
    import boto3

    class Stub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        item = b'{"Item":{"request_key":{"S":"acme#1"},"status":{"S":"ADMITTED"},"tokens":{"N":"120"}}}'

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(self.item)))
            self.end_headers()
            self.wfile.write(self.item)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = boto3.resource("dynamodb", endpoint_url=f"http://127.0.0.1:{server.server_port}").meta.client

    def measure() -> float:
        started = time.thread_time()
        item = client.get_item(TableName="requests", Key={"request_key": "acme#1"}, ConsistentRead=True)["Item"]
        spent = time.thread_time() - started
        assert item["tokens"] == 120, item
        return spent * 1000

    return measure


def time_handlers(rounds: int) -> dict[str, float]:
    """Median CPU milliseconds of one call, and our own per request of each handler on the release path."""
    own = OwnTime()
    # Log lines and metrics are written, as in Lambda, but not to the reader's screen.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        return _time_handlers(rounds, own)


def _time_handlers(rounds: int, own: OwnTime) -> dict[str, float]:
    import boto3

    from inference import admit_request, assess_answer
    from outbox import publish_outcome

    whose = subjects()
    passage = {"id": "p1", "text": "A ledger is a book of accounts, kept entry by entry. " * 12}
    answer = {
        "Output": {"Message": {"Role": "assistant", "Content": [{"Text": "A ledger is a book of accounts. " * 20}]}},
        "StopReason": "end_turn",
        "Trace": {"Guardrail": {"OutputAssessments": {}}},
        "Usage": {"InputTokens": 300, "OutputTokens": 120, "TotalTokens": 420},
    }
    times: dict[str, list[float]] = {"admit_request": [], "assess_answer": [], "publish_outcome": []}
    for number in range(rounds):
        detail = {
            "request_id": f"bench-{number}",
            "use_case": "sure",
            "query": "What is a ledger, and who keeps it?",
            "passages": [passage],
            "user_id": next(whose),
        }
        spent, plan = own.of(admit_request.handler, arriving(str(number), detail), CONTEXT)
        times["admit_request"].append(spent)
        assess = {
            "execution_name": f"run-{number}",
            "request": plan["request"],
            "model": "nova-lite",
            "answer": answer,
            "attempts": [],
            "retrieval_scores": [],
        }
        spent, judged = own.of(assess_answer.handler, assess, CONTEXT)
        assert judged["status"] == "COMPLETED", judged
        times["assess_answer"].append(spent)

    table = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=os.environ["REQUESTS_TABLE"])
    images = [item for page in table for item in page["Items"] if item["request_id"]["S"].startswith("bench-")]
    for start in range(0, len(images) - BATCH + 1, BATCH):
        changes = [
            {
                "dynamodb": {
                    "SequenceNumber": str(n),
                    "NewImage": image,
                    "OldImage": {"status": {"S": "ADMITTED"}},
                }
            }
            for n, image in enumerate(images[start : start + BATCH])
        ]
        spent, result = own.of(publish_outcome.handler, {"Records": changes}, CONTEXT)
        assert result == {"batchItemFailures": []}, result
        times["publish_outcome"].append(spent / BATCH)
    # By themselves, so that they take nothing out of the processor's caches that the handlers had there.
    call = one_call()
    times["one_call"] = [call() for _ in range(rounds)]
    warm = {name: spent[len(spent) // 5 :] for name, spent in times.items()}
    return {name: round(statistics.median(spent), 3) for name, spent in warm.items()}


def aws_calls(cloud: embedded.Cloud, use_case: str, requests: int) -> dict[str, float]:
    """Calls per request by service and operation, over waves of requests through the whole stack."""
    announcements = Announcements(cloud, f"overhead-{use_case}")
    spent: Counter = Counter()
    whose = subjects()
    # Whoever starts cold is silent for longer than a stack that is done.
    send(cloud, use_case, {f"{use_case}-warm": next(whose)})
    wait_until_recorded(cloud, use_case, 1)
    wait_until_quiet(cloud, WINDOW_SECONDS)
    for start in range(0, requests, WAVE):
        numbers = range(start, min(start + WAVE, requests))
        before = Counter(cloud.calls)
        with streams.held():
            send(cloud, use_case, {f"{use_case}-{n}": next(whose) for n in numbers})
            scans = wait_until_recorded(cloud, use_case, numbers.stop + 1)
            wait_until_quiet(cloud, QUIET_SECONDS)
        wait_until_quiet(cloud, WINDOW_SECONDS)
        spent += Counter({call: count for call, count in (Counter(cloud.calls) - before).items() if is_ours(*call)})
        # What this bench put and read.
        spent["events", "PutEvents"] -= -(-len(numbers) // ENTRIES)
        spent["dynamodb", "Scan"] -= scans
        announcements.drain()
        assert len(announcements.ids) == numbers.stop + 1, f"{len(announcements.ids) - 1} of {numbers.stop} announced"
    return {
        f"{service}:{operation}": round(count / requests, 3)
        for (service, operation), count in sorted(spent.items())
        if count
    }


def send(cloud: embedded.Cloud, use_case: str, users: dict[str, str]) -> None:
    """Put an event for each request, ENTRIES a call."""
    entries = [
        {
            "EventBusName": cloud.outputs["EventBusName"],
            "Source": "acme.app",
            "DetailType": "InferenceRequested",
            "Detail": json.dumps(
                {"request_id": request_id, "use_case": use_case, "query": "What is a ledger?", "user_id": user_id}
            ),
        }
        for request_id, user_id in users.items()
    ]
    for start in range(0, len(entries), ENTRIES):
        cloud.client("events").put_events(Entries=entries[start : start + ENTRIES])


def wait_until_recorded(cloud: embedded.Cloud, use_case: str, count: int) -> int:
    """Wait until so many requests of a use case have an outcome; gives the calls of Scan that it took."""
    scans, until, found = 0, time.monotonic() + PATIENCE_SECONDS, 0
    table = cloud.client("dynamodb").get_paginator("scan")
    while found < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{found} of {count} requests have an outcome after {PATIENCE_SECONDS} s")
        time.sleep(0.2)
        pages = list(table.paginate(TableName=cloud.outputs["RequestsTable"]))
        items = [item for page in pages for item in page["Items"]]
        found = sum(item["use_case"]["S"] == use_case and item["status"]["S"] != "ADMITTED" for item in items)
        scans += len(pages)
    return scans


def wait_until_quiet(cloud: embedded.Cloud, seconds: float) -> None:
    """Wait until nothing of ours has been called for so long."""
    until, last, since = time.monotonic() + PATIENCE_SECONDS, -1, time.monotonic()
    while time.monotonic() < until:
        count = sum(count for call, count in cloud.calls.items() if is_ours(*call))
        if count != last:
            last, since = count, time.monotonic()
        elif time.monotonic() - since > seconds:
            return
        time.sleep(0.1)
    raise TimeoutError(f"the stack is at work still after {PATIENCE_SECONDS} s")


def is_ours(service: str, operation: str) -> bool:
    return not (
        service == "bedrock"
        or any(name in operation for name in NOT_OURS)
        or (service == "sqs" and operation in ("DeleteMessage", "SendMessage"))
    )


def ratio_to(old: Path, rounds: int) -> float:
    """This checkout's own CPU as a multiple of another's: the median over TURNS pairs of runs."""

    def own_ms(checkout: Path) -> float:
        arguments = ["--requests", "1", "--mix", "10", "--rounds", str(rounds)]
        return last_line(checkout, "overhead.py", *arguments, check=True)["own_cpu_ms"]

    ratios = []
    for turn in range(TURNS):
        print(f"turn {turn + 1} of {TURNS} with {old}", file=sys.stderr)
        ratios.append(own_ms(ROOT) / own_ms(old))
    return round(statistics.median(ratios), 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--mix", type=int, default=6_000, help="requests over which calls for subjects' keys count")
    parser.add_argument("--old", type=Path, help="another checkout, whose own CPU is measured in turns with this one's")
    parser.add_argument("--measure", choices=["cpu", "keys"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(time_handlers(options.rounds) if options.measure == "cpu" else count_key_calls(options.mix)))
        return 0
    with embedded.start(
        ROOT / "template.yaml", stack_name="bulwark-overhead", policy=policy(), schedules=False, concurrency=1
    ) as cloud:
        by_path = {}
        for path, use_case in (("release", "sure"), ("held", "unsure")):
            print(f"{options.requests} requests on the {path} path", file=sys.stderr)
            by_path[path] = aws_calls(cloud, use_case, options.requests)
        print(f"{options.rounds} rounds of the handlers", file=sys.stderr)
        cpu = in_a_process(cloud, "--measure", "cpu", "--rounds", str(options.rounds))
        print(f"{options.mix} requests of {MIX_SUBJECTS} subjects", file=sys.stderr)
        key_calls = in_a_process(cloud, "--measure", "keys", "--mix", str(options.mix))
    for path, calls in by_path.items():
        print(path)
        for name, count in calls.items():
            print(f"  {name:60} {count:6.2f}")
    call_ms = cpu.pop("one_call")
    own_ms = sum(cpu.values())
    result = {
        "own_cpu_ms": round(own_ms, 3),
        "own_in_calls": round(own_ms / call_ms, 3),
        "one_call_ms": call_ms,
        "own_cpu_ms_by_handler": cpu,
        "aws_calls": {path: round(sum(calls.values()), 2) for path, calls in by_path.items()},
        "subject_key_calls_per_request": key_calls,
        "targets": TARGETS,
    }
    if options.old:
        result["own_cpu_ratio_to_old"] = ratio_to(options.old, options.rounds)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
