"""What every kind of test shares: the template, the events' schemas, the shipped policy."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path

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

    def rank(item: pytest.Item) -> tuple[int, bool]:
        kind = item.path.relative_to(ROOT / "tests").parts[0]
        place = ORDER.index(kind) if kind in ORDER else len(ORDER)
        if shared and kind == "workflows":
            # Half of the work, and one piece: whoever takes it begins with it.
            place = -1
        # What asks which states the others have entered comes after them.
        return place, item.path.name == "test_whole_graph.py"

    items.sort(key=rank)
    for item in items:
        # A process has one cloud, and which states were entered is asked of all workflow tests together.
        path = item.path.relative_to(ROOT / "tests")
        item.add_marker(pytest.mark.xdist_group("workflows" if path.parts[0] == "workflows" else path.as_posix()))


@pytest.fixture(scope="session")
def template() -> dict:
    return yaml.load((ROOT / "template.yaml").read_text(), TemplateLoader)


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
