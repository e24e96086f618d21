"""Holds the direction of imports, and the template, its functions and their inputs to each other."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest
from input_success import SUCCESS
from machines import INVOKES, ROOT, all_states

FUNCTIONS = ROOT / "functions"
MODULES = {
    str(path.relative_to(FUNCTIONS).with_suffix("")).replace("/", "."): path
    for path in sorted(FUNCTIONS.rglob("*.py"))
    if path.name != "__init__.py"
}
HANDLERS = [name for name in MODULES if name.split(".")[0] not in ("domain", "adapters") and name.count(".") == 1]
# The steps of a function that is a list of them lie in a folder beside it.
STEPS = [name for name in MODULES if name.split(".")[0] not in ("domain", "adapters") and name.count(".") == 2]
# What a function may import that is not ours: kept small, as each import is part of every cold start.
PACKAGES = {"cryptography", "aws_lambda_powertools", "boto3", "botocore", "fastjsonschema"}
# What sam sets in a container of its own accord, and nobody on AWS.
OF_SAM = {"AWS_ACCOUNT_ID"}


def imports(name: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(name: str) -> set[str]:
    return {imported.split(".")[0] for imported in imports(name)}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("domain.")])
def test_domain_needs_nothing_but_python_and_itself(name):
    assert tops(name) <= sys.stdlib_module_names | {"domain"}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("domain.")])
def test_domain_has_no_clock_environment_or_chance(name):
    assert not tops(name) & {"os", "time", "datetime", "random", "uuid", "logging", "socket"}


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("adapters.")])
def test_adapters_use_the_domain_and_no_function(name):
    assert tops(name) <= sys.stdlib_module_names | PACKAGES | {"domain", "adapters"}


def ours(name: str) -> set[str]:
    """What a module imports from its own function folder."""
    return {imported for imported in imports(name) if imported.split(".")[0] == name.split(".")[0]}


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_uses_adapters_domain_and_its_steps_and_no_other_function(name):
    top = name.split(".")[0]

    assert tops(name) - {top} <= sys.stdlib_module_names | PACKAGES | {"domain", "adapters"}
    assert {imported.rpartition(".")[0] for imported in ours(name)} <= set(STEPS)
    assert len({imported.split(".")[1] for imported in ours(name)}) <= 1


@pytest.mark.parametrize("name", STEPS)
def test_a_step_uses_adapters_domain_and_its_own_folder(name):
    folder, top = name.rpartition(".")[0], name.split(".")[0]

    assert tops(name) - {top} <= sys.stdlib_module_names | PACKAGES | {"domain", "adapters"}
    assert all(imported.startswith(f"{folder}.") for imported in ours(name))


@pytest.mark.parametrize("name", ["inference.admit_request", "inference.assess_answer"])
def test_each_step_in_a_function_s_list_is_a_file_of_its_name_that_says_what_it_does(name):
    tree = ast.parse(MODULES[name].read_text())
    [listed] = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "STEPS"]

    for step in (element.id for element in listed.elts):
        [module] = [found.rpartition(".")[0] for found in imports(name) if found.endswith(f".{step}")]
        assert module.endswith(f".{step}")
        code = ast.parse(MODULES[module].read_text())
        state = "".join(word.title() for word in step.split("_"))
        assert ast.get_docstring(code).startswith(f"{state}: ")
        assert [node.name for node in code.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"] == [step]


@pytest.mark.parametrize("name", HANDLERS)
def test_a_function_says_what_it_is_first_and_has_one_handler(name):
    tree = ast.parse(MODULES[name].read_text())
    state = "".join(word.title() for word in name.split(".")[1].split("_"))

    assert ast.get_docstring(tree).startswith(f"{state}: ")
    public = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
    assert public == ["handler"]


def test_nothing_is_called_utils():
    assert not [name for name in MODULES if re.search(r"util|helper|common", name)]


def functions(template: dict) -> dict[str, dict]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def test_each_handler_is_a_function_of_the_template_and_each_function_has_its_file(template):
    found = {properties["Handler"]: name for name, properties in functions(template).items()}

    assert found.keys() == {f"{name}.handler" for name in HANDLERS}
    for handler, logical_id in found.items():
        module = handler.split(".")[1]
        assert logical_id == "".join(word.title() for word in module.split("_")) + "Function"


class Reach:
    """Which environment variables a handler may read, following the names it uses from module to module."""

    def __init__(self) -> None:
        self.trees = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}

    def variables(self, module: str, symbol: str | None = None, seen: set | None = None) -> set[str]:
        """Of one top-level name of a module, or of all the module does."""
        seen = set() if seen is None else seen
        if (module, symbol) in seen:
            return set()
        seen.add((module, symbol))
        found = set()
        imported = self._imported(module)
        for top in self.trees[module].body:
            names = {getattr(top, "name", None)}
            if isinstance(top, ast.Assign):
                names = {target.id for target in top.targets if isinstance(target, ast.Name)}
            if symbol is not None and symbol not in names:
                continue
            for node in ast.walk(top):
                if variable := _environment_variable(node):
                    found.add(variable)
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    target = imported.get(node.value.id)
                    if target in self.trees:
                        found |= self.variables(target, node.attr, seen)
                elif isinstance(node, ast.Name):
                    target = imported.get(node.id, "")
                    parent, _, name = target.rpartition(".")
                    if parent in self.trees:
                        found |= self.variables(parent, name, seen)
                    elif node.id != symbol and not target:
                        found |= self.variables(module, node.id, seen)
        return found

    def _imported(self, module: str) -> dict[str, str]:
        return {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in self.trees[module].body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }


def _environment_variable(node: ast.AST) -> str | None:
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
        return ast.literal_eval(node.slice)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
        return ast.literal_eval(node.args[0])
    return None


REACH = Reach()


@pytest.mark.parametrize("name", HANDLERS)
def test_each_variable_a_function_reads_is_given_and_each_one_of_its_own_is_read(name, template):
    shared = template["Globals"]["Function"]["Environment"]["Variables"].keys()
    [properties] = [found for found in functions(template).values() if found["Handler"] == f"{name}.handler"]
    own = properties.get("Environment", {}).get("Variables", {}).keys()

    read = REACH.variables(name)

    assert read - shared - own - OF_SAM == set(), "read and not given"
    assert own - read == set(), "given and not read"


def test_the_check_of_variables_sees_what_is_read():
    assert "EVENT_BUS" in REACH.variables("outbox.publish_outcome")
    assert "HUMAN_REVIEW_STATE_MACHINE" in REACH.variables("recovery.sweep_requests")
    assert "INFERENCE_STATE_MACHINE" not in REACH.variables("recovery.sweep_requests")


def input_of(logical_id: str) -> dict:
    return json.loads((ROOT / f"events/inputs/{logical_id}.json").read_text())


def test_each_function_has_an_input_to_be_tried_with(template):
    assert {path.stem for path in ROOT.glob("events/inputs/*.json")} == functions(template).keys()
    assert {f"{name}Function" for name in SUCCESS} == functions(template).keys(), "what its success looks like"


@pytest.mark.parametrize(
    "one", [one for one in all_states() if one[2].get("Resource") in INVOKES], ids=lambda one: one[1]
)
def test_a_machine_function_s_input_has_what_its_state_sends(one):
    _, name, state = one
    payload = state["Arguments"]["Payload"]
    given = input_of(f"{name}Function").keys()

    if isinstance(payload, dict):
        assert given == payload.keys()
    else:
        assert given <= set(re.findall(r"'(\w+)'", payload))


def routes(template: dict) -> dict[str, tuple[str, str]]:
    return {
        name: (event["Properties"]["Method"], event["Properties"]["Path"])
        for name, properties in functions(template).items()
        for event in properties.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def test_a_route_s_input_is_a_call_of_that_route(template):
    for name, (method, path) in routes(template).items():
        call = input_of(name)
        assert (call["version"], call["routeKey"]) == ("2.0", f"{method} {path}")
        parameters = re.findall(r"{(\w+)}", path)
        assert list(call.get("pathParameters", {})) == parameters
        assert call["rawPath"] == path.format(**call.get("pathParameters", {}))
        assert call["requestContext"]["http"]["method"] == method


def test_no_route_is_open_to_nobody_in_particular(template):
    """Every route of Api asks for a token; only the desk's pages are open, and one function serves them."""
    apis = {name for name, one in template["Resources"].items() if one["Type"] == "AWS::Serverless::HttpApi"}
    by_api = {name: set() for name in apis}
    for name in routes(template):
        for event in template["Resources"][name]["Properties"]["Events"].values():
            assert event["Type"] == "HttpApi", name
            assert "Auth" not in event["Properties"], name
            by_api[event["Properties"]["ApiId"]].add(name)

    assert apis == {"Api", "DeskApi"}
    assert template["Resources"]["Api"]["Properties"]["Auth"]["DefaultAuthorizer"] == "Cognito"
    assert "Auth" not in template["Resources"]["DeskApi"]["Properties"]
    assert by_api["DeskApi"] == {"ServeDeskFunction"}
    assert "ServeDeskFunction" not in by_api["Api"]


