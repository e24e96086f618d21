"""The files of `sam local invoke --config-env local`: all that a function in a container is told by the embedded AWS.

samcli 1.170 passes only variables that a template declares, takes credentials from its caller's own session, and
connects no container to the machine's own network, whatever --docker-network says.
"""

import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bulwark.local import owned
from bulwark.local.clients import CREDENTIALS
from bulwark.local.functions import Function

ARCHITECTURE = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
# What the embedded AWS's own workers have beside the endpoint; no function on AWS may or should declare it.
DECLARED = {
    "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
    "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
    "AWS_SESSION_TOKEN": "local",
    "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
}


@contextmanager
def owned_here(folder: Path) -> Iterator[bool]:
    """Whether the files are this process's to write while the block runs; what a killed one left of them goes."""
    with owned.alone(folder.parent) as ours:
        if ours:
            _remove(folder)
        yield ours


@contextmanager
def written(folder: Path, cloud: Any) -> Iterator[None]:
    """The files while the block runs, for their owner alone to read."""
    _remove(folder)
    folder.mkdir(parents=True, mode=0o700)
    try:
        _write(folder / "parameters.yaml", {"Architecture": ARCHITECTURE})
        _write(folder / "variables.json", variables(cloud.functions.functions(), cloud.container_endpoint))
        yield
    finally:
        _remove(folder)


def variables(functions: list[Function], endpoint: str) -> dict[str, dict[str, str]]:
    """What sam takes as --env-vars: of every function, and of each by its logical id."""
    found = {"Parameters": {"AWS_ENDPOINT_URL": endpoint, **DECLARED}}
    for function in functions:
        own = {name: value for name, value in function.environment.items() if name not in found["Parameters"]}
        # The first stack's, where stacks have it alike.
        found.setdefault(function.logical_id, own)
    return found


def _write(path: Path, content: dict) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
