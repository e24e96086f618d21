"""moto alone behind an endpoint, for the tests of one bridge at a time; and the command on a module's own `cloud`."""

import logging
from collections.abc import Callable, Iterator

import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner, Result

from bulwark.cli import app
from bulwark.cli.target import Target, embedded
from bulwark.local.cloud import Cloud


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def target(cloud: Cloud) -> Target:
    return embedded(cloud.endpoint)


@pytest.fixture(scope="module")
def bulwark(cloud: Cloud) -> Callable[..., Result]:
    def run(*arguments: object, ends: int = 0) -> Result:
        result = CliRunner().invoke(app, [*map(str, arguments), "--endpoint", cloud.endpoint])
        assert result.exit_code == ends, result.output + repr(result.exception)
        return result

    return run
