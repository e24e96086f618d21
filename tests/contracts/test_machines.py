"""Holds the machines to the way from a box to its code, and to limits, retries and ends that are thought through."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from jsonata import Jsonata
from machines import (
    INVOKES,
    PATHS,
    ROOT,
    all_states,
    definition_of,
    machine_of,
    starts,
    states,
    transitions,
    words_of,
)

from domain import errors

STATES = all_states()
TASKS = [(machine, name, state) for machine, name, state in STATES if state["Type"] == "Task"]
# Services whose modelled errors a function may raise as they are, or a direct integration prefixes with its name.
SERVICES = (
    "dynamodb",
    "bedrock-runtime",
    "bedrock-agent-runtime",
    "s3",
    "stepfunctions",
    "appconfigdata",
    "sqs",
    "kms",
)
PREFIXES = (
    "States",
    "Lambda",
    "Sandbox",
    "Runtime",
    "StepFunctions",
    "BedrockRuntime",
    "BedrockAgentRuntime",
)


def ids(one: tuple) -> str:
    return f"{one[0]}.{one[1]}"


@pytest.mark.parametrize("one", [one for one in TASKS if one[2]["Resource"] in INVOKES], ids=ids)
def test_each_lambda_state_leads_to_its_file(one, template):
    machine, name, state = one
    module = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()

    assert state["Arguments"]["FunctionName"] == f"${{{name}FunctionArn}}"
    assert template["Resources"][f"{name}Function"]["Properties"]["Handler"] == f"{machine}.{module}.handler"
    assert (ROOT / "functions" / machine / f"{module}.py").is_file()


@pytest.mark.parametrize("path", PATHS, ids=machine_of)
def test_each_function_of_a_machine_is_one_of_its_states(path):
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name, _ in states(definition_of(path))}

    assert {file.stem for file in ROOT.glob(f"functions/{machine_of(path)}/[!_]*.py")} <= names


@pytest.mark.parametrize("path", PATHS, ids=machine_of)
def test_each_transition_leads_to_a_state_and_each_state_is_led_to(path):
    definition = definition_of(path)
    found = dict(states(definition))
    targets = starts(definition).union(*map(transitions, found.values()))

    assert targets == found.keys()


@pytest.mark.parametrize("path", PATHS, ids=machine_of)
def test_each_substitution_is_given_and_each_one_given_is_used(path, template):
    resource = template["Resources"]["".join(word.title() for word in machine_of(path).split("_")) + "StateMachine"]
    used = set(re.findall(r"\$\{(\w+)\}", path.read_text()))

    assert used == resource["Properties"]["DefinitionSubstitutions"].keys()


@pytest.mark.parametrize("one", STATES, ids=ids)
def test_each_state_that_does_not_end_goes_on(one):
    _, _, state = one

    assert transitions(state) or state.get("End") or state["Type"] in ("Succeed", "Fail")


@pytest.mark.parametrize("one", TASKS, ids=ids)
def test_each_task_has_a_timeout_and_tries_again_at_random_times(one):
    _, _, state = one

    assert "TimeoutSeconds" in state
    assert state["Retry"]
    assert all(rule["JitterStrategy"] == "FULL" and rule["MaxAttempts"] >= 1 for rule in state["Retry"])


# Nothing is left to do when this one fails for good: the execution fails, and the alarm on it tells.
UNCAUGHT = {"inference.ParkEvent"}


@pytest.mark.parametrize("one", [one for one in TASKS if ids(one) not in UNCAUGHT], ids=ids)
def test_each_task_has_a_plan_for_any_failure(one):
    assert one[2]["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("one", [one for one in STATES if one[2]["Type"] == "Fail"], ids=ids)
def test_each_failure_says_what_to_do(one):
    assert one[2]["Error"]
    assert len(one[2]["Cause"].split()) > 5


@pytest.mark.parametrize("path", PATHS, ids=machine_of)
def test_each_machine_says_what_it_is_for(path):
    definition = definition_of(path)

    assert definition["QueryLanguage"] == "JSONata"
    assert definition["Comment"]


@functools.cache
def _modelled_errors() -> set[str]:
    session = botocore.session.get_session()
    shapes = (session.get_service_model(service).error_shapes for service in SERVICES)
    return {shape.metadata.get("error", {}).get("code") or shape.name for found in shapes for shape in found} | {
        shape.name for service in SERVICES for shape in session.get_service_model(service).error_shapes
    }


@pytest.mark.parametrize("one", TASKS, ids=ids)
def test_each_error_that_is_matched_can_be_raised(one):
    """A class that is renamed changes the machine: a name that is not AWS's has to be one of domain/errors.py."""
    _, _, state = one
    matched = words_of(state.get("Retry", [])) | words_of(state.get("Catch", []))
    ours = {name for name in matched if "." not in name}

    assert {name.split(".")[0] for name in matched - ours} <= set(PREFIXES)
    # DynamoDB answers with ThrottlingException as well, which its model does not list.
    aws = _modelled_errors() | vars(botocore.exceptions).keys() | {"ThrottlingException"}
    assert {name for name in ours if name not in aws} <= {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == "domain.errors"
    }


def test_each_error_of_ours_is_one_that_somebody_raises():
    source = "\n".join(path.read_text() for path in ROOT.glob("functions/**/*.py"))

    for name, value in vars(errors).items():
        if isinstance(value, type):
            assert re.search(rf"raise {name}\b", source), name


def test_a_request_s_deadline_is_later_than_its_machine_s_end(policy_document):
    timeout = definition_of(ROOT / "statemachines/inference.asl.yaml")["TimeoutSeconds"]

    assert timeout < policy_document["request_deadline_seconds"]


