"""How much CPU each function's import costs, as a ratio to `import boto3` plus one client in the same run.

Each function has a peer measured beside it, and of both the least of the rounds counts: what else a machine does only
adds.
Exits with 1 where a function is over the target. Prints one JSON line last: {"max_ratio", "functions": {name: ratio}}.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = 1.35
MORE_ROUNDS = 5
PEER = "import boto3; boto3.client('dynamodb')"
MEASURE = "import time; started = time.process_time(); {work}; print((time.process_time() - started) * 1000)"


def handlers() -> dict[str, str]:
    """Each function's module, as template.yaml names it."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, tag, node: None)
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader)
    return {
        name: resource["Properties"]["Handler"].removesuffix(".handler")
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def cpu_ms(work: str) -> float:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "functions"),
        "SCHEMAS_DIR": str(ROOT / "events/schemas"),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "POWERTOOLS_SERVICE_NAME": "bulwark",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
    }
    code = MEASURE.format(work=work)
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return float(result.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="each round measures every function, and the peer beside it"
    )
    rounds = parser.parse_args().rounds
    functions = handlers()
    peers: dict[str, list[float]] = {name: [] for name in functions}
    found: dict[str, list[float]] = {name: [] for name in functions}

    def ratio_of(name: str) -> float:
        return round(min(found[name]) / min(peers[name]), 3)

    for number in range(rounds + MORE_ROUNDS):
        # A neighbour can be at all rounds of one function: those over the target are measured some more, peers too.
        asked = functions if number < rounds else [name for name in functions if ratio_of(name) > TARGET]
        print(f"round {number + 1}: {len(asked)} functions", file=sys.stderr)
        for name in asked:
            peers[name].append(cpu_ms(PEER))
            found[name].append(cpu_ms(f"import {functions[name]}"))
    ratios = {name: ratio_of(name) for name in functions}
    for name, ratio in sorted(ratios.items(), key=lambda item: -item[1]):
        over = "  over the target" if ratio > TARGET else ""
        print(f"{name:28} {min(found[name]):7.1f} of {min(peers[name]):7.1f} ms  {ratio:5.2f} x{over}")
    print(json.dumps({"max_ratio": max(ratios.values()), "functions": ratios, "target": TARGET, "rounds": rounds}))
    return int(max(ratios.values()) > TARGET)


if __name__ == "__main__":
    raise SystemExit(main())
