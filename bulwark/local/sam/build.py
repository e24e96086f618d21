"""Runs `sam build`: what goes to Lambda, or, with --local, what `sam local invoke --config-env local` runs."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from bulwark.local.sam import python313
from bulwark.local.sam.files import ARCHITECTURE, DECLARED

ROOT = Path(__file__).parents[3]
# Where samconfig.toml has the local build, so that it never goes to AWS in place of the other.
PLACES = {False: ROOT / ".aws-sam/build", True: ROOT / ".aws-sam/local/build"}

_COMPILE = """
import compileall, pathlib, py_compile, sys
for package in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    if package.is_dir():
        there = "/opt" if (package / "python").is_dir() else "/var/task"
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        done = compileall.compile_dir(
            package, quiet=1, stripdir=str(package), prependdir=there, invalidation_mode=unchecked
        )
        if not done:
            sys.exit(f"{package} does not compile")
"""


def build(local: bool = False) -> None:
    """Build with a Python 3.13 that runs."""
    python = python313.find()
    if python is None:
        raise SystemExit(python313.MISSING)
    command = [str(Path(sys.executable).with_name("sam")), "build"]
    if local:
        command += ["--config-env", "local", "--parameter-overrides", f"Architecture={ARCHITECTURE}"]
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "SAM_CLI_TELEMETRY": "0"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    compile_packages(python, PLACES[local])
    if local:
        template = PLACES[local] / "template.yaml"
        template.write_text(declaring(template.read_text()))


def compile_packages(python: Path, place: Path) -> None:
    """Write the bytecode that sam leaves out, without which a first start takes two seconds more.

    It says where its source lies: where Lambda has it, else no two functions' packages would be one to upload.
    """
    subprocess.run([str(python), "-c", _COMPILE, str(place)], check=True)


def declaring(template: str) -> str:
    """With the variables declared that sam could not set otherwise, and that no function on AWS may have.

    Without them a container would have the credentials of whoever calls sam.
    """
    names, found = "".join(rf"\n\1{name}: ''" for name in DECLARED), r"^( +)AWS_ENDPOINT_URL: .*$"
    text, count = re.subn(found, rf"\g<0>{names}", template, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"AWS_ENDPOINT_URL stands {count} times in the built template, and not once, in its Globals")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--local", action="store_true", help="for this machine, beside what is for AWS")
    try:
        build(parser.parse_args().local)
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.returncode) from error


if __name__ == "__main__":
    main()
