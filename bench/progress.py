"""Patience that follows progress, busy neighbours, and what became of every event: what the long benches share."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from bulwark.local import cloud as embedded

# How long nothing at all may change before a bench gives up.
PATIENCE_SECONDS = 300
CHANGES = ("BatchWrite", "Create", "Delete", "Put", "Send", "Start", "Transact", "Update")
_busy: set[int] = set()


def until_done(look: Callable[[], tuple[bool, str]], pause: float = 2, tell: bool = True) -> bool:
    """Look again and again until all is done; gives up, with False, when nothing changes any more.

    `look` tells whether all is done, and how far it is: any change of that is progress, however slow.
    """
    last, since = "", time.monotonic()
    while (begun := time.monotonic()) - since < PATIENCE_SECONDS:
        done, said = look()
        if said != last:
            last, since = said, time.monotonic()
            if tell:
                print(said, file=sys.stderr, flush=True)
        if done:
            return True
        # Who looks takes a tenth of the machine at most.
        time.sleep(max(pause, 9 * (time.monotonic() - begun)))
    return False


def written(cloud: embedded.Cloud) -> int:
    """How many calls have changed something: whoever only looks on adds nothing to it."""
    return sum(count for (_, operation), count in cloud.calls.items() if operation.startswith(CHANGES))


@contextlib.contextmanager
def beside(number: int) -> Iterator[None]:
    """Run beside so many processes that do nothing but compute."""
    compute = f"import os\nwhile os.getppid() == {os.getpid()}: sum(range(1_000_000))"
    processes = [subprocess.Popen([sys.executable, "-c", compute]) for _ in range(number)]
    _busy.update(process.pid for process in processes)
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def cpu_seconds() -> float:
    """CPU of this process and of all that come of it, but for those that only keep the machine busy."""
    tick, children, spent = os.sysconf("SC_CLK_TCK"), defaultdict(list), {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children[int(fields[1])].append(int(entry.name))
            # Of those that it has waited for too, who are not to be found any more.
            spent[int(entry.name)] = sum(map(int, fields[11:15])) / tick
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        process = waiting.pop()
        total += spent.get(process, 0.0)
        waiting += [child for child in children[process] if child not in _busy]
    return total


def fates(cloud: embedded.Cloud, sent: set[str], records: dict[str, dict]) -> dict[str, int]:
    """What became of each request sent: its status, a letter in the dead-letter queue, or nothing that can be found."""
    found = Counter(records[request]["status"] for request in sent & set(records))
    parked = {json.loads(body)["detail"]["request_id"] for body in _letters(cloud)} & (sent - set(records))
    found["parked"] = len(parked)
    found["not found"] = len(sent - set(records) - parked)
    return {fate: number for fate, number in found.items() if number}


def _letters(cloud: embedded.Cloud) -> list[str]:
    sqs, url, bodies = cloud.client("sqs"), cloud.outputs["DeadLetterQueueUrl"], []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages"):
        bodies += [message["Body"] for message in messages]
    return bodies


def last_line(checkout: Path, bench: str, *arguments: str, check: bool = False) -> dict:
    """The last line of a bench of some checkout, run with this interpreter."""
    command = [sys.executable, str(checkout / "bench" / bench), *arguments]
    done = subprocess.run(command, cwd=checkout, stdout=subprocess.PIPE, text=True, check=check)
    return json.loads(done.stdout.splitlines()[-1])
