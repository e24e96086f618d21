"""Five hundred held answers, twenty reviewers at once, workers killed and posts sent twice: is each decided once?

`--held` answers are held, half of them for two pairs of eyes; `--reviewers` people (a third of them leads) take what is
next, and approve, edit, reject, escalate or cannot judge; a third of the posts is sent twice at once, and the API's
workers are killed at random, beside `--beside` processes that keep the machine busy. It waits as long as anything
changes. Then a queue of 100 and one of 100,000 reviews are paged.
Prints one JSON line last: {"held", "decided", "decided_twice", "stuck", "fates", "beside", "first_page_reads_100",
"first_page_reads_100000", ...}. `held` counts the requests that came to a hold, and `fates` says what became of each
that was sent; `decided_twice` counts requests with two outcomes after the hold, people with two
verdicts on one item, and items counted more than once; `stuck` requests still held and executions still running;
`reads` are the items that DynamoDB evaluated for the first page of 25, all its queries together.
"""

import argparse
import json
import os
import random
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions"), str(ROOT / "bench")]

from progress import beside, fates, until_done
from soak import Announcements, records

from bulwark.local import cloud as embedded
from bulwark.local.users import LocalUser, create_users, sign_in

TWICE_SHARE = 0.3
DECISIONS = ["APPROVE"] * 10 + ["REJECT"] * 5 + ["EDIT"] * 3 + ["ESCALATE"] + ["CANNOT_JUDGE"]
DECIDED = ("COMPLETED", "REFUSED")
SMALL, LARGE = 100, 100_000
PAGE = 25


def policy(two_share: float = 1) -> dict:
    """The shipped policy with two use cases whose answers are always held: for one person, and, by share, for two."""
    document = json.loads((ROOT / "policies/runtime.json").read_text())
    document["confidence"]["unsure"] = {"intercept": -20, "weights": {}}
    tenant = document["tenants"]["acme"]
    tenant |= {"requests_per_minute": 1_000_000, "requests_in_flight": 1_000_000, "use_cases": ["one", "two"]}
    for name, share in (("one", 0), ("two", two_share)):
        use_case = json.loads(json.dumps(document["use_cases"]["general_question"]))
        use_case |= {"confidence": "unsure", "confidence_threshold": 0.5}
        use_case["review"] |= {"second_reviewer_share": share, "audit_share": 0, "blind_share": 0}
        use_case["review"]["overload"]["confidence_floor"] = 0
        document["use_cases"][name] = use_case
    return document


class Desk:
    """The HTTP API as one reviewer calls it: what a killed worker or a cut connection spoils is sent again.

    A sign-in is good for an hour, which a long bench outlasts: refused, it signs in anew.
    """

    def __init__(self, cloud: embedded.Cloud, sign_in: Callable[[], str]) -> None:
        self._cloud, self._sign_in, self._token = cloud, sign_in, sign_in()

    def call(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        for _ in range(20):
            request = urllib.request.Request(self._cloud.api_url + path, method=method)
            request.add_header("authorization", f"Bearer {self._token}")
            request.data = None if body is None else json.dumps(body).encode()
            request.add_header("content-type", "application/json")
            try:
                with urllib.request.urlopen(request, timeout=35) as response:
                    return response.status, json.load(response)
            except urllib.error.HTTPError as error:
                if error.code == 401:
                    self._token = self._sign_in()
                elif error.code < 500:
                    return error.code, json.load(error)
            except OSError:
                pass
            time.sleep(random.uniform(0.02, 0.2))
        raise RuntimeError(f"{method} {path} failed twenty times")


class Reviewers:
    """People at work until told to stop; each takes what is next and decides on it."""

    def __init__(self, desks: list[Desk]) -> None:
        self.over, self.verdicts = threading.Event(), Counter[str]()
        self._lock, self._posts = threading.Lock(), ThreadPoolExecutor(2 * len(desks))
        self._threads = [threading.Thread(target=self._work, args=(desk,), daemon=True) for desk in desks]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(60)
        self._posts.shutdown()

    def _work(self, desk: Desk) -> None:
        while not self.over.is_set():
            _, answer = desk.call("POST", "/reviews/claim", {"attempt": f"{random.getrandbits(64):x}"})
            if not answer.get("review"):
                time.sleep(0.3)
                continue
            path = f"/reviews/{answer['review']['review_id']}"
            status, shown = desk.call("GET", path)
            if status != 200 or not shown["may"]:
                continue
            decision = random.choice([one for one in DECISIONS if one in shown["may"]])
            body = {"decision": decision, "shown_digest": shown["shown_digest"]}
            body |= {"answer": "It is a book."} if decision == "EDIT" else {}
            body |= {"reason_code": "WRONG"} if decision == "REJECT" else {}
            copies = 2 if random.random() < TWICE_SHARE else 1
            posts = [self._posts.submit(desk.call, "POST", f"{path}/decision", body) for _ in range(copies)]
            statuses = {post.result()[0] for post in posts}
            with self._lock:
                self.verdicts["sent twice"] += copies - 1
                self.verdicts[decision if 200 in statuses else f"refused {min(statuses)}"] += 1


def items(cloud: embedded.Cloud) -> list[dict]:
    from boto3.dynamodb.types import TypeDeserializer

    read = TypeDeserializer().deserialize
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=cloud.outputs["ReviewsTable"])
    return [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]