@pytest.mark.parametrize("name", ["InvokeModel", "InvokeLargeModel"])
def test_a_throttled_guardrail_has_time_to_take_the_largest_prompt(name):
    """200 KB are 200 text units, of which it takes 25 a second in most Regions; full jitter halves each wait."""
    retries = dict(states(definition_of(ROOT / "statemachines/inference.asl.yaml")))[name]["Retry"]
    [throttled] = [retry for retry in retries if any("ThrottlingException" in one for one in retry["ErrorEquals"])]

    waits = [
        min(throttled["IntervalSeconds"] * throttled["BackoffRate"] ** attempt, throttled["MaxDelaySeconds"])
        for attempt in range(throttled["MaxAttempts"])
    ]
    assert sum(waits) / 2 >= 200 / 25


def test_a_machine_s_function_has_less_time_than_its_state(template):
    for machine, name, state in TASKS:
        if state["Resource"] == "arn:aws:states:::lambda:invoke":
            function = template["Resources"][f"{name}Function"]["Properties"]
            own = function.get("Timeout", template["Globals"]["Function"]["Timeout"])
            assert own < state["TimeoutSeconds"], f"{machine}.{name}"


def test_an_express_machine_ends_within_five_minutes(template):
    for path in PATHS:
        name = "".join(word.title() for word in machine_of(path).split("_")) + "StateMachine"
        if template["Resources"][name]["Properties"].get("Type") == "EXPRESS":
            assert definition_of(path)["TimeoutSeconds"] <= 300


def test_the_words_of_a_request_stay_out_of_logs(template):
    logging = template["Resources"]["InferenceStateMachine"]["Properties"]["Logging"]

    assert logging["IncludeExecutionData"] is False


def test_a_held_answer_s_history_has_references_only():
    text = Path(ROOT / "statemachines/human_review.asl.yaml").read_text()
    held = {"answer", "query", "passages", "draft"}

    assert not held & set(re.findall(r"\$review\.(\w+)", text))


def evaluated(text: str, **variables: Any) -> Any:
    """What an expression of a definition comes to; a null is None."""
    expression = Jsonata(text.strip().removeprefix("{%").removesuffix("%}"))
    for name, value in variables.items():
        expression.assign(name, value)
    return expression.evaluate(None)


def inference_state(name: str) -> dict:
    return dict(states(definition_of(ROOT / "statemachines/inference.asl.yaml")))[name]


def test_what_a_full_plan_assigns_has_room_in_one_assign():
    """AWS gives all variables of one Assign 256 KiB together: what AdmitRequest returns may not be kept twice."""
    passages = [{"GuardContent": {"Text": {"Text": "x" * 2000}}}] * 100
    admitted = {"admission": "ADMITTED", "request": {}, "models": [], "messages": [], "query": {}, "passages": passages}
    refused = {"admission": "REFUSED", "outcome": {"status": "REFUSED"}}

    def assigned(payload: dict) -> dict:
        assign = inference_state("AdmitRequest")["Assign"]
        given = {"result": {"Payload": payload}}
        return {
            name: evaluated(value, states=given) if isinstance(value, str) else value for name, value in assign.items()
        }

    full = assigned(admitted)
    assert full["passages"] == passages
    assert full["plan"] == {name: value for name, value in admitted.items() if name != "passages"}
    assert len(json.dumps(full)) < 262_144
    assert assigned(refused)["outcome"] == refused["outcome"]


def test_a_blank_passage_joins_no_prompt():
    """Bedrock refuses blank guard content, and a knowledge base has blank chunks."""
    assign = inference_state("RetrievePassages")["Assign"]["passages"]
    found = [{"Content": {"Text": text}, "Score": 0.5} for text in ("Eleven hours.", " \n\t", "", " " * 2000 + "late")]
    found.append({"Content": {"Type": "IMAGE"}, "Score": 0.4})

    passages = evaluated(assign, states={"result": {"RetrievalResults": found}}, plan={"passage_qualifiers": ["q"]})

    assert passages == [{"GuardContent": {"Text": {"Text": "Eleven hours.", "Qualifiers": ["q"]}}}]


@pytest.mark.parametrize(
    ("passages", "qualifiers"), [([], ["guard_content"]), ([{"x": 1}], ["query", "guard_content"])]
)
def test_a_query_grounds_nothing_where_no_passage_was_found(passages, qualifiers):
    query = {"GuardContent": {"Text": {"Text": "How long?", "Qualifiers": ["query", "guard_content"]}}}
    model = {"model_id": "m"}
    plan = {"call": {}, "models": [model], "system": "s", "messages": [], "max_output_tokens": 1, "temperature": 0}

    call = evaluated(
        inference_state("InvokeModel")["Arguments"], plan=plan | {"query": query}, passages=passages, attempt=0
    )

    *before, asked = call["Messages"][-1]["Content"]
    assert (before, asked["GuardContent"]["Text"]) == (passages, {"Text": "How long?", "Qualifiers": qualifiers})


def test_a_night_s_run_may_be_taken_up_again_with_its_children(template):
    """Redriving a distributed map redrives its executions, whose names carry the map's."""
    policies = template["Resources"]["RetentionCleanupStateMachine"]["Properties"]["Policies"]
    granted = [each for policy in policies for each in policy.get("Statement", [])]

    [redrive] = [each for each in granted if "states:RedriveExecution" in each["Action"]]
    assert redrive["Resource"].endswith(":execution:${AWS::StackName}-retention_cleanup/*")
