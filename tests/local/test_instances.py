"""Several embedded AWSs on one machine, and what surrounds them: nobody's files are another's, no proxy is asked."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bulwark.cli.target import ROOT
from bulwark.local import owned
from bulwark.local.loopback import open_url

# Beside whatever runs in this checkout: with a folder of its own for what instances write.
BULWARK = """
import sys
from pathlib import Path
from bulwark.cli import instances, main, target
folder = Path(sys.argv.pop(1))
target.RUNNING = instances.RUNNING = folder / "running"
instances.SAM_FILES = folder / "sam"
main()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("INSTANCES", str(tmp_path))
    return tmp_path


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("running/*")]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("tmp/bulwark-*")]


def line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", BULWARK, os.environ["INSTANCES"], *arguments]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        line(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=300, env=os.environ | environment
    )


class Up:
    """A `bulwark up` in a process of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            line("up", "--json", *arguments),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def ready(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The exit code, and what was said on the error stream."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=300)
        return self.process.returncode, said


@pytest.fixture
def up() -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*arguments: str, **environment: str) -> Up:
        started.append(Up(*arguments, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end()


@pytest.fixture
def proxy() -> Iterator[dict[str, str]]:
    """A proxy that notes who asks it, and what names it in the environment."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.requestline)
            self.send_error(503)

        do_GET = do_POST = do_PUT = do_DELETE = do_CONNECT = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    yield {**dict.fromkeys(names, url), "NO_PROXY": "", "no_proxy": ""}
    server.shutdown()
    server.server_close()
    assert asked == []


# --- surroundings ---------------------------------------------------------------------------------


def test_neither_proxies_nor_profiles_of_the_user_are_asked(up, proxy, tmp_path):
    """Starts, sends through the bus, the machine and the functions, and signs in to the HTTP API."""
    surroundings = proxy | {"AWS_PROFILE": "no-such-profile", "AWS_DEFAULT_PROFILE": "nor-this", "HOME": str(tmp_path)}
    begun = up(**surroundings)
    endpoint = begun.ready()["endpoint"]
    question = {"use_case": "general_question", "query": "How tall is Mont Blanc?", "request_id": "m-1"}
    (tmp_path / "one.jsonl").write_text(json.dumps(question) + "\n")

    sent = run("send", str(tmp_path / "one.jsonl"), "--json", "--endpoint", endpoint, **surroundings)
    reviews = run("reviews", "--json", "--endpoint", endpoint, **surroundings)
    code, said = begun.end()

    assert sent.returncode == 0 and json.loads(sent.stdout)["requests"] == 1, sent.stderr
    assert reviews.returncode == 0 and isinstance(json.loads(reviews.stdout), list), reviews.stderr
    assert code == 0 and "Traceback" not in said


def test_a_profile_that_is_none_is_said_in_a_line_where_it_is_needed(tmp_path):
    ended = run("requests", "--stack", "bulwark-dev", AWS_PROFILE="no-such-profile", HOME=str(tmp_path))

    assert ended.returncode == 3 and "no-such-profile" in ended.stderr.splitlines()[0]
    assert "Traceback" not in ended.stderr


def test_only_this_machine_is_called_past_a_proxy(proxy, monkeypatch):
    for name, value in proxy.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for host in ("127.0.0.1", "localhost", "[::1]"):
        with pytest.raises(OSError, match="refused"):
            open_url(f"http://{host}:{port}/", 5)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(OSError, match="refused"):
        open_url(urllib.request.Request("http://bulwark.example/"), 5)


@pytest.mark.parametrize("port", ["99999", "-5", "65536"])
def test_a_port_that_is_none_is_wrong_usage_in_a_line(port):
    ended = run("up", "--port", port)

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert f"--port {port} is no port" in ended.stderr


def test_a_port_that_is_taken_is_wrong_usage_in_a_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("up", "--port", str(taken.getsockname()[1]))

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "in use" in ended.stderr


def test_a_container_address_that_is_none_is_wrong_usage_in_a_line():
    ended = run("up", "--container-address", "docker0")

    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


# --- several at once, and their ends --------------------------------------------------------------


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_two_that_start_at_once_end_in_any_order(up, folder, first_to_end):
    both = [up(), up()]
    endpoints = [each.ready()["endpoint"] for each in both]
    assert len(files(folder)) == 2 and len(set(endpoints)) == 2
    several = run("outputs", "--json")
    assert several.stderr.startswith("bulwark: 2 embedded AWSs run here")
    assert json.loads(several.stdout)["Endpoint"] in endpoints

    assert both[first_to_end].end()[0] == 0
    left = run("outputs", "--json")
    assert (json.loads(left.stdout)["Endpoint"], left.stderr) == (endpoints[1 - first_to_end], "")
    assert both[1 - first_to_end].end()[0] == 0
    assert files(folder) == leftovers(folder) == []


def test_what_a_killed_one_left_goes_with_the_next_start_and_is_nobody_s_meanwhile(up, folder):
    killed = up()
    killed.ready()
    assert killed.end(signal.SIGKILL)[0] == -signal.SIGKILL
    left = files(folder) + leftovers(folder)
    found = run("outputs")
    assert (found.returncode, "No embedded AWS is running" in found.stderr) == (3, True)

    after = up()
    after.ready()
    assert len(left) == 2 and not set(left) & {*files(folder), *leftovers(folder)}
    after.end()

    assert files(folder) == leftovers(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_forgotten_is_told_with_counts(up, tmp_path, number):
    begun = up()
    endpoint = begun.ready()["endpoint"]
    questions = [{"use_case": "horoscopes", "query": "What will be?", "request_id": f"m-{n}"} for n in range(3)]
    (tmp_path / "three.jsonl").write_text("".join(json.dumps(each) + "\n" for each in questions))
    run("send", str(tmp_path / "three.jsonl"), "--json", "--endpoint", endpoint)

    code, said = begun.end(number)

    assert code == 0
    assert "Forgotten with it: 0 held for a reviewer, 0 in flight, 3 that had ended." in said


def test_help_says_that_all_is_forgotten():
    assert "forgotten" in run("up", "--help").stdout


# --- the files themselves -------------------------------------------------------------------------


def test_a_file_is_its_owner_s_while_it_lives_and_swept_afterwards(tmp_path):
    mine, dead = tmp_path / "mine.json", tmp_path / "dead.json"
    dead.write_text("{}")

    with owned.file(mine, "{}"):
        assert owned.has_owner(mine) and not owned.has_owner(dead)
        owned.sweep(tmp_path)
        assert [path.name for path in tmp_path.glob("*.json")] == ["mine.json"]
    assert list(tmp_path.glob("*.json")) == []


def test_a_temporary_directory_is_swept_only_without_its_owner(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = tmp_path / "bulwark-opt-x"
    dead.mkdir()
    (dead / ".owner").touch()
    (tmp_path / "bulwark-notes").mkdir()

    with owned.directory("opt") as mine:
        owned.sweep_temporary()
        assert mine.exists() and not dead.exists() and (tmp_path / "bulwark-notes").exists()
    assert not mine.exists()


def test_of_two_one_has_a_folder_and_then_the_other(tmp_path):
    with owned.alone(tmp_path) as first, owned.alone(tmp_path) as second:
        assert (first, second) == (True, False)
    with owned.alone(tmp_path) as third:
        assert third
