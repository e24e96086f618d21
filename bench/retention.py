"""A thousand, ten thousand, a hundred thousand items that are over: does the night take them all, and nothing else?

For each size the tables and the payload bucket get that many items whose time is over, a fifth as many whose time is
not, and a tenth that are held and would be over; the real machine cleans them by the real functions. Then a run of ten
thousand is killed at a random point, worker and execution, and run again. Items are put into moto itself, since they
are not what is measured.
Prints one JSON line last, of the largest size: {"items", "items_per_s", "rss_mb", "calls_per_1000", "wrongly_kept",
"wrongly_deleted", ...}. `rss_mb` is the most that a worker of CleanSegment had; `calls_per_1000` counts the functions'
calls to stores, per thousand items that are over; `sizes` has all sizes, `killed` what the kill left to the second run;
`wrongly_...` count over all of them.
"""

import argparse
import json
import random
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions"), str(ROOT / "bench")]

from moto.dynamodb.models import dynamodb_backends
from progress import until_done, written

from bulwark.local import cloud as embedded
from bulwark.local.clients import ACCOUNT, REGION

SIZES = (1_000, 10_000, 100_000)
# Shares of what is over, by store; objects have a day that is over in their name.
SHARES = {"requests": 0.4, "reviews": 0.2, "cache": 0.1, "control": 0.2, "payloads": 0.1}
TABLES = {
    "requests": ("RequestsTable", "request_key"),
    "reviews": ("ReviewsTable", "review_id"),
    "cache": ("CacheTable", "answer_key"),
    "control": ("ControlTable", "control_key"),
}
KINDS = {"over": 1, "young": 0.2, "held": 0.1}
# About what a short question with its answer takes.
WORDS = "word " * 200
OVER_DAY, YOUNG_DAY = "2026-01-01", "2099-01-01"


class Stores:
    """The embedded stores, filled and looked at behind the back of what is measured."""

    def __init__(self, cloud: embedded.Cloud) -> None:
        self.cloud = cloud
        self._dynamodb = dynamodb_backends[ACCOUNT][REGION]
        self._s3 = cloud.client("s3")

    def fill(self, items: int) -> dict[str, set[str]]:
        """Put so many items that are over, and the others; gives all keys by kind."""
        now, keys = int(time.time()), {kind: set[str]() for kind in KINDS}
        for store, share in SHARES.items():
            for kind, part in KINDS.items():
                for _ in range(round(items * share * part)):
                    key = self._put_object(kind) if store == "payloads" else self._put_item(store, kind, now)
                    keys[kind].add(key)
        return keys

    def left(self) -> set[str]:
        """The keys of all that is there."""
        found = set()
        for name, _ in TABLES.values():
            found |= {key.value for key in self._dynamodb.get_table(self.cloud.outputs[name]).items}
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.cloud.outputs["PayloadBucket"])
        return found | {each["Key"] for page in pages for each in page.get("Contents", ())}

    def empty(self) -> None:
        for name, _ in TABLES.values():
            table = self._dynamodb.get_table(self.cloud.outputs[name])
            for key in list(table.items):
                table.delete_item(key, None)
        for key in [key for key in self.left() if "/" in key]:
            self._s3.delete_object(Bucket=self.cloud.outputs["PayloadBucket"], Key=key)

    def _put_item(self, store: str, kind: str, now: int) -> str:
        name, key_name = TABLES[store]
        key = f"{kind}#{uuid.uuid4()}"
        ends = {"over": now - random.randint(1, 80_000), "young": now + 86_400, "held": now - 5}[kind]
        item = {key_name: {"S": key}, "expires_at" if kind != "held" else "held_expires_at": {"N": str(ends)}}
        if store in ("requests", "reviews"):
            item |= {"payload": {"S": WORDS}, "retention_class": {"S": "standard"}}
        self._dynamodb.put_item(self.cloud.outputs[name], item)
        return key

    def _put_object(self, kind: str) -> str:
        day = YOUNG_DAY if kind == "young" else OVER_DAY
        key = f"{'held' if kind == 'held' else 'requests'}/{day}/{uuid.uuid4().hex}/payload-1.json"
        self._s3.put_object(Bucket=self.cloud.outputs["PayloadBucket"], Key=key, Body=b"{}")
        return key


class Memory:
    """Watches the resident memory of a function's workers."""

    def __init__(self, cloud: embedded.Cloud, name: str) -> None:
        self.most_kb, self._cloud, self._name = 0, cloud, name
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            for pid in self._cloud.functions.workers(self._name):
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                sizes = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")]
                self.most_kb = max([self.most_kb, *sizes])


