"""A thousand people, a canary for each in every store; a hundred are erased: is theirs gone, and all others' there?

Each canary is planted through the normal paths: in user, subject and session ids and in words that are released and
kept for later, held for review, edited, commented on, too large for an item, too large for an event, and parked as
dead letters. Then the embedded stores are searched for raw bytes: objects in all versions, items of all tables,
messages, histories and inputs of executions, logs.
Prints one JSON line last: {"subjects", "erased", "residual_bytes", "others_intact", "audit_verifies", ...}.
`others_intact` counts the people who were not erased and of whom every trace is where it was, some of them read
through the API; `audit_verifies` is about the whole audit log, sealed before the erasures and after. `in_streams`
counts the erased whom a stream, which nobody can delete from, still shows for its 24 hours:
their ids, since words are sealed.
"""

import argparse
import json
import random
import re
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions"), str(ROOT / "bench")]

from progress import until_done, written

from bulwark.local import cloud as embedded

CANARY = re.compile(r"cnry[0-9a-f]{16}")
READ_SAMPLE = 40


def policy() -> dict:
    document = json.loads((ROOT / "policies/runtime.json").read_text())
    document["confidence"] |= {
        "sure": {"intercept": 20, "weights": {}},
        "unsure": {"intercept": -20, "weights": {}},
    }
    tenant = document["tenants"]["acme"]
    tenant |= {"requests_per_minute": 1_000_000, "requests_in_flight": 1_000_000}
    base = document["use_cases"]["general_question"] | {"confidence_threshold": 0.5}
    base["review"] |= {"audit_share": 0, "second_reviewer_share": 0, "blind_share": 0}
    # Such a use case keeps its answers, for when its reviewers are behind.
    kept = base["review"] | {"overload": {"gives": "cache_only", "confidence_floor": 0}}
    asked = base["review"] | {"overload": {"gives": "ask_less", "confidence_floor": 0}}
    for name, confidence, review in (("sure", "sure", kept), ("unsure", "unsure", asked)):
        document["use_cases"][name] = base | {"confidence": confidence, "review": review}
        tenant["use_cases"].append(name)
    return document


