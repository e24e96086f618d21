"""Ten thousand held answers at once: what do people who have not decided yet cost, and does each decision arrive?

`--held` answers are held; when all are, memory and threads of the embedded AWS are read. Then each is decided, as the
API's function is told by a reviewer, and each has to come to its end. It waits as long as anything changes.
Prints one JSON line last: {"held", "rss_mb", "threads", "decided", ...}. `rss_mb` is of the process that holds them,
`rss_mb_at_start` what of it was there before the first event.
"""

import argparse
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from progress import beside, fates, until_done
from reviews import Desk, policy, running, send
from soak import records

from bulwark.local import cloud as embedded
from bulwark.local.users import LocalUser, create_users, sign_in

REVIEWERS = 8
TARGET_MB, TARGET_THREADS = 600, 200


def rss_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def decide_all(desk: Desk, counted: Counter[str]) -> None:
    """Take what is next and approve it, until nothing is left."""
    while True:
        status, answer = desk.call("POST", "/reviews/claim", {})
        if status != 200:
            raise RuntimeError(f"a claim ended with {status}: {answer}")
        if not answer.get("review"):
            return
        path = f"/reviews/{answer['review']['review_id']}"
        _, shown = desk.call("GET", path)
        body = {"decision": "APPROVE", "shown_digest": shown["shown_digest"]}
        status, _ = desk.call("POST", f"{path}/decision", body)
        counted[str(status)] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held", type=int, default=10_000)
    parser.add_argument("--beside", type=int, default=0, help="processes that keep the machine busy meanwhile")
    options = parser.parse_args()
    with beside(options.beside):
        result = wait(options.held)
    print(json.dumps(result))
    clean = result["held"] == result["decided"] == options.held
    return 0 if clean and result["rss_mb"] <= TARGET_MB and result["threads"] <= TARGET_THREADS else 1


def wait(number: int) -> dict:
    with embedded.start(
        ROOT / "template.yaml", stack_name="bulwark-waiting", policy=policy(two_share=0), schedules=False
    ) as cloud:
        people = [LocalUser(f"P{n}", f"person-{n}", ("reviewers", "tenant-acme")) for n in range(REVIEWERS)]
        cognito, client = cloud.client("cognito-idp"), cloud.outputs["UserPoolClientId"]
        known = create_users(cognito, cloud.outputs["UserPoolId"], people)
        desks = [
            Desk(cloud, partial(sign_in, cognito, client, known[f"P{n}Username"], known[f"P{n}Password"]))
            for n in range(REVIEWERS)
        ]
        started, at_start = time.monotonic(), rss_mb()
        send(cloud, number)
        sent = {f"held-{n}" for n in range(number)}

        def held() -> tuple[bool, str]:
            waiting = running(cloud)
            return waiting >= number, f"{waiting} held, {rss_mb():.0f} MB"

        until_done(held, pause=10)
        held_after, waiting, memory, threads = (
            time.monotonic() - started,
            running(cloud),
            rss_mb(),
            threading.active_count(),
        )

        counted: Counter[str] = Counter()
        with ThreadPoolExecutor(REVIEWERS) as pool:
            work = [pool.submit(decide_all, desk, counted) for desk in desks]

            def decided() -> tuple[bool, str]:
                # Who still waits is counted at the end: to list them beside the deciding takes half of the machine.
                if not all(one.done() for one in work):
                    return False, f"{sum(counted.values())} verdicts"
                left = running(cloud)
                return not left, f"{sum(counted.values())} verdicts, {left} held"

            until_done(decided, pause=5)
        found = records(cloud)
        completed = sum(found[request]["status"] == "COMPLETED" for request in sent & set(found))
        return {
            "held": waiting,
            "rss_mb": round(memory, 1),
            "threads": threads,
            "decided": completed,
            "rss_mb_at_start": round(at_start, 1),
            "verdicts": dict(counted),
            "fates": fates(cloud, sent, found),
            "held_after_s": round(held_after, 1),
            "seconds": round(time.monotonic() - started, 1),
        }


if __name__ == "__main__":
    raise SystemExit(main())
