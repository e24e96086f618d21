"""The state machines as their files have them, flattened for tests."""

from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PATHS = sorted(ROOT.glob("statemachines/*.asl.yaml"))
INVOKES = ("arn:aws:states:::lambda:invoke", "arn:aws:states:::lambda:invoke.waitForTaskToken")


def states(scope: dict) -> Iterator[tuple[str, dict]]:
    for name, state in scope["States"].items():
        yield name, state
        for inner in [*state.get("Branches", []), state.get("ItemProcessor")]:
            if inner:
                yield from states(inner)


def starts(scope: dict) -> set[str]:
    """Where a machine begins, and each branch and each item of one."""
    inner = [
        one for state in scope["States"].values() for one in (*state.get("Branches", []), state.get("ItemProcessor"))
    ]
    return {scope["StartAt"]}.union(*(starts(one) for one in inner if one))


def machine_of(path: Path) -> str:
    return path.name.removesuffix(".asl.yaml")


def definition_of(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def all_states() -> list[tuple[str, str, dict]]:
    return [(machine_of(path), name, state) for path in PATHS for name, state in states(definition_of(path))]


def transitions(state: dict) -> set[str]:
    branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
    found = {branch["Next"] for branch in branches if "Next" in branch}
    return found | ({state["Default"]} if "Default" in state else set())


def words_of(error_equals: list[dict]) -> set[str]:
    return {name for rule in error_equals for name in rule["ErrorEquals"]}