def running(cloud: embedded.Cloud) -> int:
    pages = (
        cloud.client("stepfunctions")
        .get_paginator("list_executions")
        .paginate(stateMachineArn=cloud.outputs["HumanReviewStateMachineArn"], statusFilter="RUNNING")
    )
    return sum(len(page["executions"]) for page in pages)


def counted(cloud: embedded.Cloud) -> int:
    """How many reviews the counters say have ended."""
    found = cloud.client("dynamodb").scan(TableName=cloud.outputs["ControlTable"])["Items"]
    return sum(int(i["reviews"]["N"]) for i in found if i["control_key"]["S"].startswith("quality#") and "reviews" in i)


def first_page_reads(cloud: embedded.Cloud, size: int) -> int:
    """Items evaluated for the first page of a queue of so many, by the code that the API runs."""
    environment = {
        "AWS_ENDPOINT_URL": cloud.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "REVIEWS_TABLE": cloud.outputs["ReviewsTable"],
    }
    os.environ |= environment
    from adapters import dynamodb
    from adapters.reviews import review_queues
    from domain.api.callers import Caller
    from domain.policy import Policy

    fill(cloud, size)
    reads: list[int] = []
    events = dynamodb.client.meta.events
    count = lambda parsed, **_: reads.append(parsed["ScannedCount"])  # noqa: E731 - a handler of one use
    events.register("after-call.dynamodb.Query", count)
    caller = Caller.from_groups("somebody", "somebody", ["reviewers", "tenant-acme"])
    found, following = review_queues.page(
        Policy.from_json(policy()), caller, {}, "", PAGE, time.time(), free_only=False
    )
    events.unregister("after-call.dynamodb.Query", count)
    assert len(found) == PAGE and following
    return sum(reads)


def fill(cloud: embedded.Cloud, size: int) -> None:
    """Put open reviews into the queue until it holds so many."""
    dynamodb, table = cloud.client("dynamodb"), cloud.outputs["ReviewsTable"]
    began = fill.done
    for start in range(began, size, 25):
        numbers = range(start, min(start + 25, size))
        requests = [{"PutRequest": {"Item": _open_review(number)}} for number in numbers]
        dynamodb.batch_write_item(RequestItems={table: requests})
        if start % 20_000 == 0:
            print(f"queue of {start} of {size}", file=sys.stderr)
    fill.done = size


fill.done = 0


