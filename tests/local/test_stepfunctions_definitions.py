"""Definitions: what AWS refuses is refused, and parses do not spoil each other."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from stepfunctions_harness import Machines, invoke, task

from bulwark.local.stepfunctions import definitions

END = {"Type": "Succeed"}


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        machines.answer("echo", lambda payload: payload)
        yield machines


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ({"A": {"Type": "Pass", "Next": "B"}}, "Missing 'Next' target: B"),
        ({"A": {"Type": "Pass", "End": True}, "B": END}, "not reachable"),
        ({"A": {"Type": "Choice", "Choices": [], "Default": "B"}}, "Missing 'Default' target: B"),
        (
            {"A": {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "B"}]}},
            "Missing 'Choices'",
        ),
        (
            {"A": invoke("f", Catch=[{"ErrorEquals": ["States.ALL"], "Next": "B"}])},
            "Missing 'Catch' target: B",
        ),
        ({"A": {"Type": "Pass"}}, "One and only one of Next and End"),
        ({"A": {"Type": "Pass", "Output": "{% $x. %}", "End": True}}, "not valid"),
        ({"A": {"Type": "Pass", "Wrong": 1, "End": True}}, "SCHEMA_VALIDATION_FAILED"),
        ({"A": {"Type": "Pass", "ResultPath": "$.x", "End": True}}, "SCHEMA_VALIDATION_FAILED"),
    ],
)
def test_a_definition_that_cannot_work_is_refused(machines, states, problem):
    with pytest.raises(machines.sfn.exceptions.InvalidDefinition, match=problem.replace(".", r"\.")):
        machines.create(states)


def test_a_start_that_does_not_exist_and_text_that_is_not_json_are_refused(machines):
    for definition in ('{"StartAt": "B", "States": {"A": {"Type": "Succeed"}}}', "{", "[]"):
        with pytest.raises(machines.sfn.exceptions.InvalidDefinition):
            machines.sfn.create_state_machine(
                name=uuid4().hex, definition=definition, roleArn="arn:aws:iam::123456789012:role/r"
            )


def test_an_update_is_checked_too(machines):
    machine = machines.create({"A": END})
    dangling = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}

    with pytest.raises(machines.sfn.exceptions.InvalidDefinition):
        machines.sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(dangling))


def test_an_express_machine_cannot_wait_for_a_token(machines):
    waits = {"A": task("lambda:invoke.waitForTaskToken", {"FunctionName": "f"})}

    assert machines.create(waits)
    with pytest.raises(machines.sfn.exceptions.InvalidDefinition, match="Express"):
        machines.create(waits, "EXPRESS")


def test_strings_keep_their_escapes(machines):
    text = 'a "quote" \\ back\\n \n line \u00e9 \u2028 {%'
    expression = "{% \"it's \\\"\" & $states.input.x & '\\n' %}"
    state = invoke("echo", {"t": text, 'key "q"': expression}, Output="{% $states.result.Payload %}")

    output = machines.run({"A": state}, {"x": "1"})["output"]

    assert output == {"t": text, 'key "q"': "it's \"1\n"}


def test_numbers_and_nulls_stay_what_they_are(machines):
    value = {"a": None, "b": [1, 1.5, -2, True, None, {"c": []}], "d": {}}

    assert machines.run({"A": {"Type": "Pass", "Output": value, "End": True}})["output"] == value


def test_a_failed_parse_does_not_spoil_the_next(machines):
    broken = {
        "Map": {
            "Type": "Map",
            "ItemProcessor": {"StartAt": "A", "States": {"A": END}},
            "Nope": 1,
            "End": True,
        }
    }
    for _ in range(3):
        with pytest.raises(machines.sfn.exceptions.InvalidDefinition):
            machines.create(broken)

    assert machines.run({"A": {"Type": "Pass", "Output": 1, "End": True}})["output"] == 1


def test_parses_at_once_do_not_mix_query_languages():
    def parse(number):
        jsonata = number % 2
        state = {"Type": "Pass", "End": True} | ({"Output": number} if jsonata else {"ResultPath": f"$.r{number}"})
        top = {"QueryLanguage": "JSONata"} if jsonata else {}
        return definitions.parse(json.dumps({"StartAt": "A", "States": {"A": state}, **top}))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(parse, range(40)))) == 40
    finally:
        sys.setswitchinterval(interval)


def test_a_definition_is_parsed_once():
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True, "Comment": "once"}}})

    assert definitions.parse(definition) is definitions.parse(definition)