class Night:
    """The machine as the schedule starts it."""

    def __init__(self, cloud: embedded.Cloud) -> None:
        self._cloud, self._states = cloud, cloud.client("stepfunctions")
        self.cleaner = next(each.name for each in cloud.functions.functions() if "CleanSegment" in each.name)

    def start(self) -> str:
        machine = self._cloud.outputs["RetentionCleanupStateMachineArn"]
        return self._states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

    def report(self, execution: str) -> dict[str, Any]:
        def look() -> tuple[bool, str]:
            status = self._states.describe_execution(executionArn=execution)["status"]
            return status != "RUNNING", f"{status}, {written(self._cloud)} changes"

        if not until_done(look, pause=0.05, tell=False):
            raise RuntimeError("the night does not end, and nothing changes any more")
        now = self._states.describe_execution(executionArn=execution)
        if now["status"] != "SUCCEEDED":
            raise RuntimeError(f"{now['status']}: {now.get('error')}: {now.get('cause')}")
        return json.loads(now["output"])

    def kill(self, execution: str) -> None:
        """What a lost machine looks like: the execution is stopped and its workers are gone."""
        self._states.stop_execution(executionArn=execution)
        self._cloud.functions.kill_workers(self.cleaner, 16)


def measure(cloud: embedded.Cloud, stores: Stores, items: int) -> dict:
    night, keys = Night(cloud), stores.fill(items)
    cloud.functions.warm(
        *(each.name for each in cloud.functions.functions() if "Retention" in each.name), night.cleaner
    )
    memory, before = Memory(cloud, night.cleaner), calls(cloud)
    began = time.monotonic()
    report = night.report(night.start())
    seconds = time.monotonic() - began
    memory.stop()
    made = calls(cloud)
    told = {"items": items, "seconds": round(seconds, 2), "items_per_s": round(len(keys["over"]) / seconds)}
    told |= {"rss_mb": round(memory.most_kb / 1024, 1)}
    told |= {"calls_per_1000": round(1000 * (made - before) / items, 1), "reported": report["deleted"]}
    told |= judged(stores, keys)
    stores.empty()
    return told


def measure_killed(cloud: embedded.Cloud, stores: Stores, items: int, seconds: float) -> dict:
    """The same with a kill somewhere in the run's time, and another run behind it."""
    night, keys = Night(cloud), stores.fill(items)
    execution = night.start()
    time.sleep(random.uniform(0.1, 0.9) * seconds)
    night.kill(execution)
    time.sleep(1)
    gone = len(keys["over"] - stores.left())
    report = night.report(night.start())
    told = {"killed_after": gone, "then": report["deleted"], **judged(stores, keys)}
    stores.empty()
    return told


def judged(stores: Stores, keys: dict[str, set[str]]) -> dict:
    left = stores.left()
    return {
        "wrongly_kept": len(keys["over"] & left),
        "wrongly_deleted": len((keys["young"] | keys["held"]) - left),
    }


def calls(cloud: embedded.Cloud) -> int:
    """AWS calls to stores so far; what this program asks meanwhile is of Step Functions."""
    return sum(count for (service, _), count in cloud.calls.items() if service in ("dynamodb", "s3"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--killed", type=int, default=10_000, help="So many items for the run that is killed.")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    random.seed(options.seed)
    policy = json.loads((ROOT / "policies/runtime.json").read_text())
    sizes = []
    with embedded.start(ROOT / "template.yaml", stack_name="retention", policy=policy, schedules=False) as cloud:
        stores = Stores(cloud)
        for items in options.sizes:
            sizes.append(measure(cloud, stores, items))
            print(json.dumps(sizes[-1]), flush=True)
        seconds = options.killed * sizes[-1]["seconds"] / sizes[-1]["items"]
        killed = measure_killed(cloud, stores, options.killed, seconds)
        print(json.dumps({"killed": killed}), flush=True)
    last = sizes[-1]
    print(
        json.dumps(
            {name: last[name] for name in ("items", "items_per_s", "rss_mb", "calls_per_1000")}
            | {
                "wrongly_kept": sum(each["wrongly_kept"] for each in (*sizes, killed)),
                "wrongly_deleted": sum(each["wrongly_deleted"] for each in (*sizes, killed)),
                "sizes": sizes,
                "killed": killed,
            }
        )
    )


if __name__ == "__main__":
    main()