def _open_review(number: int) -> dict:
    moment = f"2026-11-24T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
    words = {
        "review_id": f"r-{number:032x}",
        "tenant": "acme",
        "use_case": "one",
        "request_id": f"paged-{number}",
        "risk_class": "low",
        "status": "OPEN",
        "tier": "reviewer",
        "opened_at": moment,
        "due_at": moment,
        "queue": "acme#one#reviewer",
        "queue_position": f"{moment}#r-{number:032x}",
    }
    return {name: {"S": value} for name, value in words.items()} | {"blind": {"BOOL": False}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held", type=int, default=500)
    parser.add_argument("--reviewers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kill-every", type=float, default=0.5, help="seconds between two killed workers; 0: none")
    parser.add_argument("--large", type=int, default=LARGE, help="reviews in the long queue")
    parser.add_argument("--beside", type=int, default=0, help="processes that keep the machine busy meanwhile")
    options = parser.parse_args()
    with beside(options.beside):
        result = review(options)
    print(json.dumps(result))
    clean = result["held"] == result["decided"] == options.held and not (result["decided_twice"] or result["stuck"])
    return 0 if clean and result["first_page_reads_100"] == result["first_page_reads_100000"] else 1


def review(options: argparse.Namespace) -> dict:
    random.seed(options.seed)
    with embedded.start(
        ROOT / "template.yaml", stack_name="bulwark-reviews", policy=policy(), schedules=False
    ) as cloud:
        users = [
            LocalUser(f"P{n}", f"person-{n}", ("leads" if n % 3 == 2 else "reviewers", "tenant-acme"))
            for n in range(options.reviewers)
        ]
        cognito, client = cloud.client("cognito-idp"), cloud.outputs["UserPoolClientId"]
        known = create_users(cognito, cloud.outputs["UserPoolId"], users)
        desks = [
            Desk(cloud, partial(sign_in, cognito, client, known[f"P{n}Username"], known[f"P{n}Password"]))
            for n in range(options.reviewers)
        ]
        announcements = Announcements(cloud, "reviews")
        killed, over = 0, threading.Event()

        def kill() -> None:
            nonlocal killed
            while options.kill_every and not over.wait(random.uniform(0.5, 1.5) * options.kill_every):
                killed += cloud.functions.kill_workers()

        started = time.monotonic()
        send(cloud, options.held)
        reviewers = Reviewers(desks)
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        watch(cloud, options.held, reviewers)
        over.set()
        killer.join()
        reviewers.stop()
        seconds = time.monotonic() - started
        time.sleep(2)
        announcements.drain()

        found, verdicts = records(cloud), defaultdict(Counter)
        for item in items(cloud):
            for verdict in item.get("verdicts", ()):
                verdicts[item["review_id"]][verdict["person"]] += 1
        # One announcement of the hold, one of the end.
        twice = sum(len(ids) > 2 for ids in announcements.ids.values())
        twice += sum(number > 1 for people in verdicts.values() for number in people.values())
        twice += max(0, counted(cloud) - options.held)
        still_held = [record for record in found.values() if record["status"] not in (*DECIDED, "FAILED")]
        return {
            "held": sum("review_id" in record for record in found.values()),
            "decided": sum("review_id" in record and record["status"] in DECIDED for record in found.values()),
            "decided_twice": twice,
            "stuck": len(still_held) + running(cloud),
            "first_page_reads_100": first_page_reads(cloud, SMALL),
            "first_page_reads_100000": first_page_reads(cloud, options.large),
            "lapsed": sum(record.get("decided_by") == "silence" for record in found.values()),
            "verdicts": dict(reviewers.verdicts),
            "fates": fates(cloud, {f"held-{n}" for n in range(options.held)}, found),
            "beside": options.beside,
            "killed": killed,
            "seconds": round(seconds, 1),
        }


def send(cloud: embedded.Cloud, number: int) -> None:
    for start in range(0, number, 10):
        entries = [
            {
                "EventBusName": cloud.outputs["EventBusName"],
                "Source": "acme.app",
                "DetailType": "InferenceRequested",
                "Detail": json.dumps(
                    {"request_id": f"held-{n}", "use_case": ("one", "two")[n % 2], "query": f"What is entry {n}?"}
                ),
            }
            for n in range(start, min(start + 10, number))
        ]
        assert cloud.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def watch(cloud: embedded.Cloud, held: int, reviewers: Reviewers) -> None:
    """Wait until every request has its end by a person, running the sweeper as its schedule would."""
    swept_at = time.monotonic()

    def look() -> tuple[bool, str]:
        nonlocal swept_at
        statuses = Counter(record["status"] for record in records(cloud).values())
        ended = held == sum(number for status, number in statuses.items() if status not in ("ADMITTED", "HELD"))
        if not ended and time.monotonic() - swept_at > 15:
            swept_at = time.monotonic()
            cloud.functions.invoke("SweepRequestsFunction", {})
        return ended and not running(cloud), f"{dict(statuses)}, verdicts {dict(reviewers.verdicts)}"

    until_done(look)


if __name__ == "__main__":
    raise SystemExit(main())
