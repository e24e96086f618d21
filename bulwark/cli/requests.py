"""requests and request: what became of requests, and one's life state by state."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.lifecycle import Step, steps_of
from bulwark.cli.records import plain, projection, read_records, scan_records
from bulwark.cli.target import EndpointOption, JsonOption, StackOption, Target, reach
from bulwark.rules import read_json

_LOOKED_AT = 10_000
# Everything of a review but its task token, which never leaves its table, and the words.
_REVIEW = [
    "review_id",
    "status",
    "tier",
    "reason",
    "confidence",
    "opened_at",
    "due_at",
    "decision",
    "decided_by",
    "decided_at",
    "reason_code",
    "kind",
    "claimed_by_name",
    "late_decisions",
]
_ENDED_LATER = 120_000


def register(app: typer.Typer) -> None:
    command(app, "requests")(requests)
    command(app, "request")(request)


def requests(
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help="ADMITTED, COMPLETED, HELD, REFUSED or FAILED.")
    ] = None,
    use_case: Annotated[str | None, typer.Option(metavar="NAME", help="Only this use case.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most recent so many.")] = 25,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """List the most recent requests.

    \b
    bulwark requests
    bulwark requests --status HELD --use-case general_question
    bulwark requests --limit 1000 --json | jq -r '.[] | [.request_id, .status, .reason] | @tsv'

    Looks at up to 10,000 records.
    """
    found = [
        record
        for record in scan_records(reach(stack, endpoint), _LOOKED_AT)
        if record["status"] != "PLANTED"
        and (not status or record["status"] == status.upper())
        and (not use_case or record["use_case"] == use_case)
    ]
    recent = sorted(found, key=lambda record: record["admitted_at"], reverse=True)[:limit]
    if as_json:
        render.print_json(recent)
        return
    tenants = len({record["tenant"] for record in recent}) > 1
    rows = [
        (
            render.clock_time(record["admitted_at"]),
            record["request_key"] if tenants else record["request_id"],
            record["use_case"],
            record["status"],
            # A completed answer may still say why it was held.
            f"by {record['decided_by']}" if record["status"] == "COMPLETED" else record.get("reason"),
            render.share(record.get("confidence")),
        )
        for record in recent
    ]
    render.table(("!at", "request", "!use case", "!status", "!reason", ">conf."), rows)
    if len(found) > limit:
        render.say(f"{len(found) - limit} more: --limit {len(found)}")
    if not found:
        render.say("Nothing yet. Try: bulwark send events/questions/general.jsonl")


def request(
    request_id: Annotated[str, typer.Argument(metavar="ID", help="A request_id, or TENANT#request_id.")],
    answer: Annotated[bool, typer.Option("--answer", help="Show the answer too, read as its owner.")] = False,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Show a request's life, state by state: admission, inference, and the review if it was held.

    It shows what happened and not what was said: prompts and answers stay in the request store. --answer
    reads the answer through the HTTP API, which gives it to the request's owner alone.

    \b
    bulwark request general-03
    bulwark request acme#general-03 --json | jq '.inference[].state'
    """
    target = reach(stack, endpoint)
    record = _find(target, request_id)
    life = {"record": record, "inference": _inference(target, record)}
    if "review_id" in record:
        life |= _review(target, record["review_id"])
    if answer:
        path = f"/inferences/{quote(record['request_id'], safe='')}"
        life["answer"] = target.sign_in("Caller").expect("GET", path).get("answer")
    if as_json:
        render.print_json(life | {name: [step.as_dict() for step in life.get(name, ())] for name in _MACHINES})
        return
    _show_record(record)
    for name, title in _MACHINES.items():
        if life.get(name):
            _show_steps(life[name], title)
        if name == "inference" and not life[name]:
            render.say("\n[dim]No lifecycle lines of its execution in the log (yet).[/]")
    if life.get("review"):
        _show_review(life["review"])
    if answer:
        told = render.cell(life["answer"]) if life["answer"] else "[dim]none for this user[/]"
        render.say(f"\n[bold]Answer[/]\n{told}")


_MACHINES = {
    "inference": "inference (Express), from its lifecycle lines in the log",
    "human_review": "human_review (Standard), from its history",
}


