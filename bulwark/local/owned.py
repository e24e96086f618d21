"""Files of a process that lives: each is locked by its owner, and what no lock holds was left by a killed one."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX, _OWNER = "bulwark-", ".owner"


@contextmanager
def file(path: Path, content: str) -> Iterator[None]:
    """A file while the block runs, for its owner alone to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under another name until it is locked: a file without a lock may be taken away at any time.
    making = path.with_name(f"{path.name}.making")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, content.encode())
        making.rename(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def directory(purpose: str) -> Iterator[Path]:
    """A temporary directory while the block runs."""
    path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-"))
    try:
        with file(path / _OWNER, ""):
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether this process, and no other one, has a folder while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Whoever only sweeps has it for a moment.
        yield any(_locks(descriptor, fcntl.LOCK_EX) or time.sleep(0.05) for _ in range(10))
    finally:
        os.close(descriptor)


def has_owner(path: Path) -> bool:
    """Whether the process that made a file lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _locks(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove a folder's files that were left by whoever was killed."""
    for path in folder.glob("*.json"):
        if not has_owner(path):
            path.unlink(missing_ok=True)


def sweep_temporary() -> None:
    """Remove the temporary directories of whoever was killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_OWNER}"):
        # Another start may be sweeping it, too.
        with suppress(OSError):
            if path.stat().st_uid == os.getuid() and not has_owner(path):
                shutil.rmtree(path.parent, ignore_errors=True)


def _locks(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
