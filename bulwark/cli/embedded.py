"""up, outputs and faults: the embedded AWS, what it offers, and what is made to go wrong in it."""

import json
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import typer

from bulwark.cli import instances, render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.target import ROOT, EndpointOption, JsonOption, StackOption, ask, reach
from bulwark.documents import read_document

ScenarioOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Models' latency, skill and standing faults (bulwark/local/bedrock/scenarios/)."),
]


def register(app: typer.Typer) -> None:
    command(app, "up")(up)
    command(app, "outputs")(outputs)
    command(app, "faults")(faults)


def up(
    port: Annotated[int, typer.Option(help="Port of the endpoint; 0 takes a free one.")] = 0,
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The runtime policy to start with.")] = ROOT
    / "policies"
    / "runtime.json",
    scenario: ScenarioOption = None,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Recorded answers (JSONL) to give to the questions they belong to."),
    ] = None,
    container_address: Annotated[
        str | None,
        typer.Option(
            metavar="IP", help="Where containers of `sam local invoke` reach this machine, if not at docker0."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the embedded AWS and stay until Ctrl-C.

    Deploys template.yaml as it is: the real state machines, rules, tables and functions, on this machine,
    with no account. Any AWS client reaches it at the endpoint that is printed. It keeps everything in memory: at
    its end all is forgotten, held answers and requests in flight as well, and how many they were is told.

    \b
    bulwark up
    bulwark up --replay events/questions/general.jsonl
    bulwark up --json | head -1 | jq -r .endpoint
    """
    with running_cloud(
        policy=policy,
        scenario=scenario,
        replay=replay,
        port=port,
        containers=True,
        container_address=container_address,
        quiet=as_json,
    ) as cloud:
        if as_json:
            print(
                json.dumps(
                    {
                        "ready": True,
                        "endpoint": cloud.endpoint,
                        "container_endpoint": cloud.container_endpoint,
                        "api_url": cloud.api_url,
                        "desk_url": cloud.outputs["DeskUrl"],
                    }
                ),
                flush=True,
            )
        else:
            render.facts(
                {
                    "endpoint": cloud.endpoint,
                    "from containers": cloud.container_endpoint
                    or "nowhere: no Docker engine is here, or another bulwark up has them",
                    "HTTP API": cloud.api_url,
                    "reviewer's desk": cloud.outputs["DeskUrl"],
                    "sign in as": f"reviewer, {cloud.outputs['ReviewerPassword']}",
                    "other users": "bulwark outputs",
                }
            )
            render.say(
                f"\nAny AWS client reaches it with\n"
                f"  export AWS_ENDPOINT_URL={cloud.endpoint} AWS_REGION=us-east-1"
                f" AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n\n"
                f"In another terminal: bulwark send events/questions/general.jsonl\n\n[bold green]ready[/]"
            )
            sys.stdout.flush()
        wait_for_the_end(cloud, quiet=as_json)


def outputs(as_json: JsonOption = False, stack: StackOption = None, endpoint: EndpointOption = None) -> None:
    """Show the stack's outputs: bus, API, tables, machines, and locally everybody's sign-in.

    \b
    bulwark outputs
    bulwark outputs --json | jq -r .ApiUrl
    bulwark outputs --json --stack bulwark-dev
    """
    target = reach(stack, endpoint)
    if as_json:
        render.print_json(target.outputs)
    else:
        render.say(f"[bold]{render.cell(target.name)}[/]")
        render.facts(dict(sorted(target.outputs.items())))


def faults(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Faults to put in place of those loaded.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take the loaded faults back.")] = False,
    as_json: JsonOption = False,
    endpoint: EndpointOption = None,
) -> None:
    """Make the emulated models fail, on purpose (embedded AWS only).

    A file holds {"faults": [...]}. Each fault has a kind (throttle, service_unavailable, internal_error,
    latency, empty, truncated, ungrounded, refusal, token_blowup, or says with a text) and may be limited by
    model, probability, count, schedule, or match, a piece of the prompt.

    \b
    echo '{"faults": [{"kind": "throttle", "model": "amazon.nova-lite-v1:0"}]}' > faults.json
    bulwark faults faults.json     # every request falls over to the next model
    bulwark faults --clear
    """
    if (file is None) != clear:
        raise Problem("Give a FILE of faults, or --clear.", code=Exit.USAGE)
    where = reach(None, endpoint).endpoint or ""
    if clear:
        in_force = ask(where, "DELETE", "faults")
    else:
        document = read_document(file)
        if not isinstance(document, dict):
            raise Problem(f'{file} holds no faults; they come as {{"faults": [...]}}.', code=Exit.USAGE)
        in_force = ask(where, "PUT", "faults", json.dumps(document).encode())
    if as_json:
        render.print_json(in_force)
    else:
        render.say("The loaded faults are taken back." if clear else f"In force: {render.cell(json.dumps(in_force))}")


@contextmanager
def running_cloud(
    *,
    policy: Path | dict[str, Any] | None = None,
    scenario: Path | None = None,
    replay: Path | None = None,
    port: int = 0,
    containers: bool = False,
    container_address: str | None = None,
    quiet: bool = False,
) -> Iterator[Any]:
    """The embedded AWS while the block runs; other commands find it, and containers if they are to."""
    started = time.monotonic()
    _check_address(port, container_address)
    instances.sweep()
    from bulwark.local import translation

    # In a process of its own, while this one goes on to import the rest.
    translation.begin()
    from bulwark.local import cloud

    if not quiet:
        render.say("Starting the embedded AWS ...")
    with (
        _ended_by_sigterm(),
        cloud.start(
            template=str(ROOT / "template.yaml"),
            policy=policy if isinstance(policy, dict) else policy and str(policy),
            scenario=scenario and str(scenario),
            replay=replay and str(replay),
            port=port,
        ) as running,
    ):
        to_containers = instances.open_to_containers(running, container_address) if containers else nullcontext()
        with instances.registered(running), to_containers:
            if not quiet:
                render.say(f"Up after {time.monotonic() - started:.1f} s at {running.endpoint}")
            yield running


def _check_address(port: int, container_address: str | None) -> None:
    """Refuse in a line what could not be listened at."""
    if not 0 <= port <= 65535:
        raise Problem(f"--port {port} is no port: give one from 1 to 65535, or 0 for a free one.", code=Exit.USAGE)
    try:
        with socket.socket() as tried:
            # As the server does: what a closed connection still occupies is free.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            tried.listen()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Problem(f"--port {port} cannot be had: {why}. Give another one, or 0.", code=Exit.USAGE) from error
    try:
        ip_address(container_address or "127.0.0.1")
    except ValueError as error:
        raise Problem(f"--container-address {container_address} is no IP address.", code=Exit.USAGE) from error


def wait_for_the_end(cloud: Any, quiet: bool = False) -> None:
    """Stay until Ctrl-C or SIGTERM, either the way this is meant to end, and tell what is forgotten by it."""
    try:
        threading.Event().wait()
    except (KeyboardInterrupt, SystemExit):
        (render.warn if quiet else render.say)(f"Stopping. {forgotten(cloud)}")


def forgotten(cloud: Any) -> str:
    """What ends with the embedded AWS, in words."""
    pages = (
        cloud.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=cloud.outputs["RequestsTable"],
            ProjectionExpression="#status",
            ExpressionAttributeNames={"#status": "status"},
        )
    )
    found = Counter(item["status"]["S"] for page in pages for item in page["Items"])
    held, flying = found.pop("HELD", 0), found.pop("ADMITTED", 0)
    if not held + flying + found.total():
        return "Nothing was sent to it."
    return f"Forgotten with it: {held} held for a reviewer, {flying} in flight, {found.total()} that had ended."


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, or the terminal's end, ends the block as an exception, so that what it started is stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    # Who let it go on without a terminal (nohup) meant it.
    ending = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, end) for each in ending}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
