"""SAM's translator, in a process of its own for the first stack: half a second of imports, while others go on, and
forty megabytes that nobody needs again.

Run as a script it reads {"body", "parameters"} line by line, and writes each translated template as a line.
"""

import json
import logging
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_begun: list[subprocess.Popen[str]] = []


def begin() -> None:
    """Have the translator ready soon, unless this process has translated before."""
    if _begun or _remembered.cache_info().currsize or "samtranslator" in sys.modules:
        return
    # Without the directory of this file on its path, whose modules are called like others.
    command = [sys.executable, "-P", str(Path(__file__))]
    silent = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    _begun.append(subprocess.Popen(command, text=True, encoding="utf-8", **silent))


def abandon() -> None:
    """End what was begun and not used."""
    while _begun:
        child = _begun.pop()
        child.kill()
        child.communicate()


def translated(body: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """The template without SAM; raises what the translator raises."""
    return json.loads(_remembered(json.dumps({"body": body, "parameters": parameters})))


@lru_cache(maxsize=8)
def _remembered(asked: str) -> str:
    for child in _begun:
        with suppress(OSError):
            child.stdin.write(asked + "\n")
            child.stdin.flush()
            if told := child.stdout.readline():
                return told
    # Here, whatever is wrong is raised.
    return _translate(**json.loads(asked))


def _translate(body: dict[str, Any], parameters: dict[str, Any]) -> str:
    """As samtranslator's own `transform`, which would ask the user's AWS configuration for a region."""
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.utils.py27hash_fix import (
        to_py27_compatible_template,
        undo_mark_unicode_str_in_template,
    )

    logging.getLogger("samtranslator.metrics.metrics").setLevel(logging.ERROR)
    to_py27_compatible_template(body, parameters)
    region = SimpleNamespace(region_name=parameters["AWS::Region"])
    result = Translator(None, Parser(), boto_session=region).translate(
        body, parameter_values=parameters, get_managed_policy_map=dict
    )
    return json.dumps(undo_mark_unicode_str_in_template(result))


def _main() -> None:
    import samtranslator.translator.translator  # noqa: F401  before anybody asks

    for asked in sys.stdin:
        print(_translate(**json.loads(asked)), flush=True)


if __name__ == "__main__":
    _main()
