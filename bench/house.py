"""How large the house is: what the template deploys, and how long its longest fragment, handler and module are.

Prints one JSON line last: {"resources", "transformed_kb", "outputs", "longest_fragment", "longest_handler",
"longest_module", "longest"}. Exits with 1 where a limit is broken.
"""

import ast
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bulwark.local.stack import template as templates
from template import join

# CloudFormation takes 500 resources, 200 outputs and 1 MB; the rest is what a person reads at one go.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
LIMITS = {
    "resources": 400,
    "transformed_kb": 800,
    "outputs": 150,
    "longest_fragment": 300,
    "longest_handler": 20,
    "longest_module": 400,
}
Lengths = dict[str, int]


def transformed(path: Path = ROOT / "template.yaml") -> dict:
    """The template as CloudFormation gets it, SAM's own resources written out."""
    parameters = {name: one.get("Default") for name, one in templates.read(path)["Parameters"].items()}
    return templates.load(path, {"AWS::Region": "us-east-1", **parameters})


def kilobytes(template: dict) -> int:
    # Code lies at a path of the machine here, and in a bucket there.
    return round(len(json.dumps(template).replace(f"{ROOT}/", "")) / 1000)


def fragments() -> Lengths:
    return {path.name: _length(path) for path in join.fragments()}


def modules(folder: Path = ROOT / "functions") -> Lengths:
    return {str(path.relative_to(folder)): _length(path) for path in sorted(folder.rglob("*.py"))}


def handlers(folder: Path = ROOT / "functions") -> Lengths:
    """From each handler's `def` to its last line, decorators apart."""
    return {
        f"{path.relative_to(folder)}:{node.lineno}": node.end_lineno - node.lineno + 1
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "handler"
    }


def too_long(lengths: Lengths, limit: int) -> Lengths:
    return {name: length for name, length in lengths.items() if length > limit}


def _length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def main() -> int:
    template = transformed()
    parts = {"longest_fragment": fragments(), "longest_handler": handlers(), "longest_module": modules()}
    found = {
        "resources": len(template["Resources"]),
        "transformed_kb": kilobytes(template),
        "outputs": len(template["Outputs"]),
        **{name: max(lengths.values()) for name, lengths in parts.items()},
    }
    longest = {name: max(lengths, key=lengths.__getitem__) for name, lengths in parts.items()}
    for name, value in found.items():
        over = "over the limit" if value > LIMITS[name] else ""
        print(f"{name:18} {value:5} of {LIMITS[name]:4}  {longest.get(name, ''):36} {over}".rstrip())
    print(json.dumps({**found, "longest": longest}))
    return int(any(value > LIMITS[name] for name, value in found.items()))


if __name__ == "__main__":
    raise SystemExit(main())
