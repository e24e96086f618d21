"""The `bulwark` command. Each command brings its own imports when it runs, so that help is quick."""

import sys
from io import TextIOWrapper

import typer

from bulwark.cli import (
    audit,
    calibrate,
    dead_letters,
    demo,
    embedded,
    erasures,
    governance,
    incidents,
    policy,
    requests,
    retention,
    reviews,
    send,
)
from bulwark.cli.exits import EXIT_CODES

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="""Bulwark: an event in; an answer, or a person, out.

    Begin with [bold]bulwark demo[/]. To work with it, start [bold]bulwark up[/] in one terminal and use the
    other commands in a second one. The same commands work on a deployed stack with [bold]--stack NAME[/],
    except those of the embedded AWS alone (up, demo, faults).""",
    epilog=EXIT_CODES,
)
for group in (
    demo,
    embedded,
    send,
    requests,
    reviews,
    calibrate,
    incidents,
    dead_letters,
    retention,
    erasures,
    governance,
    audit,
    policy,
):
    group.register(app)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show is replaced there; JSON for a script is written in ASCII then.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    app(prog_name="bulwark")
