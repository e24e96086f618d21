"""The night, end to end: what is over goes from every store, what is held stays, and one bad store stops no other."""

import json
import time
import uuid

import pytest

from bulwark.cli import retention
from bulwark.cli.exits import Problem
from bulwark.cli.target import started
from workflows.conftest import Bulwark, wait_for

PAST = int(time.time()) - 3600


@pytest.fixture
def night(bulwark: Bulwark):
    """Run the machine as the schedule or a person does; gives its report."""
    return lambda dry_run=False: retention.run(started(bulwark.cloud), dry_run)


def put(bulwark: Bulwark, table: str, **item: object) -> None:
    typed = {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in item.items()}
    bulwark.cloud.client("dynamodb").put_item(TableName=bulwark.outputs[table], Item=typed)


def end(bulwark: Bulwark, request_id: str) -> dict:
    """Have a request's time be over, and its review's."""
    record = bulwark.record(request_id)
    keys = {"RequestsTable": {"request_key": record["request_key"]}}
    if "review_id" in record:
        keys["ReviewsTable"] = {"review_id": record["review_id"]}
    for table, key in keys.items():
        bulwark.cloud.client("dynamodb").update_item(
            TableName=bulwark.outputs[table],
            Key={name: {"S": value} for name, value in key.items()},
            UpdateExpression="SET expires_at = :past",
            ConditionExpression="attribute_exists(expires_at)",
            ExpressionAttributeValues={":past": {"N": str(PAST)}},
        )
    return record


def objects(bulwark: Bulwark, prefix: str) -> list[str]:
    listed = bulwark.cloud.client("s3").list_objects_v2(Bucket=bulwark.outputs["PayloadBucket"], Prefix=prefix)
    return [each["Key"] for each in listed.get("Contents", ())]


def hold(bulwark: Bulwark, function: str, subject: str) -> dict:
    event = {"tenant": "acme", "subject_id": subject, "reason": "case 118", "by": "kim"}
    return bulwark.invoke(bulwark.outputs[f"{function}FunctionName"], event)


def states(bulwark: Bulwark) -> list[str]:
    """The states that the last execution entered, its children's apart."""
    client, machine = bulwark.cloud.client("stepfunctions"), bulwark.outputs["RetentionCleanupStateMachineArn"]
    arn = max(client.list_executions(stateMachineArn=machine)["executions"], key=lambda each: each["startDate"])
    events = client.get_execution_history(executionArn=arn["executionArn"], maxResults=1000)["events"]
    return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]


def test_what_is_over_goes_and_what_is_held_stays(bulwark, night):
    subject = f"customer-{uuid.uuid4().hex[:8]}"
    mine = bulwark.send("unsure", subject_id=subject, query="word " * 10_000)
    others, young = bulwark.send("sure"), bulwark.send("sure")
    bulwark.open_review(mine)
    for request_id in (others, young):
        bulwark.outcome(request_id)
    told = hold(bulwark, "SetHold", subject)
    assert told["standing"] == "HELD" and told["changed"] >= 1
    late = bulwark.send("sure", subject_id=subject)
    bulwark.outcome(late)
    over = end(bulwark, others)
    put(bulwark, "CacheTable", answer_key="over", expires_at=PAST, request_key=over["request_key"])
    day = f"requests/2026-01-01/{uuid.uuid4().hex}/payload-1.json"
    bulwark.cloud.client("s3").put_object(Bucket=bulwark.outputs["PayloadBucket"], Key=day, Body=b"{}")

    dry = night(dry_run=True)

    assert bulwark.record(others) and objects(bulwark, day) and "expires_at" in bulwark.record(late)
    assert states(bulwark) == [
        "ReceiveRun",
        "RouteByRun",
        "PlanRetention",
        "CleanUnits",
        "ReportRetention",
        "ReturnReport",
    ]

    report = night()

    assert "ApplyHolds" in states(bulwark)
    for store in dry["stores"]:
        assert report["stores"][store]["deleted"] == dry["stores"][store]["deleted"], store
    assert (report["outcome"], report["failures"]) == ("COMPLETE", 0)
    assert report["stores"]["requests"]["deleted"]["standard"] >= 1
    assert report["stores"]["payloads"]["deleted"] == {"dated": 1}
    assert bulwark.record(others) is None and bulwark.record(young) and not objects(bulwark, day)
    held = bulwark.record(mine)
    assert held["payload_ref"].startswith("held/") and "expires_at" not in held
    assert "expires_at" not in bulwark.record(late) and "expires_at" not in bulwark.review(held["review_id"])
    assert json.loads(
        bulwark.cloud.client("s3")
        .get_object(Bucket=bulwark.outputs["PayloadBucket"], Key=report["report"])["Body"]
        .read()
    )

    # A person can judge what is held as any other, and what was held ends once the hold is lifted.
    status, _ = bulwark.decide(held["review_id"], "APPROVE")
    assert status == 200
    bulwark.outcome(mine, "COMPLETED")
    assert hold(bulwark, "LiftHold", subject)["standing"] == "LIFTED"
    assert bulwark.record(mine)["expires_at"] == held["held_expires_at"]
    assert not objects(bulwark, "held/")
    end(bulwark, mine)
    night()
    assert bulwark.record(mine) is None and bulwark.review(held["review_id"]) is None


