"""Finds a Python 3.13 that runs, which `sam build` needs as Lambda has it; run as a program, prints it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

MISSING = (
    "sam build needs Python 3.13 with pip, as Lambda has it, and none that runs is on PATH or among pyenv's versions. "
    "Install one (pyenv install 3.13, brew install python@3.13, or your system's python3.13 and python3.13-venv)."
)


def find() -> Path | None:
    """Its own path: pyenv's shim of that name stands first on PATH, and runs only where that version is chosen."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [shutil.which("python3.13"), *map(str, sorted(pyenv.glob("versions/3.13*/bin/python3.13")))]
    for candidate in filter(None, candidates):
        asked = subprocess.run(
            [candidate, "-c", "import pip, sys; print(sys.executable)"], capture_output=True, text=True
        )
        if asked.returncode == 0:
            return Path(asked.stdout.strip())
    return None


if __name__ == "__main__":
    print(find() or sys.exit(MISSING))
