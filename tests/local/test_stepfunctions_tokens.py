"""Task tokens: one answer wins, and every other one is told."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeSuccess, CallbackPoolManager
from stepfunctions_harness import Machines, invoke, task, until

from bulwark.local.stepfunctions import task_tokens


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        yield machines


@pytest.fixture
def tokens(machines):
    """The tokens that the asking function was given, in the order of asking."""
    given = []
    machines.answer("ask", lambda payload: given.append(payload["token"]))
    return given


def ask(**more):
    payload = {"token": "{% $states.context.Task.Token %}"}
    return task("lambda:invoke.waitForTaskToken", {"FunctionName": "ask", "Payload": payload}, **more)


def test_an_answer_becomes_the_result(machines, tokens):
    arn = machines.start(machines.create({"Ask": ask(TimeoutSeconds="{% 60 %}")}))
    token = until(lambda: tokens)[0]

    machines.sfn.send_task_success(taskToken=token, output='{"decision": "APPROVE", "note": null}')

    assert machines.end_of(arn)["output"] == '{"decision":"APPROVE","note":null}'
    types = [event["type"] for event in machines.history(arn)]
    assert types[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]


def test_a_failure_brings_its_error_and_cause(machines, tokens):
    arn = machines.start(machines.create({"Ask": ask()}))

    machines.sfn.send_task_failure(taskToken=until(lambda: tokens)[0], error="Withdrawn", cause="by the caller")

    end = machines.end_of(arn)
    assert (end["error"], end["cause"]) == ("Withdrawn", "by the caller")


def test_only_the_first_of_many_answers_wins(machines, tokens):
    arn = machines.start(machines.create({"Ask": ask()}))
    token = until(lambda: tokens)[0]

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: code_of(machines, token, str(n)), range(8)))

    assert sorted(codes) == ["OK"] + ["TaskTimedOut"] * 7
    assert machines.end_of(arn)["output"] == str(codes.index("OK"))


def test_a_token_is_spent_by_its_answer_before_the_execution_wakes():
    context = SimpleNamespace(context_object_data={})
    states = SimpleNamespace(context_object=context)
    env = SimpleNamespace(callback_pool_manager=CallbackPoolManager({}), states=states)
    token = task_tokens.issue(env)

    task_tokens.answer(token, CallbackOutcomeSuccess(token, "1"))

    with pytest.raises(task_tokens.TaskTimedOut):
        task_tokens.answer(token, CallbackOutcomeSuccess(token, "2"))


def test_an_answer_after_the_deadline_is_told_so(machines, tokens):
    arn = machines.start(machines.create({"Ask": ask(TimeoutSeconds=1)}))

    assert machines.end_of(arn)["error"] == "States.Timeout"
    assert code_of(machines, tokens[0]) == "TaskTimedOut"


def test_a_token_that_was_never_issued_is_invalid(machines, tokens):
    assert code_of(machines, "x" * 200) == "InvalidToken"
    assert code_of(machines, "") == "InvalidToken"


def test_an_answer_that_is_not_json_leaves_the_task_open(machines, tokens):
    arn = machines.start(machines.create({"Ask": ask()}))
    token = until(lambda: tokens)[0]

    assert code_of(machines, token, "{") == "InvalidOutput"
    assert code_of(machines, token, "1") == "OK"
    assert machines.end_of(arn)["status"] == "SUCCEEDED"


def test_each_attempt_has_a_token_of_its_own(machines, tokens):
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    arn = machines.start(machines.create({"Ask": ask(Retry=retry)}))

    machines.sfn.send_task_failure(taskToken=until(lambda: tokens)[0], error="Again")
    until(lambda: len(tokens) == 2)

    assert code_of(machines, tokens[0]) == "TaskTimedOut"
    assert code_of(machines, tokens[1], '"second"') == "OK"
    assert machines.end_of(arn)["output"] == '"second"'


def test_a_function_may_answer_before_it_returns(machines):
    def answer_at_once(payload):
        machines.sfn.send_task_success(taskToken=payload["token"], output="1")

    machines.answer("ask", answer_at_once)

    assert machines.run({"Ask": ask(TimeoutSeconds=5)})["output"] == 1


def test_an_answer_wakes_the_execution_at_once(machines, tokens):
    arn = machines.start(machines.create({"Ask": ask()}))
    token = until(lambda: tokens)[0]
    started = time.monotonic()

    machines.sfn.send_task_success(taskToken=token, output="1")
    machines.end_of(arn)

    assert time.monotonic() - started < 10


def test_a_stopped_execution_stops_waiting(machines, tokens):
    arn = machines.start(machines.create({"Ask": ask()}))
    token = until(lambda: tokens)[0]

    machines.sfn.stop_execution(executionArn=arn, error="Deploy", cause="old")

    end = machines.sfn.describe_execution(executionArn=arn)
    assert (end["status"], end["error"], end["cause"]) == ("ABORTED", "Deploy", "old")
    assert machines.history(arn)[-1]["type"] == "ExecutionAborted"
    assert code_of(machines, token) == "TaskTimedOut"


def test_thousands_wait_without_a_thread_each_and_block_nobody(machines, tokens):
    waiting = machines.create({"Ask": ask(TimeoutSeconds=3600)})
    machines.answer("echo", lambda payload: payload)
    before = threading.active_count()

    arns = [machines.start(waiting) for _ in range(2000)]
    until(lambda: len(tokens) == 2000)
    # Those that call borrow a thread, and give it back.
    until(lambda: threading.active_count() - before < 120)
    express = machines.run({"Call": invoke("echo", {"a": 1})}, kind="EXPRESS")
    for token in tokens:
        machines.sfn.send_task_success(taskToken=token, output="1")

    assert express["status"] == "SUCCEEDED"
    assert {machines.end_of(arn)["status"] for arn in arns} == {"SUCCEEDED"}


def code_of(machines, token, output="1"):
    try:
        machines.sfn.send_task_success(taskToken=token, output=output)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "OK"
