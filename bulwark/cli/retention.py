"""hold, retention: what may not be deleted, and what is deleted every night."""

import json
import time
import uuid
from typing import Annotated, Any

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.target import EndpointOption, FunctionFailed, JsonOption, StackOption, Target, reach
from bulwark.rules import read_json

TenantArgument = Annotated[str, typer.Argument(metavar="TENANT")]
SubjectArgument = Annotated[str, typer.Argument(metavar="SUBJECT", help="The subject_id, or the user_id without one.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it goes to the audit log, so no word of a request.")]

_REFUSED = {
    "BEING_ERASED": "This subject is being erased: a hold comes too late.",
    "BEING_LIFTED": "A lift of this subject's hold has begun: end it with 'bulwark hold lift', then set a new one.",
    "NOT_HELD": "No hold stands on this subject.",
}


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode="rich", help="Legal holds: keep all of a subject, whatever its end."
    )
    command(group, "set")(hold_set)
    command(group, "lift")(hold_lift)
    command(group, "list")(hold_list)
    app.add_typer(group, name="hold")
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="What is deleted since its time is over.")
    command(group, "run")(retention_run)
    app.add_typer(group, name="retention")


def hold_set(
    tenant: TenantArgument,
    subject: SubjectArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Hold all that is kept of a subject: neither retention nor erasure takes it until the hold is lifted.

    What comes under the hold is held by the next night's retention_cleanup. Setting it again is safe, and ends what
    was interrupted. Who you are is what your AWS credentials say.

    \b
    bulwark hold set acme customer-17 --reason "case 2026-118"
    """
    told = _go_through(reach(stack, endpoint), "SetHoldFunctionName", tenant, subject, reason, as_json)
    if not told["records"]:
        render.warn("Nothing of this subject is here; what comes of them is held. Is it spelt as requests name them?")
    if as_json:
        render.print_json(told)
        return
    hold = told["hold"]
    render.say(f"Held since {render.cell(hold['at'])}, set by {render.cell(hold['by'])}: {render.cell(hold['reason'])}")
    render.facts({"subject": told["subject_ref"], "gone through": told["records"], "held now": told["changed"]})
    if told["lost"]:
        render.say(f"{told['lost']} of their objects were gone already.")


def hold_lift(
    tenant: TenantArgument,
    subject: SubjectArgument,
    reason: ReasonOption,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Lift a hold: everything gets its end back, and what is over meanwhile goes tonight.

    \b
    bulwark hold lift acme customer-17 --reason "case 2026-118 is closed"
    """
    told = _go_through(reach(stack, endpoint), "LiftHoldFunctionName", tenant, subject, reason, as_json)
    if as_json:
        render.print_json(told)
        return
    render.say("The hold is lifted.")
    render.facts({"subject": told["subject_ref"], "gone through": told["records"], "released": told["changed"]})


def hold_list(as_json: JsonOption = False, stack: StackOption = None, endpoint: EndpointOption = None) -> None:
    """List the holds that stand. A subject has the name here that it has in every store, and not the one you know.

    \b
    bulwark hold list --json | jq -r '.[].subject_ref'
    """
    from bulwark.cli.records import plain

    target = reach(stack, endpoint)
    pages = (
        target.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=target.outputs["KeysTable"],
            IndexName="held-index",
            KeyConditionExpression="held = :held",
            ExpressionAttributeValues={":held": {"S": "HELD"}},
        )
    )
    found = [plain(item) for page in pages for item in page["Items"]]
    if as_json:
        render.print_json([{name: one[name] for name in ("subject_ref", "tenant", "hold")} for one in found])
        return
    rows = [
        (
            one["subject_ref"],
            one["tenant"],
            one["hold"]["at"][:16],
            one["hold"]["by"].rpartition(":")[2],
            one["hold"]["reason"],
            "being lifted" if "lifting" in one["hold"] else "stands",
        )
        for one in found
    ]
    render.table(("!subject", "tenant", "!since", "set by", "reason", "!state"), rows)
    if not rows:
        render.say("Nobody is held.")


