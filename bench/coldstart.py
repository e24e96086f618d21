"""How much CPU each function's import costs, as a ratio to `import boto3` plus one client in the same run.

Prints one JSON line last: {"max_ratio", "functions": {name: ratio}}.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = 1.4
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
    parser.add_argument("--rounds", type=int, default=7, help="each round measures the peer and every function")
    rounds = parser.parse_args().rounds
    functions = handlers()
    peer: list[float] = []
    found: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        peer.append(cpu_ms(PEER))
        for name, module in functions.items():
            found[name].append(cpu_ms(f"import {module}"))
    base = statistics.median(peer)
    ratios = {name: round(statistics.median(times) / base, 3) for name, times in found.items()}
    print(f"{'import boto3 + client':28} {base:7.1f} ms")
    for name, ratio in sorted(ratios.items(), key=lambda item: -item[1]):
        print(f"{name:28} {ratio * base:7.1f} ms  {ratio:5.2f} x{'  over the target' if ratio > TARGET else ''}")
    print(json.dumps({"max_ratio": max(ratios.values()), "functions": ratios, "target": TARGET, "rounds": rounds}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