def test_an_exemption_from_a_linter_says_why():
    """`# noqa: B018 - the property refuses`, or a comment above cfn-lint's ignore_checks."""
    for path in [*ROOT.glob("functions/**/*.py"), *ROOT.glob("tests/**/*.py")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "# noqa" in line and path != Path(__file__):
                assert re.search(r"# noqa: [A-Z0-9, ]+ - \w+", line), f"{path}:{number}"
    lines = (ROOT / "template.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if "ignore_checks" in line:
            assert lines[number - 1].strip().startswith("#"), f"template.yaml:{number + 1}"


def test_who_starts_or_resumes_a_review_may_use_the_key_of_its_history(template):
    """Without it AWS refuses the call, which an embedded KMS does not."""
    for name, function in functions(template).items():
        policies = function["Policies"] if "Policies" in function else []
        starts = any("HumanReviewStateMachine" in json.dumps(policy) for policy in policies)
        if starts or "ResumeReviewPolicy" in policies:
            assert "HistoryKeyAccessPolicy" in policies, name
    assert "kms:GenerateDataKey" in json.dumps(template["Resources"]["InferenceStateMachine"]["Properties"]["Policies"])


def test_what_takes_in_an_event_s_dead_letters_lets_eventbridge_in(template):
    """SAM writes a queue's policy for queues of its own alone, and a dead letter that is refused is lost."""
    resources = template["Resources"].values()
    rules = [
        event["Properties"]
        for resource in resources
        for event in resource.get("Properties", {}).get("Events", {}).values()
    ]
    rules += [
        target for rule in resources if rule["Type"] == "AWS::Events::Rule" for target in rule["Properties"]["Targets"]
    ]
    queues = {rule["DeadLetterConfig"]["Arn"].removesuffix(".Arn") for rule in rules if "DeadLetterConfig" in rule}
    opened = {
        queue
        for resource in resources
        if resource["Type"] == "AWS::SQS::QueuePolicy"
        and "events.amazonaws.com" in json.dumps(resource["Properties"]["PolicyDocument"])
        for queue in resource["Properties"]["Queues"]
    }

    assert queues and queues <= opened
