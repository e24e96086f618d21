"""What the audit log costs, and how fast an auditor checks it.

python bench/audit.py [--records 100000] [--batch 1000] [--changes 200]

RecordAudit and WriteDigest run in this process on moto with the template's tables, on streams of whole requests
(admitted, answered); calls to AWS are counted at botocore. Verification is of the files,
read from memory: S3 adds its own time. Then `--changes` random bytes are changed, one at a time, in any file.
What is not claimed: anything about AWS's latency, or about a log of which an auditor has neither key nor head.
Prints one JSON line last: {"records", "objects", "calls_per_1000", "verified_per_s", "located", ...}.
"""

import argparse
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions"), str(ROOT / "tests/unit")]

TABLES = {
    "REQUESTS_TABLE": "requests",
    "REVIEWS_TABLE": "reviews",
    "CONTROL_TABLE": "control",
    "AUDIT_BUCKET": "audit",
    "AUDIT_DAYS": "400",
    "DEAD_LETTER_QUEUE": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "POWERTOOLS_LOG_LEVEL": "WARNING",
}
BATCHES_AN_HOUR = 20


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--records", type=int, default=100_000)
    arguments.add_argument("--batch", type=int, default=1000)
    arguments.add_argument("--changes", type=int, default=200)
    asked = arguments.parse_args()
    os.environ |= TABLES
    from moto import mock_aws

    with mock_aws():
        print(json.dumps(measure(asked.records, asked.batch, asked.changes)))


def measure(records: int, batch: int, changes: int) -> dict:
    import boto3
    from audit_files import files, public_key

    import adapters.clock

    hand = [1_800_000_000.0]
    adapters.clock.time = SimpleNamespace(time=lambda: hand[0])
    made = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    os.environ["AUDIT_KEY"] = made
    boto3.client("s3").create_bucket(Bucket="audit", ObjectLockEnabledForBucket=True)
    boto3.client("dynamodb").create_table(
        TableName="control",
        KeySchema=[{"AttributeName": "control_key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "control_key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    calls = counted()
    written, seconds = write(records, batch, hand)
    made_calls = Counter(calls)
    log, key = files(), public_key()
    shown = {"records": written, "objects": sum(name.startswith("records/") for name in log)}
    shown |= {"digests": len(log) - shown["objects"], "bytes_per_record": round(sum(map(len, log.values())) / written)}
    shown |= {
        "recorded_per_s": round(written / seconds),
        "calls_per_1000": round(1000 * made_calls.total() / written, 2),
    }
    return shown | {"calls": dict(made_calls)} | verify(log, key, written) | tamper(log, key, changes)


def write(records: int, batch: int, hand: list[float]) -> tuple[int, float]:
    """Record so many decisions, with a digest each hour; gives how many, and the time that RecordAudit took."""
    from audit import write_digest
    from outbox import record_audit

    context: Any = SimpleNamespace(
        function_name="bench",
        memory_limit_in_mb=512,
        invoked_function_arn="arn",
        aws_request_id="bench",
        get_remaining_time_in_millis=lambda: 60_000,
    )
    written, seconds, number, batches = 0, 0.0, 0, 0
    while written < records:
        changes: list[dict] = []
        while len(changes) < batch:
            changes += request(number)
            number += 1
        started = time.perf_counter()
        record_audit.handler({"Records": changes}, context)
        seconds += time.perf_counter() - started
        written += 2 * len(changes)
        batches += 1
        if batches % BATCHES_AN_HOUR == 0:
            hand[0] += 3600
            write_digest.handler({}, context)
    write_digest.handler({}, context)
    return written, seconds


def request(number: int) -> list[dict]:
    """A request's two changes, which are four decisions."""
    from audit_files import admitted, change

    begun = admitted(number) | {"subject_mac": f"{number:064x}", "body_mac": f"{number + 1:064x}"}
    ended = begun | {
        "status": "COMPLETED",
        "outcome_at": "2027-01-15T08:00:02.000Z",
        "model": "nova-lite",
        "attempts": [],
        "findings": [],
        "decided_by": "policy",
        "input_tokens": 412,
        "output_tokens": 58,
        "payload": "words " * 100,
    }
    return [change("requests", begun, number=2 * number), change("requests", ended, begun, number=2 * number + 1)]


def verify(log: dict[str, bytes], key: bytes, written: int) -> dict:
    from audit_files import verified

    started = time.perf_counter()
    found = verified(log, key=key)
    seconds = time.perf_counter() - started
    assert not found.flaws and found.records == written, (found.flaws[:3], found.records, written)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"verified_per_s": round(found.records / seconds), "verify_s": round(seconds, 2), "rss_mb": round(peak)}


def tamper(log: dict[str, bytes], key: bytes, changes: int) -> dict:
    """Change a byte in any file, so many times; gives how often it was found, and named with its line."""
    from audit_files import verified

    from domain.governance.audit_chain import DIGESTS, Broken, unpack

    chance, names, found, located = random.Random(4711), sorted(log), 0, 0
    digests = {name: data for name, data in log.items() if name.startswith(DIGESTS)}
    for _ in range(changes):
        name = chance.choice(names)
        place = chance.randrange(len(log[name]))
        changed = bytearray(log[name])
        changed[place] ^= 1 << chance.randrange(8)
        line = log[name][:place].count(b"\n") + 1
        if name in digests:
            # The chain alone: what it names need not be read.
            flaws = verified(digests | {name: bytes(changed)}, key=key).flaws
            at = next((flaw.file for flaw in flaws if flaw.file.startswith(DIGESTS)), None)
            found, located = found + (at is not None), located + (at == name)
        else:
            try:
                unpack(name, bytes(changed))
            except Broken as broken:
                found, located = found + 1, located + (broken.line in (line, line + 1))
    return {"changes": changes, "found": found, "located": located}


def counted() -> Counter:
    """The calls to AWS from now on, by operation."""
    import botocore.client

    calls: Counter = Counter()
    original = botocore.client.BaseClient._make_api_call

    def call(client: Any, operation: str, parameters: dict) -> Any:
        calls[operation] += 1
        return original(client, operation, parameters)

    botocore.client.BaseClient._make_api_call = call
    return calls


if __name__ == "__main__":
    main()
