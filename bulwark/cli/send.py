"""send: puts a file of requests on the bus, or calls the HTTP API with them, and waits for the outcomes."""

from pathlib import Path
from typing import Annotated

import typer

from bulwark.cli import render, summary
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.questions import read_details
from bulwark.cli.sending import UNANSWERED, send_calls, send_events
from bulwark.cli.target import EndpointOption, JsonOption, StackOption, Target, reach

NOBODY = "-"


def register(app: typer.Typer) -> None:
    command(app, "send")(send)


def send(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="One request a line.")],
    sync: Annotated[bool, typer.Option("--sync", help="Call POST /inferences instead of putting events.")] = False,
    source: Annotated[str, typer.Option(help="The events' source: it decides whose requests they are.")] = "acme.app",
    prefix: Annotated[str, typer.Option(help="Put before every request_id, to send a file once more.")] = "",
    patience: Annotated[float, typer.Option(help="Give up after so many seconds without any outcome.")] = 120,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Send requests, wait for what becomes of them, and sum it up.

    A line is the detail of an InferenceRequested event, or a recorded question (as in events/questions/), of
    which only the question is sent. A request_id counts once: sending a file again gets the first outcomes,
    unless --prefix makes the ids new. Locally, events without a user_id are the local
    caller's, who may then read the answers.

    \b
    bulwark send events/questions/general.jsonl
    bulwark send events/questions/general.jsonl --prefix again- --sync
    echo '{"request_id": "r1", "use_case": "general_question", "query": "Why?"}' > one.jsonl
    bulwark send one.jsonl --json | jq .outcomes

    Ends with 1 if a request has no outcome in time; what is held, refused or failed has one.
    """
    target = reach(stack, endpoint)
    details = [_prefixed(detail, prefix) for detail in read_details(file)]
    with render.Progress("Sending", len(details), quiet=as_json) as progress:
        if sync:
            api = target.sign_in("Caller")
            sent = send_calls(api, details, patience, lambda one: progress.count(one.kind))
        else:
            tenant = tenant_of(target, source)
            if target.is_local:
                details = [{"user_id": target.outputs["CallerUserId"]} | detail for detail in details]
            sent = send_events(target, details, source, tenant, patience, lambda one: progress.count(one.kind))
    if as_json:
        render.print_json(summary.as_json(sent))
    else:
        summary.show(sent)
        summary.explain(sent)
        if any(one.kind == "HELD" for one in sent):
            render.say("\nHeld answers wait for a person: bulwark reviews")
    if any(one.status == UNANSWERED for one in sent):
        raise Problem("Some requests had no outcome in time.", "bulwark requests --status ADMITTED; bulwark replay-dlq")


def tenant_of(target: Target, source: str) -> str:
    """Whose requests a source's events are, by the policy in force."""
    policy = target.policy()
    if not policy:
        hint = "bulwark policy deploy policies/runtime.json"
        raise Problem("No runtime policy is deployed, so no request can be admitted.", hint, Exit.REFUSED)
    for name, tenant in policy["tenants"].items():
        if any(producer["source"] == source for producer in tenant["producers"]):
            return name
    return NOBODY


def _prefixed(detail: dict, prefix: str) -> dict:
    if not prefix or not isinstance(detail.get("request_id"), str):
        return detail
    return detail | {"request_id": prefix + detail["request_id"]}