def _find(target: Target, request_id: str) -> dict:
    if "#" in request_id:
        keys = [request_id]
    else:
        tenants = [*target.policy().get("tenants", {}), "-"]
        keys = [f"{tenant}#{request_id}" for tenant in tenants]
    found = list(read_records(target, keys).values())
    if not found:
        raise Problem(f"There is no request {request_id}.", "bulwark requests lists the recent ones.", Exit.REFUSED)
    if len(found) > 1:
        named = ", ".join(record["request_key"] for record in found)
        raise Problem(f"More than one tenant has a request {request_id}.", f"Name one: {named}", Exit.USAGE)
    return found[0]


def _inference(target: Target, record: dict) -> list[Step]:
    name = record.get("execution_name")
    if not name:
        return []
    admitted = int(datetime.fromisoformat(record["admitted_at"]).timestamp() * 1000)
    pages = target.client("logs").get_paginator("filter_log_events")
    lines = [
        read_json(event["message"])
        for page in pages.paginate(
            logGroupName=target.outputs["InferenceLogGroupName"],
            startTime=admitted - 60_000,
            endTime=admitted + 5 * _ENDED_LATER,
            filterPattern=f'"{name}"',
        )
        for event in page["events"]
        if name in event["message"]
    ]
    return steps_of(
        {**line, "id": int(line["id"]), "at": int(line["event_timestamp"]) / 1000}
        for line in lines
        if name in line["execution_arn"].split(":")
    )


def _review(target: Target, review_id: str) -> dict[str, Any]:
    item = target.client("dynamodb").get_item(
        TableName=target.outputs["ReviewsTable"], Key={"review_id": {"S": review_id}}, **projection(_REVIEW)
    )
    machine = target.outputs["HumanReviewStateMachineArn"]
    states = target.client("stepfunctions")
    try:
        # Without data: the history of a callback keeps its token.
        pages = states.get_paginator("get_execution_history").paginate(
            executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:{review_id}",
            includeExecutionData=False,
        )
        events = [event for page in pages for event in page["events"]]
    except states.exceptions.ExecutionDoesNotExist:
        events = []
    steps = steps_of({**event, "at": event["timestamp"].timestamp()} for event in events)
    return {"review": plain(item.get("Item", {})), "human_review": steps}


def _show_record(record: dict) -> None:
    render.say(f"[bold]{render.cell(record['request_key'])}[/]  {render.cell(record['status'])}")
    attempts = [f"{attempt['model']}: {attempt['error']}" for attempt in record.get("attempts", [])]
    render.facts(
        {
            "use case": record["use_case"],
            "came as": record["channel"],
            "admitted": record["admitted_at"],
            "held": record.get("held_at"),
            "outcome": record.get("outcome_at"),
            "decided by": record.get("decided_by"),
            "reason": record.get("reason"),
            "message": record.get("message"),
            "model": record.get("model"),
            "failed before": ", ".join(attempts),
            "tokens": f"{record['input_tokens']} in, {record['output_tokens']} out"
            if "input_tokens" in record
            else None,
            "cost": render.dollars(record.get("cost_usd")),
            "confidence": render.share(record.get("confidence")),
            "signals": render.signals(record.get("signals", {})),
            "findings": ", ".join(record.get("findings", [])),
            "guardrail": "{id}, version {version}".format(**record["guardrail"]) if "guardrail" in record else None,
            "policy": record.get("policy_version"),
            "prompt": record.get("prompt_version"),
            "execution": record.get("execution_name"),
        }
    )


def _show_steps(steps: list[Step], title: str) -> None:
    start = steps[0].entered
    rows = [
        (
            f"+{step.entered - start:.3f}",
            step.state,
            render.seconds(step.took) or "waits",
            "; ".join(step.notes),
        )
        for step in steps
    ]
    render.table((">at", "!state", ">took", ""), rows, title)


def _show_review(review: dict) -> None:
    render.say("[bold]Review[/]")
    render.facts({name.replace("_", " "): review.get(name) for name in _REVIEW})
    if review.get("status") == "OPEN":
        render.say(f"Decide it: bulwark review {render.cell(review['review_id'])}")