def retention_run(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go, and change nothing.")] = False,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Run retention_cleanup now, as EventBridge Scheduler does every night, and show its report.

    It deletes what its retention class no longer keeps and DynamoDB's TTL has not taken yet, and never what is held.
    It may be run at any time, again, and beside another run.

    \b
    bulwark retention run --dry-run
    bulwark retention run --json | jq .stores

    Ends with 1 if something could not be looked at or deleted.
    """
    target = reach(stack, endpoint)
    report = run(target, dry_run, quiet=as_json)
    if as_json:
        render.print_json(report)
    else:
        _show(report)
    if report["failures"]:
        raise Problem(f"{report['failures']} failures; the rest was done.", "Run it again once the cause is gone.")


def run(target: Target, dry_run: bool, quiet: bool = True) -> dict:
    """Start the machine and wait for its report."""
    states = target.client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=target.outputs["RetentionCleanupStateMachineArn"],
        name=f"by-hand-{uuid.uuid4()}",
        input=json.dumps({"dry_run": dry_run}),
    )["executionArn"]
    with render.Waiting("Looking" if dry_run else "Deleting", quiet) as waiting:
        while (now := states.describe_execution(executionArn=started))["status"] == "RUNNING":
            waiting.tell(_progress(states, started))
            time.sleep(0.2 if target.is_local else 5)
    if now["status"] != "SUCCEEDED":
        said = f"{now.get('error', now['status'])}: {now.get('cause', 'no cause is told')}"
        raise Problem(f"retention_cleanup did not come to its report: {said}", "It may be run again at any time.")
    return read_json(now["output"])


def _progress(states: Any, execution: str) -> str:
    """What a person wants to see meanwhile: how many units are done of how many."""
    runs = states.list_map_runs(executionArn=execution)["mapRuns"]
    if not runs:
        return "holds come first"
    counts = states.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
    return f"{counts['succeeded'] + counts['failed']} of {counts['total']} units"


def _go_through(target: Target, output: str, tenant: str, subject: str, reason: str, quiet: bool) -> dict:
    """Call a function of legal holds until it is done; gives its last answer, with the counts of all."""
    event = {"tenant": tenant, "subject_id": subject, "reason": reason, "by": _who(target), "cursor": ""}
    counts = {"records": 0, "changed": 0, "lost": 0}
    with render.Waiting("Going through the subject's records", quiet) as waiting:
        while True:
            try:
                told = target.invoke(target.outputs[output], event)
            except FunctionFailed as failed:
                raise Problem(f"It was interrupted ({failed}).", "Run the same command again: it goes on.") from failed
            if "refused" in told:
                raise Problem(f"Refused: {told['refused']}", code=Exit.REFUSED)
            if told["standing"] in _REFUSED:
                raise Problem(_REFUSED[told["standing"]], code=Exit.REFUSED)
            counts = {name: counts[name] + told[name] for name in counts}
            waiting.tell(f"{counts['records']} records")
            if told["done"]:
                return told | counts
            event["cursor"] = told["cursor"]


def _who(target: Target) -> str:
    """Whose credentials these are. IAM decides who may call the function; this is for the audit log."""
    try:
        return target.client("sts").get_caller_identity()["Arn"]
    except Exception:
        return "unknown"


def _show(report: dict) -> None:
    done = "would go" if report["dry_run"] else "deleted"
    rows = [
        (
            store,
            told["seen"],
            ", ".join(f"{count} {name}" for name, count in sorted(told["deleted"].items())) or "-",
            told["kept"],
            told["failures"],
            render.seconds(told["behind_seconds"]) if told["behind_seconds"] else "-",
        )
        for store, told in report["stores"].items()
    ]
    render.table(("!store", ">looked at", done, ">prolonged meanwhile", ">failed", ">longest overdue"), rows)
    if report["failed"]:
        failed = [(one["store"], one["key"], one["error"]) for one in report["failed"]]
        render.table(("!store", "key or part", "error"), failed, "Failed")
    render.say(
        f"{report['deleted']} {done}."
        + (f" The report is {report['report']} in the payload bucket." if "report" in report else "")
    )