def test_a_store_that_fails_is_listed_and_the_others_are_cleaned(bulwark, night):
    one = bulwark.send("sure")
    bulwark.outcome(one)
    end(bulwark, one)
    put(bulwark, "ReviewsTable", review_id="r-over", expires_at=PAST)
    fault = {"service": "dynamodb", "operation": "Scan", "contains": bulwark.outputs["ReviewsTable"]}
    bulwark.cloud.load_faults({"services": [fault | {"error": "ResourceNotFoundException"}]})

    report = night()

    assert (report["outcome"], report["failures"]) == ("INCOMPLETE", 1)
    assert report["failed"] == [
        {"store": "reviews", "key": "segment 1 of 1", "error": "ResourceNotFoundException"},
    ]
    assert bulwark.record(one) is None and bulwark.review("r-over")
    bulwark.cloud.clear_faults()
    assert night()["stores"]["reviews"]["deleted"] == {"unknown": 1}
    assert bulwark.review("r-over") is None


def test_while_holds_cannot_be_applied_nothing_is_deleted(bulwark, night):
    one = bulwark.send("sure")
    bulwark.outcome(one)
    end(bulwark, one)
    fault = {"service": "dynamodb", "operation": "Query", "contains": bulwark.outputs["KeysTable"]}
    bulwark.cloud.load_faults({"services": [fault | {"error": "ResourceNotFoundException"}]})

    with pytest.raises(Problem, match="HoldsNotApplied"):
        night()

    assert bulwark.record(one) and states(bulwark)[-1] == "FailHolds"


def test_a_worker_that_is_killed_is_replaced_and_its_night_goes_on(bulwark, night):
    for number in range(400):
        put(bulwark, "ControlTable", control_key=f"killed#{number}", expires_at=PAST)
    functions = bulwark.cloud.functions
    [name] = [each.name for each in functions.functions() if "CleanSegment" in each.name]
    fault = {"service": "dynamodb", "operation": "TransactWriteItems", "delay_ms": 400, "count": 2}
    bulwark.cloud.load_faults({"services": [fault]})
    client, machine = bulwark.cloud.client("stepfunctions"), bulwark.outputs["RetentionCleanupStateMachineArn"]
    arn = client.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    wait_for(lambda: functions.workers(name), "a worker of CleanSegment")
    functions.kill_workers(name, 4)
    wait_for(lambda: client.describe_execution(executionArn=arn)["status"] != "RUNNING", "the night to end")

    ended = client.describe_execution(executionArn=arn)

    assert ended["status"] == "SUCCEEDED" and json.loads(ended["output"])["failures"] == 0
    assert night(dry_run=True)["deleted"] == 0
