"""Does each function answer in sam's container what it answers on the embedded AWS, and by its success path?

Each function of the template is asked the input that it has in events/inputs/, from the state that this is about:
first on the embedded AWS, then, on another one, by `sam local invoke NAME --config-env local`, as README.md has it.
What differs by nature is masked (bench/same_answers.py). Needs a Docker engine that runs, and what `make build-local`
made; while it runs no `bulwark up` may.
Prints one JSON line last: {"functions", "same_as_embedded", "by_success_path", ...}. Exits with 1 where an answer is
another one, or fewer than 45 functions came to their success.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions"), str(ROOT / "tests"), str(ROOT / "bench")]
# Functions' modules make their clients at import, and a client needs a region to be made.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

import moto.core  # noqa: F401 - it watches over clients that are made after it alone
from input_stage import Stage, input_of, policy
from input_success import is_success
from same_answers import difference, masked

from bulwark.cli.target import SAM_FILES, running_locally
from bulwark.local import cloud as embedded
from bulwark.local.sam import build, files

ENOUGH = 45
PATIENCE_SECONDS = 120
Ask = Callable[[str, dict], Any]


def by_lambda(cloud: embedded.Cloud) -> Ask:
    """The embedded AWS's own Lambda."""
    invoke = cloud.client("lambda").invoke
    return lambda function, event: json.load(invoke(FunctionName=function, Payload=json.dumps(event))["Payload"])


def by_sam(folder: Path) -> Ask:
    """`sam local invoke` as README.md has it, with no credentials but those that it is told."""
    sam = str(Path(sys.executable).with_name("sam"))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nobody = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    environment = {**ours, **nobody, "SAM_CLI_TELEMETRY": "0"}

    def ask(function: str, event: dict) -> Any:
        file = folder / f"{function}.json"
        file.write_text(json.dumps(event))
        command = [sam, "local", "invoke", function, "--event", str(file), "--config-env", "local"]
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        lines = ended.stdout.strip().splitlines()
        if ended.returncode or not lines:
            raise RuntimeError(f"sam local invoke {function} ended with {ended.returncode}:\n{ended.stderr}")
        return json.loads(lines[-1])

    return ask


def answers(functions: list[str], stage: Stage, ask: Ask, tell: Callable[[str, float, dict], None]) -> dict[str, dict]:
    """What each function gives from its own state, masked, and whether it came to its success."""
    found = {}
    for function in functions:
        event = stage.prepare(function)
        stage.cloud.settle()
        began = time.monotonic()
        answer = ask(function, event)
        found[function] = {"answer": masked(answer, input_of(function)), "success": is_success(function, answer, stage)}
        tell(function, time.monotonic() - began, found[function])
    return found


def start() -> embedded.Cloud:
    # A schedule would do the work of functions that are to be asked for it.
    return embedded.start(ROOT / "template.yaml", policy=policy(), schedules=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", help="Only these; without any, all of the template.")
    options = parser.parse_args()
    if running_locally():
        raise SystemExit("Stop `bulwark up` first: sam would find that one.")
    if not (build.PLACES[True] / "template.yaml").exists():
        raise SystemExit("Nothing is built for this machine: make build-local")
    began = time.monotonic()
    with start() as cloud:
        functions = options.functions or sorted(each.logical_id for each in cloud.functions.functions())
        stage = Stage(cloud)
        expected = answers(functions, stage, by_lambda(cloud), lambda *_: None)
        print(f"The embedded AWS has answered after {time.monotonic() - began:.0f} s.", flush=True)

    def tell(function: str, seconds: float, found: dict) -> None:
        differs = difference(expected[function]["answer"], found["answer"])
        said = "success" if found["success"] else "no success"
        print(f"{function:26} {seconds:5.1f} s  {said:10}  {'differs' if differs else 'same'}", flush=True)
        if differs:
            print(differs, flush=True)

    with start() as cloud, tempfile.TemporaryDirectory() as folder:
        cloud.open_to_containers()
        if cloud.container_endpoint is None:
            raise SystemExit("No Docker engine is here: its bridge is missing.")
        with files.written(SAM_FILES, cloud):
            given = answers(functions, Stage(cloud), by_sam(Path(folder)), tell)
    same = [name for name in functions if given[name]["answer"] == expected[name]["answer"]]
    succeeded = [name for name in same if given[name]["success"] and expected[name]["success"]]
    figures = {
        "functions": len(functions),
        "same_as_embedded": len(same),
        "by_success_path": len(succeeded),
        "others": sorted(set(functions) - set(succeeded)),
        "seconds": round(time.monotonic() - began),
    }
    print(json.dumps(figures))
    return int(len(same) < len(functions) or len(succeeded) < min(ENOUGH, len(functions)))


if __name__ == "__main__":
    raise SystemExit(main())
