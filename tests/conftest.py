"""What every kind of test shares: the template, the events' schemas, the shipped policy."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moto.core  # noqa: F401 - it watches over clients that are made after it alone, and functions make theirs at import
import pytest
import yaml
from hypothesis import settings

ROOT = Path(__file__).parents[1]
# The quick ones first: they tell most of what there is to tell within seconds.
ORDER = ("contracts", "unit", "local", "workflows")

# Functions make their clients at import, and a client needs a region to be made.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
os.environ.setdefault("AWS_ACCESS_KEY_ID", "testing")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "testing")


# A property's example may meet a busy machine: time is not what these tests are about.
settings.register_profile("bulwark", deadline=None, max_examples=60)
settings.load_profile("bulwark")


class TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation, with !Ref and its like left as plain values."""


TemplateLoader.add_multi_constructor("!", lambda loader, tag, node: getattr(loader, f"construct_{node.id}")(node))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    shared = hasattr(config, "workerinput")

    def rank(item: pytest.Item) -> int:
        kind = item.path.relative_to(ROOT / "tests").parts[0]
        if shared and kind == "workflows":
            # Half of the work, and one piece: whoever takes it begins with it.
            return -1
        return ORDER.index(kind) if kind in ORDER else len(ORDER)

    items.sort(key=rank)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file is a piece of work, and the workflows are one.

    They share one cloud, and which states were entered is asked of all of them together. Groups by mark would say it
    too, but xdist 3.8 sets them on a name that pytest 9 no longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByPiece(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "tests/workflows" if path.startswith("tests/workflows/") else path

    return ByPiece(config, log)


@pytest.fixture(scope="session")
def template() -> dict:
    return yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)


@pytest.fixture(scope="session")
def observability() -> dict:
    """The nested stack of alarms and dashboard."""
    return yaml.load((ROOT / "statemachines/observability.yaml").read_text(), TemplateLoader)


@pytest.fixture(scope="session")
def use_case_alarms() -> dict:
    """The stack nested in that one, for each use case."""
    return yaml.load((ROOT / "statemachines/use_case_alarms.yaml").read_text(), TemplateLoader)


@pytest.fixture(scope="session")
def schema() -> Callable[[str], dict]:
    return lambda name: json.loads((ROOT / f"events/schemas/{name}.json").read_text())


@pytest.fixture(scope="session")
def sample() -> Callable[[str], dict]:
    return lambda name: json.loads((ROOT / f"events/samples/{name}.json").read_text())


@pytest.fixture(scope="session")
def _shipped_policy() -> dict:
    return json.loads((ROOT / "policies/runtime.json").read_text())


@pytest.fixture
def policy_document(_shipped_policy) -> dict:
    """policies/runtime.json, to be changed at will."""
    return copy.deepcopy(_shipped_policy)