class Person:
    """One subject, and what was sent of them."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number, self.canary = number, f"cnry{chance.getrandbits(64):016x}"
        self.subject = f"person-{self.canary}"

    def request(self, kind: str, **more: Any) -> dict:
        # Half of them ask for themselves, half are asked about.
        who = {"user_id": self.subject} if self.number % 2 else {"subject_id": self.subject}
        return {
            "request_id": f"{kind}-{self.number}",
            "use_case": "sure",
            "query": f"Is {self.canary} a ledger?",
            "session_id": f"session-{self.canary}",
            "passages": [{"id": "p", "text": f"{self.canary} is a ledger, and a ledger is a book."}],
            **who,
            **more,
        }


class Bench:
    def __init__(self, cloud: embedded.Cloud) -> None:
        self.cloud, self.outputs = cloud, cloud.outputs

    def put(self, requests: list[dict]) -> None:
        for request in requests:
            entry = {
                "EventBusName": self.outputs["EventBusName"],
                "Source": "acme.app",
                "DetailType": "InferenceRequested",
                "Detail": json.dumps(request),
            }
            assert self.cloud.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def items(self, table: str, **more: Any) -> list[dict]:
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table, **more)
        return [item for page in pages for item in page["Items"]]

    def records(self) -> dict[str, str]:
        """Status by request id."""
        found = self.items(
            self.outputs["RequestsTable"],
            ProjectionExpression="request_id, #status",
            ExpressionAttributeNames={"#status": "status"},
        )
        return {one["request_id"]["S"]: one["status"]["S"] for one in found}

    def open_reviews(self) -> dict[str, str]:
        """Review id by request id, of those that wait in their queue."""
        found = self.items(self.outputs["ReviewsTable"])
        return {
            one["request_id"]["S"]: one["review_id"]["S"]
            for one in found
            if one.get("status", {}).get("S") == "OPEN" and "queue" in one
        }

    def until(self, done: Callable[[], bool], what: str) -> None:
        if not until_done(lambda: (done(), f"{written(self.cloud)} changes"), pause=1, tell=False):
            raise RuntimeError(f"nothing changes any more, and waited for in vain: {what}")

    def call(self, function: str, groups: str, user: str, path: dict, body: Any = None) -> tuple[int, dict]:
        """A route's function, as API Gateway calls it for somebody who has signed in."""
        claims = {"sub": user, "token_use": "access", "username": user, "cognito:groups": f"[{groups}]"}
        event = {
            "version": "2.0",
            "requestContext": {
                "requestId": uuid.uuid4().hex,
                "authorizer": {"jwt": {"claims": claims}},
                "http": {"method": "GET" if body is None else "POST"},
            },
            "headers": {},
            "pathParameters": path,
        }
        if body is not None:
            event["body"] = json.dumps(body)
        answer, error = self.cloud.functions.invoke(function, event)
        assert error is None, answer
        return answer["statusCode"], json.loads(answer["body"])

    def decide(self, review_id: str, decision: str, **more: Any) -> None:
        path, who = {"review_id": review_id}, ("reviewers tenant-acme", "somebody")
        self.call("ClaimReviewFunction", *who, path, {})
        _, shown = self.call("ReadReviewFunction", *who, path)
        body = {"decision": decision, "shown_digest": shown["shown_digest"], **more}
        status, answer = self.call("DecideReviewFunction", *who, path, body)
        assert status == 200, answer

    def depth(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.cloud.client("sqs").get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    # --- planting

    def plant(self, people: list[Person]) -> dict[str, int]:
        """Let each person's requests meet a fate of their own; gives how many of each there are."""
        released = [one.request("released") for one in people]
        waiting = [one.request("waiting", use_case="unsure") for one in people if one.number % 8 == 0]
        edited = [one.request("edited", use_case="unsure") for one in people if one.number % 8 == 1]
        judged = [one.request("judged", use_case="unsure") for one in people if one.number % 8 == 2]
        page = "A ledger is a book of accounts. "
        large = [
            one.request("large", passages=[{"id": "b", "text": f"{one.canary}. " + page * 1_500}])
            for one in people
            if one.number % 8 == 3
        ]
        # Too large for an execution's input: it travels by reference, and its body is an object of its own.
        huge = [
            one.request("huge", passages=[{"id": "b", "text": f"{one.canary}. " + page * 9_000}])
            for one in people
            if one.number % 50 == 7
        ]
        parked = [one.request("parked") for one in people if one.number % 25 == 3]
        self.put(released + waiting + edited + judged + large + huge)
        total = sum(map(len, (released, waiting, edited, judged, large, huge)))

        def settled() -> bool:
            statuses = self.records()
            print(f"{len(statuses)} of {total} requests, {len(self.open_reviews())} reviews", file=sys.stderr)
            return len(statuses) == total and "ADMITTED" not in statuses.values()

        self.until(settled, "the requests to end")
        # What a busy machine left behind is swept up, as it would be every minute.
        self.until(self._all_are_asked, "the reviews to open")
        reviews = self.open_reviews()
        edited, judged = ([one for one in some if one["request_id"] in reviews] for some in (edited, judged))
        by_id = {f"{kind}-{one.number}": one for one in people for kind in ("edited", "judged")}

        def work(request_id: str) -> None:
            canary = by_id[request_id].canary
            if request_id.startswith("edited"):
                self.decide(reviews[request_id], "EDIT", answer=f"No, {canary} is a book. " * 900)
            else:
                self.decide(reviews[request_id], "APPROVE", comment=f"{canary} is one, I looked it up.")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, [one["request_id"] for one in edited + judged]))
        decided = {one["request_id"] for one in edited + judged}
        self.until(lambda: not decided & {i for i, s in self.records().items() if s == "HELD"}, "the decisions")
        self.park(parked)
        fates = {"released": released, "waiting": waiting, "edited": edited, "judged": judged}
        fates |= {"large": large, "huge": huge, "parked": parked}
        return {name: len(found) for name, found in fates.items()}

    def _all_are_asked(self) -> bool:
        held = {request_id for request_id, status in self.records().items() if status == "HELD"}
        if missing := held - set(self.open_reviews()):
            print(f"{len(missing)} reviews have not opened", file=sys.stderr)
            time.sleep(5)
            self.cloud.functions.invoke("SweepRequestsFunction", {"now": time.time() + 180})
        return not missing

    def park(self, requests: list[dict]) -> None:
        """Have admission fail for good, so that the events lie in the dead-letter queue, whole."""
        function = self.cloud.stack.physical_id("AdmitRequestFunction")
        fault = {"service": "lambda", "error": "ResourceNotFoundException", "contains": function}
        self.cloud.load_faults({"services": [fault | {"count": len(requests)}]})
        self.put(requests)
        self.until(lambda: self.depth("DeadLetterQueueUrl") == len(requests), "the dead letters")
        self.cloud.clear_faults()

    # --- looking

    def traces(self) -> dict[str, set[str]]:
        """Where each canary stands: place by place, by its raw bytes."""
        found: dict[str, set[str]] = defaultdict(set)
        self.bytes_of: dict[tuple[str, str], int] = defaultdict(int)

        def look(place: str, text: str) -> None:
            for canary in CANARY.findall(text):
                found[canary].add(place)
                self.bytes_of[canary, place] += len(canary)

        client = self.cloud.client
        for table in client("dynamodb").list_tables()["TableNames"]:
            for item in self.items(table):
                key = next(iter(item[name]["S"] for name in _KEYS if name in item))
                look(f"{table} {key}", json.dumps(item, default=str))
        for bucket in client("s3").list_buckets()["Buckets"]:
            pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket["Name"])
            for version in (one for page in pages for one in page.get("Versions", [])):
                got = client("s3").get_object(Bucket=bucket["Name"], Key=version["Key"], VersionId=version["VersionId"])
                look(f"{bucket['Name']} {version['Key']}", version["Key"] + got["Body"].read().decode())
        for url in client("sqs").list_queues().get("QueueUrls", []):
            self._look_in_queue(url, look)
        self._look_in_histories(look)
        for group in client("logs").describe_log_groups()["logGroups"]:
            pages = client("logs").get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            for event in (one for page in pages for one in page["events"]):
                look(f"{group['logGroupName']}", event["message"])
        return found

    def _look_in_queue(self, url: str, look: Callable[[str, str], None]) -> None:
        sqs, handles = self.cloud.client("sqs"), []
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=300, MessageAttributeNames=["All"]
        ).get("Messages", []):
            for message in messages:
                look(f"{url} {message['MessageId']}", json.dumps([message["Body"], message.get("MessageAttributes")]))
                handles.append(message["ReceiptHandle"])
        for handle in handles:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)

    def _look_in_histories(self, look: Callable[[str, str], None]) -> None:
        states = self.cloud.client("stepfunctions")
        for machine in states.list_state_machines()["stateMachines"]:
            if machine["type"] == "EXPRESS":
                continue  # it keeps none
            pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"])
            for one in (each for page in pages for each in page["executions"]):
                arn = one["executionArn"]
                history = states.get_paginator("get_execution_history").paginate(executionArn=arn)
                events = [event for page in history for event in page["events"]]
                described = states.describe_execution(executionArn=arn)
                look(arn, json.dumps([described, events], default=str))

    def in_streams(self) -> set[str]:
        client, found = self.cloud.client("dynamodbstreams"), set()
        for stream in client.list_streams()["Streams"]:
            for shard in client.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]:
                iterator = client.get_shard_iterator(
                    StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )["ShardIterator"]
                while iterator:
                    page = client.get_records(ShardIterator=iterator)
                    if not page["Records"]:
                        break
                    found |= set(CANARY.findall(json.dumps(page["Records"], default=str)))
                    iterator = page.get("NextShardIterator")
        return found

    # --- erasing

    def erase(self, people: list[Person], at_once: int) -> list[dict]:
        """Have people forgotten, so many at once; gives each one's record."""
        began: list[float] = []

        def one(person: Person) -> dict:
            detail = {"subject_id": person.subject, "reason": "SUBJECT_REQUEST", "requested_by": "bench"}
            event = {"source": "acme.app", "account": "123456789012", "detail": detail}
            answer, error = self.cloud.functions.invoke("RequestErasureFunction", event)
            assert error is None, answer
            key = {"control_key": {"S": f"erasure#{answer['erasure_id']}"}}
            while True:
                item = self.cloud.client("dynamodb").get_item(TableName=self.outputs["ControlTable"], Key=key)["Item"]
                if item["status"]["S"] == "DONE":
                    began.append(time.monotonic())
                    print(f"{len(began)} of {len(people)} forgotten", file=sys.stderr)
                    return item
                time.sleep(0.3)

        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(one, people))

    def readable(self, people: list[Person]) -> int:
        """How many people's answers and waiting reviews are read through the API as ever."""
        count, reviews = 0, self.open_reviews()
        for person in people:
            good = True
            if person.number % 2:
                path = {"request_id": f"released-{person.number}"}
                status, shown = self.call("ReadInferenceFunction", "callers tenant-acme", person.subject, path)
                good = status == 200 and bool(shown.get("answer"))
            if review_id := reviews.get(f"waiting-{person.number}"):
                path = {"review_id": review_id}
                status, shown = self.call("ReadReviewFunction", "reviewers tenant-acme", "somebody", path)
                good = good and status == 200 and person.canary in json.dumps(shown)
            count += good
        return count


