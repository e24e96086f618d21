"""Holds each box's page to its fragments, machines, functions, stores, events and tests, all found by name alone."""

import re
from pathlib import Path

import pytest
from machines import INVOKES, PATHS, ROOT, definition_of, machine_of, states

from bulwark.local.stack import template as templates
from template import join

FRAGMENTS = {path: templates.read(path) for path in join.fragments()}
BOXES = [box for box in join.BOXES if box != "root"]
PAGES = {box: (ROOT / f"docs/{box}.md").read_text() for box in BOXES}
RESOURCES = {name: path for path, fragment in FRAGMENTS.items() for name in fragment.get("Resources", {})}
TYPES = {name: FRAGMENTS[path]["Resources"][name]["Type"] for name, path in RESOURCES.items()}
# What belongs to the resource whose name it bears or whose right it gives, and is read beside it.
BESIDE = re.compile(r"AWS::IAM::|AWS::Lambda::Permission|Policy$")
STATES = {name for path in PATHS for name, _ in states(definition_of(path))}
EVENTS = {path.stem for path in ROOT.glob("events/schemas/*.json")}
# What a page's names may end in without the ending.
ENDING = re.compile(r"(Function|StateMachine)$")


def box_of(resource: str) -> str:
    return join.box_of(RESOURCES[resource])


def machine_resource(machine: str) -> str:
    return "".join(word.title() for word in machine.split("_")) + "StateMachine"


def names_on(page: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", page)


def files(pattern: str) -> list[Path]:
    return [path for path in ROOT.glob(pattern) if path.name != "__pycache__"]


@pytest.mark.parametrize("path", PATHS, ids=machine_of)
def test_the_page_of_a_machine_s_box_names_the_machine_and_each_of_its_states(path):
    named = names_on(PAGES[box_of(machine_resource(machine_of(path)))])

    assert {machine_of(path), f"statemachines/{path.name}"} <= set(named)
    assert {name for name, _ in states(definition_of(path))} <= set(named)


@pytest.mark.parametrize("path", PATHS, ids=machine_of)
def test_a_machine_s_functions_stand_in_its_box(path):
    box = box_of(machine_resource(machine_of(path)))

    for name, state in states(definition_of(path)):
        if state.get("Resource") in INVOKES:
            assert box_of(f"{name}Function") == box, name


@pytest.mark.parametrize(
    "name", [name for name in RESOURCES if box_of(name) != "root" and not BESIDE.search(TYPES[name])]
)
def test_the_page_of_a_resource_s_box_names_it_and_its_fragment(name):
    page = PAGES[box_of(name)]

    if name.endswith("StateMachine"):
        assert re.sub(r"(?<!^)(?=[A-Z])", "_", ENDING.sub("", name)).lower() in names_on(page)
    else:
        assert ENDING.sub("", name) in names_on(page)
    assert f"template/{RESOURCES[name].name}" in names_on(page)


@pytest.mark.parametrize("name", [name for name in RESOURCES if TYPES[name] == "AWS::Serverless::Function"])
def test_a_function_leads_from_its_box_to_its_file_and_to_tests(name):
    handler = FRAGMENTS[RESOURCES[name]]["Resources"][name]["Properties"]["Handler"]
    folder, module, _ = handler.split(".")
    page = PAGES[box_of(name)]

    assert (ROOT / f"functions/{folder}/{module}.py").is_file()
    assert f"functions/{folder}/" in names_on(page)
    assert f"tests/*/{box_of(name)}/" in names_on(page)


@pytest.mark.parametrize("box", BOXES)
def test_a_box_has_a_fragment_tests_and_a_page_that_names_where_its_code_is(box):
    named = names_on(PAGES[box])

    assert PAGES[box].startswith(f"# {box}\n")
    assert files(f"template/{box}*.yaml")
    assert files(f"tests/*/{box}/test_*.py") and f"tests/*/{box}/" in named
    for folder in ("domain", "adapters"):
        if (ROOT / f"functions/{folder}/{box}").is_dir():
            assert f"functions/{folder}/{box}/" in named


@pytest.mark.parametrize("box", BOXES)
def test_a_page_names_nothing_that_does_not_exist(box):
    known = STATES | EVENTS | set(RESOURCES) | {ENDING.sub("", name) for name in RESOURCES}
    folders = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")

    for name in names_on(PAGES[box]):
        if re.fullmatch(r"[A-Z]\w*", name):
            assert name in known
        elif name.startswith(folders):
            assert files(name.rstrip("/")), name


@pytest.mark.parametrize("box", BOXES)
def test_a_page_leads_to_decisions_and_pages_that_exist(box):
    decisions = set(re.findall(r"^## (\d+) ·", (ROOT / "docs/decisions.md").read_text(), re.MULTILINE))
    cited = "".join(re.findall(r"^Decisions? ([\d, andto\n]+)", PAGES[box], re.MULTILINE))

    assert set(re.findall(r"\d+", cited)) <= decisions and cited
    for page in re.findall(r"\]\(([^)]+)\)", PAGES[box]):
        assert (ROOT / "docs" / page).is_file(), page


def test_each_event_and_each_runbook_is_on_a_page():
    named = {name for page in PAGES.values() for name in names_on(page)}

    assert EVENTS <= named
    assert {f"docs/runbooks/{path.name}" for path in ROOT.glob("docs/runbooks/*.md")} <= named


def test_the_api_s_page_has_each_route_with_its_function_and_its_box():
    rows = re.findall(r"^\| ([A-Z]+ /\S*) \| `(\w+)` \| (\w+) \|$", PAGES["api"], re.MULTILINE)
    routes = {
        (f"{event['Properties']['Method']} {event['Properties']['Path']}", ENDING.sub("", name), box_of(name))
        for name, path in RESOURCES.items()
        for event in FRAGMENTS[path]["Resources"][name].get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }

    assert set(rows) == routes and len(rows) == len(routes)
