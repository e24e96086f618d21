"""What Retry and Catch see, and when variables change."""

import json

import pytest
from stepfunctions_harness import FunctionError, Machines, Scripted, invoke, task

CATCH_ALL = [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Caught"}]
CAUGHT = {"Type": "Succeed"}


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        machines.answer("echo", lambda payload: payload)
        yield machines


def test_output_sees_the_old_variables_and_the_next_state_the_new(machines):
    states = {
        "First": {"Type": "Pass", "Assign": {"v": 1}, "Next": "Second"},
        "Second": {"Type": "Pass", "Assign": {"v": 2}, "Output": {"seen": "{% $v %}"}, "Next": "Third"},
        "Third": {"Type": "Succeed", "Output": {"before": "{% $states.input.seen %}", "now": "{% $v %}"}},
    }

    assert machines.run(states)["output"] == {"before": 1, "now": 2}


@pytest.mark.parametrize("field", ["Arguments", "Output", "Assign"])
def test_a_query_error_in_any_field_of_a_task_is_caught(machines, field):
    state = invoke("echo", Catch=CATCH_ALL, Next="Caught")
    bad = {"FunctionName": "echo", "Payload": {"a": "{% $states.input.no %}"}}
    state[field] = bad if field == "Arguments" else {"a": "{% $states.input.no %}"}

    end = machines.run({"Work": state, "Caught": CAUGHT})

    assert end["output"]["Error"] == "States.QueryEvaluationError"
    assert "returned nothing (undefined)" in end["output"]["Cause"]


def test_a_caught_attempt_assigns_nothing_of_its_own(machines):
    states = {
        "Before": {"Type": "Pass", "Assign": {"v": "old"}, "Next": "Work"},
        "Work": invoke("echo", Assign={"v": "new"}, Output="{% $states.input.no %}", Catch=CATCH_ALL, Next="Caught"),
        "Caught": {"Type": "Succeed", "Output": "{% $v %}"},
    }

    assert machines.run(states)["output"] == "old"


def test_a_catch_assigns_from_the_error(machines):
    machines.answer("refuses", fails({"errorType": "AlreadyDecided", "errorMessage": "twice"}))
    catch = [{"ErrorEquals": ["AlreadyDecided"], "Assign": {"e": "{% $states.errorOutput.Error %}"}, "Next": "End"}]
    states = {
        "Work": invoke("refuses", Catch=catch, Next="End"),
        "End": {"Type": "Succeed", "Output": "{% $e %}"},
    }

    assert machines.run(states)["output"] == "AlreadyDecided"


def test_states_all_does_not_catch_a_runtime_error(machines):
    state = task("aws-sdk:bedrockruntime:converse", {"modelId": "m"}, Catch=CATCH_ALL, Next="Caught")

    end = machines.run({"Work": state, "Caught": CAUGHT})

    assert (end["status"], end["error"]) == ("FAILED", "States.Runtime")
    assert '"modelId" is not supported' in end["cause"]


def test_states_task_failed_catches_all_but_a_timeout(machines):
    machines.answer("slow", lambda _: __import__("time").sleep(2))
    machines.answer("refuses", fails({"errorType": "Refused"}))
    catch = [{"ErrorEquals": ["States.TaskFailed"], "Next": "Caught"}]

    refused = machines.run({"Work": invoke("refuses", Catch=catch, Next="Caught"), "Caught": CAUGHT})
    slow = machines.run({"Work": invoke("slow", Catch=catch, TimeoutSeconds=1, Next="Caught"), "Caught": CAUGHT})

    assert refused["status"] == "SUCCEEDED"
    assert (slow["status"], slow["error"]) == ("FAILED", "States.Timeout")


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        ("{% 1 %}", "States.Timeout"),
        ("{% 0 %}", "States.QueryEvaluationError"),
        ("{% '5' %}", "States.QueryEvaluationError"),
    ],
)
def test_a_timeout_is_an_expression_with_a_whole_number(machines, seconds, error):
    machines.answer("slow", lambda _: __import__("time").sleep(3))
    state = invoke("slow", TimeoutSeconds=seconds, Catch=CATCH_ALL, Next="Caught")

    end = machines.run({"Work": state, "Caught": CAUGHT})

    assert end["output"]["Error"] == error


