"""What every command prints for a person: no traceback, and nothing that a terminal obeys, hides or rewrites."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from bulwark.cli import app, render
from bulwark.cli.target import embedded
from bulwark.local.cloud import Cloud, start
from bulwark.rules import ROOT, visible

BULWARK = [sys.executable, "-c", "from bulwark.cli import main; main()"]
# Bell, a window's title, colour, C1, an override of direction, markup of ours, and the name of an emoji.
HOSTILE = "\x07\x1b]0;owned\x07\x1b[31m\x9b2J\u202eevil [bold]loud[/] :bomb:"
# What no reader refuses, since people quote it.
QUOTED = "turned \u202e around [red]not red[/] :bomb:"
EMOJI_ID = "a:bomb:1"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    policy = json.loads((ROOT / "policies" / "runtime.json").read_text())
    for use_case in policy["use_cases"].values():
        use_case["confidence_threshold"] = 1
        use_case["review"] |= {"audit_share": 0, "blind_share": 0, "second_reviewer_share": 0}
    with start(template=ROOT / "template.yaml", policy=policy, schedules=False) as running:
        yield running


@pytest.fixture(scope="module")
def run(cloud: Cloud) -> Callable[..., Result]:
    """A command's text; told of failures in a sentence, never by a traceback."""

    def run(*arguments: object, endpoint: bool = True) -> Result:
        said = [*map(str, arguments), *(["--endpoint", cloud.endpoint] if endpoint else [])]
        result = CliRunner().invoke(app, said)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        assert result.exit_code in (0, 1, 4), result.output
        assert render.shown(result.output) == result.output
        return result

    return run


def told(run: Callable[..., Result], *arguments: object) -> list:
    return json.loads(run(*arguments, "--json").stdout)


