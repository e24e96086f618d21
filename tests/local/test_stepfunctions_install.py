"""A moto that has changed stops the start, and says which name is gone."""

import subprocess
import sys
from importlib.metadata import version

import pytest

WITHOUT = """
import bulwark.local.stepfunctions
from {module} import {owner}
del {owner}.{name}
bulwark.local.stepfunctions.install(lambda service: None)
"""


@pytest.mark.parametrize(
    ("module", "owner", "name"),
    [
        ("moto.stepfunctions.parser.asl.component.common.retry", "retrier_decl", "time"),
        ("moto.stepfunctions.responses", "StepFunctionResponse", "send_task_failure"),
        ("moto.stepfunctions.parser.asl.parse.preprocessor", "Preprocessor", "_inner_string_of"),
        ("moto.stepfunctions", "exceptions", "InvalidToken"),
    ],
)
def test_a_name_that_is_gone_stops_the_start(module, owner, name):
    script = WITHOUT.format(module=module, owner=owner, name=name)
    started = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert started.returncode != 0
    last = started.stderr.strip().splitlines()[-1]
    assert last.startswith("bulwark.local.moto_names.MotoChanged: moto " + version("moto"))
    assert name in last