def test_a_retry_counts_its_attempts_and_then_succeeds(machines):
    calls = []

    def fails_twice(payload):
        calls.append(payload["n"])
        if len(calls) < 3:
            raise Scripted(429, "TooManyRequestsException")
        return "done"

    machines.answer("flaky", fails_twice)
    retry = [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "IntervalSeconds": 1, "MaxAttempts": 2}]
    state = invoke(
        "flaky",
        {"n": "{% $states.context.State.RetryCount %}"},
        Retry=retry,
        Output="{% $states.result.Payload %}",
    )

    assert machines.run({"Work": state})["output"] == "done"
    assert calls == [0, 1, 2]


def test_a_choice_that_is_no_boolean_fails_the_execution(machines):
    choice = {"Type": "Choice", "Choices": [{"Condition": "{% 'yes' %}", "Next": "End"}], "Default": "End"}
    arn = machines.start(machines.create({"Route": choice, "End": {"Type": "Succeed"}}))

    end = machines.end_of(arn)

    assert (end["status"], end["error"]) == ("FAILED", "States.QueryEvaluationError")
    assert [event["type"] for event in machines.history(arn)][-2:] == ["EvaluationFailed", "ExecutionFailed"]


def test_a_choice_assigns_and_gives_output_by_rule(machines):
    rule = {
        "Condition": "{% $states.input.n = 1 %}",
        "Assign": {"v": "one"},
        "Output": {"n": 10},
        "Next": "End",
    }
    states = {
        "Route": {"Type": "Choice", "Choices": [rule], "Default": "End", "Assign": {"v": "other"}},
        "End": {"Type": "Succeed", "Output": ["{% $v %}", "{% $states.input %}"]},
    }

    assert machines.run(states, {"n": 1})["output"] == ["one", {"n": 10}]
    assert machines.run(states, {"n": 2})["output"] == ["other", {"n": 2}]


def test_a_choice_without_a_match_or_a_default_fails(machines):
    rule = {"Condition": "{% false %}", "Next": "End"}
    states = {"Route": {"Type": "Choice", "Choices": [rule]}, "End": {"Type": "Succeed"}}

    assert machines.run(states)["error"] == "States.NoChoiceMatched"


def test_a_fail_state_may_compute_its_error(machines):
    fail = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "{% 'by ' & $states.input.who %}"}

    end = machines.run({"End": fail}, {"e": "Refused", "who": "policy"})

    assert (end["status"], end["error"], end["cause"]) == ("FAILED", "Refused", "by policy")


def test_the_context_is_made_of_strings(machines):
    output = "{% $states.context %}"
    machine = machines.create({"End": {"Type": "Succeed", "Output": output}})
    arn = machines.start(machine, {"a": 1}, name="named")

    context = json.loads(machines.end_of(arn)["output"])

    assert context["Execution"]["Name"] == "named"
    assert context["Execution"]["Input"] == {"a": 1}
    assert context["StateMachine"]["Id"] == machine
    for moment in (context["Execution"]["StartTime"], context["State"]["EnteredTime"]):
        assert moment.endswith("Z") and len(moment) == len("2024-01-01T00:00:00.000Z")


def test_branches_and_inline_maps_work_with_variables(machines):
    branch = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Output": "{% $v + 1 %}", "End": True}}}
    items = {
        "StartAt": "I",
        "States": {"I": invoke("echo", "{% $states.input %}", Output="{% $states.result.Payload %}")},
    }
    states = {
        "Set": {"Type": "Pass", "Assign": {"v": 1}, "Next": "Both"},
        "Both": {"Type": "Parallel", "Branches": [branch, branch], "Next": "Each"},
        "Each": {"Type": "Map", "Items": "{% $states.input %}", "ItemProcessor": items, "End": True},
    }

    assert machines.run(states)["output"] == [2, 2]


def fails(payload):
    def function(_):
        raise FunctionError(payload)

    return function