def until(found: Callable[[], list]) -> list:
    deadline = time.monotonic() + 120
    while not (known := found()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return known


@pytest.fixture(scope="module")
def texts(run: Callable[..., Result], cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every command once, in an order that gives each something to show; its text by its name."""
    files, shown = tmp_path_factory.mktemp("texts"), {}

    def show(name: str, *arguments: object, endpoint: bool = True) -> None:
        shown[name] = run(*name.split(), *arguments, endpoint=endpoint).output

    def file(name: str, *values: object) -> Path:
        (files / name).write_text("".join(json.dumps(value) + "\n" for value in values))
        return files / name

    use_case = "general_question"
    asked = {"use_case": use_case, "query": QUOTED, "passages": [{"id": "p", "text": f"Source. {QUOTED}"}]}
    faults = {"faults": [{"kind": "says", "text": f"Words {HOSTILE}"}], "services": []}
    show("outputs")
    show("faults", file("faults.json", faults))
    show("send", file("one.jsonl", {"request_id": EMOJI_ID, **asked}, {"request_id": "r-2", **asked}))
    target = embedded(cloud.endpoint)
    target.client("sqs").send_message(
        QueueUrl=target.outputs["DeadLetterQueueUrl"],
        MessageBody=HOSTILE.replace("\x07", "").replace("\x1b", ""),
        MessageAttributes={"reason": {"DataType": "String", "StringValue": QUOTED}},
    )
    show("requests")
    show("request", EMOJI_ID)
    until(lambda: told(run, "reviews"))
    show("reviews")
    review = next(one for one in told(run, "reviews") if one["request_id"] == EMOJI_ID)["review_id"]
    show("review", review)
    assert "is stored" in run("review", review, "approve", "--comment", QUOTED).output
    show("plant", file("bad.jsonl", {"use_case": use_case, "query": QUOTED, "answer": QUOTED}))
    show("calibrate", use_case)
    show("mode set", use_case, "fallback_model", "--reason", HOSTILE)
    show("maintenance", "policy_advice", "--reason", HOSTILE)
    show("report-incident", use_case, HOSTILE)
    until(lambda: told(run, "incidents"))
    show("incidents")
    incident = told(run, "incidents")[0]["incident_id"]
    show("incident", incident)
    run("incident", incident, "--markdown")
    show("mode clear", use_case)
    show("replay-dlq")
    show("hold set", "acme", "customer-17", "--reason", QUOTED)
    show("hold list")
    show("hold lift", "acme", "customer-17", "--reason", QUOTED)
    show("retention run", "--dry-run")
    show("erase", "acme", "customer-17", "--wait")
    show("erasures")
    erasure = told(run, "erasures")[0]["erasure_id"]
    show("erasure show", erasure)
    show("erasure receipt", erasure)
    receipt = files / "receipt.json"
    receipt.write_text(shown["erasure receipt"])
    show("erasure verify-receipt", receipt)
    show("erasure reapply")
    show("governance data-map", endpoint=False)
    show("audit seal")
    show("audit verify")
    show("audit search", "--action", "REVIEW_DECIDED")
    show("audit export-key")
    show("policy deploy", ROOT / "policies" / "runtime.json")
    show("policy show")
    return shown


def commands(group: object, prefix: str = "") -> Iterator[str]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


# These stay or take their time, and have processes of their own below.
APART = {"up", "demo"}


def test_every_command_has_a_text_that_is_shown_here(texts):
    assert set(texts) | APART == set(commands(typer.main.get_command(app)))
    assert all(text.strip() for text in texts.values())


def test_what_people_and_models_wrote_is_shown_as_it_is(texts):
    assert visible(QUOTED) in texts["review"]
    assert "[bold]loud[/] :bomb:" in texts["review"] and "owned" not in texts["review"]
    for command in ("requests", "request", "reviews"):
        assert EMOJI_ID in texts[command]
    assert "\\u{202e}" in texts["replay-dlq"] and "[red]not" in texts["replay-dlq"]


def test_an_open_review_says_what_silence_means(texts):
    assert "in silence" in texts["review"] and " at " in texts["review"].partition("in silence")[2].partition("\n")[0]


@pytest.mark.parametrize(
    "arguments", [["request", "r\x1b[31m"], ["send", "no\x1b[31m.jsonl"], ["maintenance", HOSTILE, "--reason", "x"]]
)
def test_a_failure_quotes_nothing_that_a_terminal_obeys(run, cloud, arguments):
    result = CliRunner().invoke(app, [*arguments, "--endpoint", cloud.endpoint])

    assert "\x1b" not in result.output and "\\u{1b}" in result.output


@pytest.mark.parametrize("arguments", [["--no\x1b[31m"], ["no\x1b[31m"], ["erasure", "verify-receipt", "no\x1b[31m"]])
def test_wrong_usage_quotes_nothing_that_a_terminal_obeys(arguments):
    assert "\x1b" not in CliRunner().invoke(app, arguments).output


def test_json_for_a_script_says_the_same_and_hides_nothing(capsys):
    value = {"text": f"{HOSTILE} caf\u00e9 \x7f"}
    render.print_json(value)
    written = capsys.readouterr().out

    assert json.loads(written) == value and render.shown(written) == written


def test_warnings_and_plain_texts_are_shown_as_they_are(capsys):
    render.warn(f"careful {HOSTILE}\rover")
    render.print_text(f"plain {HOSTILE}\rover")
    said = capsys.readouterr()

    assert said.err == f"bulwark: careful {visible(HOSTILE)}\\u{{d}}over\n"
    assert said.out == f"plain {visible(HOSTILE)}\\u{{d}}over\n"


def test_progress_and_waiting_take_no_markup_and_no_emoji_from_data(monkeypatch):
    from io import StringIO

    from rich.console import Console

    written = StringIO()
    terminal = Console(file=written, force_terminal=True, highlight=False, emoji=False, width=100)
    monkeypatch.setattr(render, "console", lambda: terminal)
    with render.Progress("Sending", 1) as progress:
        progress.count(f":bomb:[red]x[/]{QUOTED}")
    with render.Waiting(f"Waiting :bomb: {QUOTED}") as waiting:
        waiting.tell(f":bomb: [red]x[/] {HOSTILE}")

    text = written.getvalue()
    assert ":bomb:" in text and "[red]x[/]" in text and "\u202e" not in text and "\x1b]0;" not in text


# --- terminals and processes of their own ----------------------------------------------------------


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    command = [*BULWARK, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, timeout=600, env=os.environ | environment | {"PYTHONUTF8": "0"}
    )


TERMINALS = [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}]


@pytest.mark.parametrize("terminal", TERMINALS, ids=str)
@pytest.mark.parametrize("command", ["requests", "request", "reviews", "policy show", "outputs", "--help"])
def test_what_a_terminal_cannot_show_is_replaced(texts, cloud, terminal, command):
    arguments = [*command.split(), *([EMOJI_ID] if command == "request" else [])]
    endpoint = [] if command == "--help" else ["--endpoint", cloud.endpoint]

    ended = process(*arguments, *endpoint, **terminal)

    assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False)
    assert ended.stdout.strip()


def test_json_for_a_script_is_whole_whatever_the_terminal(cloud, tmp_path):
    detail = {"request_id": "snowman", "use_case": "general_question", "query": "\u2603", "metadata": {"\u2603": "x"}}
    file = tmp_path / "snow\u2603man.jsonl"
    file.write_text(json.dumps(detail))

    ended = process("send", file, "--json", "--endpoint", cloud.endpoint, PYTHONIOENCODING="cp1252")

    assert (ended.returncode, json.loads(ended.stdout)["requests"]) == (0, 1)


def test_up_and_the_demo_speak_on_a_narrow_terminal():
    with subprocess.Popen(
        [*BULWARK, "up"], cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "cp1252"}
    ) as up:
        while (line := up.stdout.readline()) and b"ready" not in line:
            pass
        time.sleep(0.5)
        up.send_signal(signal.SIGTERM)
        assert b"ready" in line and up.wait(60) == 0

    demo = process("demo", "--requests", 4, PYTHONIOENCODING="cp1252")

    assert (demo.returncode, b"Traceback" in demo.stderr) == (0, False), demo.stderr
