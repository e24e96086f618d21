"""Every request delivered twice while models fail and workers die: is each outcome recorded and published, and once?

Sends `--requests` events, each twice; 5 % of the model's calls fail; workers are killed at random all the while, and
`--beside` processes keep the machine busy. It waits as long as anything changes. With `--old`, another checkout does
the same afterwards, and CPU is compared.
Prints one JSON line last: {"requests", "outcomes", "duplicates", "stuck", "open_claims", "fates", "beside",
"cpu_ms_per_request", "cpu_ratio_to", ...}. `fates` says what became of each request sent; `duplicates` counts requests
whose announcements differ in id, which would be two outcomes; `stuck` those with no outcome or an outcome never
announced; `open_claims` claims and places in flight that nobody gave back.
"""

import argparse
import json
import random
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from progress import beside, cpu_seconds, fates, last_line, until_done

from bulwark.local import cloud as embedded

MODEL_FAILURE_SHARE = 0.05
HELD_SHARE = 0.1
OUTCOMES = '{"source": ["bulwark"], "detail-type": [{"prefix": "Inference"}]}'


def policy() -> dict:
    """The shipped policy with one use case that is always released and one that is always held."""
    document = json.loads((ROOT / "policies/runtime.json").read_text())
    document["confidence"] |= {
        "sure": {"intercept": 20, "weights": {}},
        "unsure": {"intercept": -20, "weights": {}},
    }
    tenant = document["tenants"]["acme"]
    tenant |= {"requests_per_minute": 1_000_000, "requests_in_flight": 1_000_000}
    use_case = document["use_cases"]["general_question"] | {"confidence_threshold": 0.5}
    # A release is a release, and what is held is held: audits cost what held answers do, by the share a policy sets.
    use_case["review"] |= {"audit_share": 0, "second_reviewer_share": 0, "blind_share": 0}
    use_case["review"]["overload"] |= {"confidence_floor": 0}
    for name in ("sure", "unsure"):
        document["use_cases"][name] = use_case | {"confidence": name}
        tenant["use_cases"].append(name)
    return document


class Announcements:
    """Reads what the bus announced, by request: the ids of its announcements."""

    def __init__(self, cloud: embedded.Cloud, name: str = "soak") -> None:
        self._sqs = cloud.client("sqs")
        self._url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        bus = cloud.outputs["EventBusName"]
        cloud.client("events").put_rule(Name=name, EventBusName=bus, EventPattern=OUTCOMES)
        cloud.client("events").put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])
        self.ids: dict[str, set[str]] = defaultdict(set)

    def drain(self) -> None:
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                detail = json.loads(message["Body"])["detail"]
                self.ids[detail["request_id"]].add(detail["event_id"])
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])


def send(cloud: embedded.Cloud, requests: list[dict]) -> None:
    """Put every request twice, the two deliveries apart and out of order."""
    deliveries = requests + requests
    random.shuffle(deliveries)
    for start in range(0, len(deliveries), 10):
        entries = [
            {
                "EventBusName": cloud.outputs["EventBusName"],
                "Source": "acme.app",
                "DetailType": "InferenceRequested",
                "Detail": json.dumps(request),
            }
            for request in deliveries[start : start + 10]
        ]
        assert cloud.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def records(cloud: embedded.Cloud) -> dict[str, dict]:
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=cloud.outputs["RequestsTable"])
    found = [{name: next(iter(value.values())) for name, value in item.items()} for p in pages for item in p["Items"]]
    return {record["request_id"]: record for record in found}


def ended(cloud: embedded.Cloud) -> int:
    """How many requests have an outcome, without reading them all."""
    pages = (
        cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=cloud.outputs["RequestsTable"],
            Select="COUNT",
            FilterExpression="#status <> :admitted",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":admitted": {"S": "ADMITTED"}},
        )
    )
    return sum(page["Count"] for page in pages)


def places_in_flight(cloud: embedded.Cloud) -> int:
    items = cloud.client("dynamodb").scan(TableName=cloud.outputs["ControlTable"])["Items"]
    return sum(int(i["count"]["N"]) for i in items if i["control_key"]["S"].startswith("in-flight#"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--beside", type=int, default=0, help="processes that keep the machine busy meanwhile")
    parser.add_argument("--old", type=Path, help="another checkout, to compare CPU with")
    parser.add_argument(
        "--kill-every", type=float, default=0.7, help="seconds between two killed workers; 0 kills none"
    )
    options = parser.parse_args()
    with beside(options.beside):
        result = soak(options)
    if options.old:
        arguments = [
            f"--{name}={getattr(options, name.replace('-', '_'))}" for name in ("requests", "seed", "kill-every")
        ]
        other = last_line(options.old, "soak.py", *arguments)
        result["cpu_ratio_to"] = round(result["cpu_ms_per_request"] / other["cpu_ms_per_request"], 3)
        result["cpu_ms_per_request_of_old"] = other["cpu_ms_per_request"]
    print(json.dumps(result))
    clean = result["outcomes"] == options.requests and not (
        result["duplicates"] or result["stuck"] or result["open_claims"]
    )
    return 0 if clean else 1


def soak(options: argparse.Namespace) -> dict:
    random.seed(options.seed)
    with embedded.start(ROOT / "template.yaml", stack_name="bulwark-soak", policy=policy(), schedules=False) as cloud:
        announcements = Announcements(cloud)
        cloud.load_faults({"faults": [{"kind": "throttle", "probability": MODEL_FAILURE_SHARE}]})
        requests = [
            {
                "request_id": f"soak-{number}",
                "use_case": "unsure" if random.random() < HELD_SHARE else "sure",
                "query": f"What is entry {number} of the ledger?",
            }
            for number in range(options.requests)
        ]
        over = threading.Event()
        killed = 0

        def kill() -> None:
            nonlocal killed
            while options.kill_every and not over.wait(random.uniform(0.5, 1.5) * options.kill_every):
                killed += cloud.functions.kill_workers()

        def look() -> tuple[bool, str]:
            announcements.drain()
            done = ended(cloud)
            all_done = done >= len(requests) and len(announcements.ids) >= len(requests)
            return all_done, f"{done} outcomes, {len(announcements.ids)} announced"

        killer = threading.Thread(target=kill, daemon=True)
        started, cpu = time.monotonic(), cpu_seconds()
        killer.start()
        send(cloud, requests)
        until_done(look)
        over.set()
        killer.join()
        seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu

        # What a dead process left is the sweeper's: let it look as if the deadlines had come.
        swept, _ = cloud.functions.invoke("SweepRequestsFunction", {"now": time.time() + 310})
        until_done(look)
        found = records(cloud)
        outcomes = {key: record for key, record in found.items() if record["status"] != "ADMITTED"}
        wanted = {request["request_id"] for request in requests}
        return {
            "requests": len(requests),
            "outcomes": len(wanted & set(outcomes)),
            "duplicates": sum(len(ids) > 1 for ids in announcements.ids.values()),
            "stuck": len(wanted - set(outcomes)) + len(set(outcomes) - set(announcements.ids)),
            "open_claims": len(found) - len(outcomes) + places_in_flight(cloud),
            "fates": fates(cloud, wanted, found),
            "beside": options.beside,
            "cpu_ms_per_request": round(cpu * 1000 / len(requests), 1),
            "cpu_ratio_to": None,
            "killed": killed,
            "swept": swept,
            "seconds": round(seconds, 1),
        }


if __name__ == "__main__":
    raise SystemExit(main())
