"""Searches every place a word could have leaked to, byte by byte, after requests of every fate."""

import json
import uuid

from workflows.conftest import Bulwark, wait_for

CANARY = f"canary{uuid.uuid4().hex}"


def send_every_fate(bulwark: Bulwark) -> set[str]:
    """Requests that are released, held, edited, rejected, refused, failed, parked or large; gives their tokens."""
    mine = {"query": f"Is {CANARY} a ledger?", "user_id": bulwark.outputs["CallerUserId"]}
    mine["passages"] = [{"id": "p", "text": f"{CANARY} is a ledger, and a ledger is a book.", "source": CANARY}]
    mine["history"] = [{"role": "user", "text": CANARY}, {"role": "assistant", "text": CANARY}]
    mine["metadata"] = {"note": CANARY}
    sent = [bulwark.send("sure", **mine), bulwark.send("retrieving", query=mine["query"])]
    book = [{"id": "b", "text": f"{CANARY}. " + "A ledger is a book of accounts. " * 8_000}]
    sent.append(bulwark.send("sure", query=mine["query"], passages=book))
    tome = [{"id": "t", "text": f"{CANARY}. " + "A ledger is a book of accounts. " * 20_000}]
    sent.append(bulwark.send("sure", query=mine["query"], passages=tome))

    held = [bulwark.send("unsure", **mine) for _ in range(3)]
    tokens = {bulwark.open_review(request_id)["task_token"] for request_id in held}
    reviews = [bulwark.record(request_id)["review_id"] for request_id in held]
    assert CANARY in json.dumps(bulwark.call("GET", f"/reviews/{reviews[0]}", user="Reviewer")), "a reviewer sees it"
    bulwark.decide(reviews[0], "APPROVE", comment=CANARY)
    bulwark.decide(reviews[1], "EDIT", answer=f"No, {CANARY} is a book.")
    bulwark.decide(reviews[2], "REJECT", reason_code="WRONG", comment=CANARY)

    # What is wrong with a body is said without quoting it.
    for wrong in ({"query": [CANARY]}, {"session_id": f"{CANARY} !"}, {"metadata": {"note": [CANARY]}}):
        sent.append(bulwark.send("sure", **mine | wrong))
    bulwark.call("POST", "/inferences", raw=f'{{"use_case": "sure", "query": {CANARY}}}'.encode())
    bulwark.call("POST", "/inferences", {"use_case": "sure", "query": f"Is {CANARY} a book?"})

    bulwark.cloud.load_faults({"faults": [{"kind": "access_denied"}]})
    failed = bulwark.send("sure", **mine)
    bulwark.outcome(failed)
    function = bulwark.cloud.stack.physical_id("AdmitRequestFunction")
    fault = {"service": "lambda", "error": "ResourceNotFoundException", "contains": function, "count": 1}
    bulwark.cloud.load_faults({"services": [fault]})
    bulwark.send("sure", **mine)
    wait_for(lambda: CANARY in json.dumps(bulwark.dead_letters()), "the parked event, which the queue keeps whole")
    bulwark.cloud.clear_faults()

    for request_id in [*sent[:4], *held, failed]:
        bulwark.announced(request_id)
    for review_id in reviews:
        bulwark.review_states(review_id)
    return tokens


def places(bulwark: Bulwark) -> dict[str, str]:
    """Everything that may hold no word: logs, events, histories, metrics, lists, the names of objects."""
    client = bulwark.cloud.client
    found: dict[str, str] = {}
    logs = client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
        found[f"log {name}"] = json.dumps([event for page in pages for event in page["events"]])
    bulwark._drain()
    found["events"] = json.dumps(bulwark.seen)
    states = client("stepfunctions")
    machine = bulwark.outputs["HumanReviewStateMachineArn"]
    for execution in states.list_executions(stateMachineArn=machine, maxResults=1000)["executions"]:
        arn = execution["executionArn"]
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        history = [event for page in pages for event in page["events"]]
        # AwaitReviewer's own TaskScheduled has to hold its token; it may hold no word.
        scheduled = [event for event in history if event["type"] == "TaskScheduled"]
        found[f"history {arn}"] = json.dumps([event for event in history if event not in scheduled], default=str)
        found[f"arguments {arn}"] = json.dumps(scheduled, default=str)
        found[f"execution {arn}"] = json.dumps(states.describe_execution(executionArn=arn), default=str)
    found["metrics"] = json.dumps(client("cloudwatch").list_metrics(Namespace="Bulwark")["Metrics"])
    found["list of reviews"] = json.dumps(bulwark.call("GET", "/reviews?limit=100", user="Reviewer"))
    kept = objects(bulwark, "")
    found["object keys"] = json.dumps(list(kept))
    # What came by reference is kept as it came, for a fortnight.
    found |= {f"object {key}": text for key, text in kept.items() if not key.startswith("events/")}
    assert {key.split("/")[0] for key in kept} <= {"requests", "events", "receipts", "reports"}
    for name in ("RequestsTable", "ReviewsTable", "ControlTable", "CacheTable", "KeysTable"):
        pages = client("dynamodb").get_paginator("scan").paginate(TableName=bulwark.outputs[name])
        found[f"table {name}"] = json.dumps([item for page in pages for item in page["Items"]])
    found["reviews index"] = json.dumps(queue_of(bulwark))
    return found


def objects(bulwark: Bulwark, prefix: str) -> dict[str, str]:
    s3, bucket = bulwark.cloud.client("s3"), bulwark.outputs["PayloadBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in keys}


def queue_of(bulwark: Bulwark) -> list[dict]:
    return bulwark.cloud.client("dynamodb").scan(TableName=bulwark.outputs["ReviewsTable"], IndexName="queue-index")[
        "Items"
    ]


def test_no_word_and_no_token_is_where_it_must_not_be(bulwark):
    tokens = send_every_fate(bulwark)

    everywhere = places(bulwark)

    assert any(CANARY in text for text in objects(bulwark, "events/").values()), "the search would find it"
    assert len(everywhere) > 10 and '"message"' in "".join(everywhere.values())
    leaks = [place for place, text in everywhere.items() if CANARY in text]
    assert leaks == []
    holding = [place for place, text in everywhere.items() if any(token in text for token in tokens)]
    # AwaitReviewer's own argument, and the review that waits with it.
    assert {place.split()[0] for place in holding} <= {"arguments", "table"}
