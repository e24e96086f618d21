"""Which embedded AWSs run here: each says so in a file of its own, and nobody touches another's."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bulwark.cli.target import RUNNING, SAM_FILES
from bulwark.local import owned


@contextmanager
def registered(cloud: Any) -> Iterator[None]:
    """Other commands find the cloud while the block runs."""
    state = {"endpoint": cloud.endpoint, "api_url": cloud.api_url, "pid": os.getpid()}
    state["started_at"] = datetime.now(UTC).isoformat()
    with owned.file(RUNNING / f"{os.getpid()}-{secrets.token_hex(4)}.json", json.dumps(state, indent=2) + "\n"):
        yield


def sweep() -> None:
    """Take away what those left that were killed."""
    from bulwark.local.sam import files

    owned.sweep(RUNNING)
    with files.owned_here(SAM_FILES):
        pass


@contextmanager
def open_to_containers(cloud: Any, address: str | None) -> Iterator[None]:
    """Containers reach the cloud while the block runs, and `sam local invoke` is told where, unless another one is."""
    from bulwark.local.sam import files

    with files.owned_here(SAM_FILES) as ours:
        if not ours:
            yield
            return
        cloud.open_to_containers(address)
        if cloud.container_endpoint is None:
            yield
            return
        with files.written(SAM_FILES, cloud):
            yield