_KEYS = ("request_key", "review_id", "answer_key", "control_key", "subject_ref")


def seal(bench: Bench) -> str:
    """Seal the audit log as it is by now; gives its head, as an auditor keeps it."""
    name = bench.cloud.outputs["WriteDigestFunctionName"]
    told = bench.cloud.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    head = json.loads(told["Payload"].read())
    return f"{head['number']}:{head['sha256']}"


def audit_verifies(bench: Bench, head: str) -> dict:
    """Whether the log is as it was written, the head of before the erasures included, and of how many records."""
    from bulwark.cli import audit
    from bulwark.cli.target import started

    seal(bench)
    found = audit.check(started(bench.cloud), heads=[head])
    return {"audit_verifies": not found.flaws, "audit_records": found.records}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--subjects", type=int, default=1000)
    parser.add_argument("--erased", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)

    with embedded.start(
        ROOT / "template.yaml", stack_name="bulwark-erasure", policy=policy(), schedules=False
    ) as cloud:
        bench, people = Bench(cloud), [Person(number, chance) for number in range(options.subjects)]
        started = time.monotonic()
        fates = bench.plant(people)
        cloud.settle()
        time.sleep(2)
        planted = time.monotonic() - started
        before = bench.traces()
        assert set(before) == {one.canary for one in people}, "each canary is somewhere"

        head = seal(bench)

        chosen = chance.sample(people, options.erased)
        names = {one.canary for one in chosen}
        started = time.monotonic()
        records = bench.erase(chosen, options.at_once)
        seconds = time.monotonic() - started
        cloud.settle()
        time.sleep(2)

        after = bench.traces()
        residual = {canary: sorted(after[canary]) for canary in names if canary in after}
        others = [one for one in people if one.canary not in names]
        intact = [one for one in others if before[one.canary] <= after.get(one.canary, set())]
        sample = chance.sample(others, min(READ_SAMPLE, len(others)))
        result = {
            "subjects": options.subjects,
            "erased": sum(one["outcome"]["S"] == "ERASED" for one in records),
            "residual_bytes": sum(bench.bytes_of[c, place] for c, places in residual.items() for place in places),
            "others_intact": len(intact),
            **audit_verifies(bench, head),
            "others": len(others),
            "read_through_the_api": [bench.readable(sample), len(sample)],
            "traces_before": sum(len(before[canary]) for canary in names),
            "fates": fates,
            "in_streams": len(bench.in_streams() & names),
            "seconds_per_subject": round(seconds / options.erased, 2),
            "at_once": options.at_once,
            "planting_seconds": round(planted, 1),
        }
        for canary, places in list(residual.items())[:5]:
            print(f"left of {canary}: {places}", file=sys.stderr)
        for one in [each for each in others if each not in intact][:5]:
            lost = before[one.canary] - after.get(one.canary, set())
            print(f"lost of {one.canary}: {sorted(lost)}", file=sys.stderr)
    print(json.dumps(result))
    good = result["erased"] == options.erased and not result["residual_bytes"]
    good = good and len(intact) == len(others) and result["audit_verifies"]
    return 0 if good and result["read_through_the_api"][0] == len(sample) else 1


if __name__ == "__main__":
    raise SystemExit(main())
