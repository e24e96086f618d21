"""The life of executions: names, kinds, starts that repeat, versions, timeouts and what is left of them."""

import gc
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from stepfunctions_harness import Machines, invoke, until

from bulwark.local.stepfunctions.executions import EmbeddedExecution
from bulwark.local.stepfunctions.waiting import EXPRESS_CONCURRENCY

END = {"End": {"Type": "Succeed"}}
SLOW = {"Wait": {"Type": "Wait", "Seconds": 30, "End": True}}


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        machines.answer("echo", lambda payload: payload)
        yield machines


def test_unnamed_executions_are_told_apart(machines):
    machine = machines.create(END)

    arns = {machines.start(machine, {"n": n}) for n in range(5)}

    assert {json.loads(machines.end_of(arn)["output"])["n"] for arn in arns} == set(range(5))
    listed = machines.sfn.list_executions(stateMachineArn=machine)["executions"]
    assert {execution["executionArn"] for execution in listed} == arns


def test_starts_that_repeat_while_it_runs_are_one_execution(machines):
    machine = machines.create(SLOW)

    with ThreadPoolExecutor(8) as pool:
        arns = set(pool.map(lambda _: machines.start(machine, {"a": 1}, name="once"), range(16)))

    assert len(arns) == 1
    assert len(machines.sfn.list_executions(stateMachineArn=machine)["executions"]) == 1
    assert code_of(machines.start, machine, {"a": 2}, name="once") == "ExecutionAlreadyExists"


def test_a_name_stays_taken_when_its_execution_has_ended(machines):
    machine = machines.create(END)
    machines.end_of(machines.start(machine, {"a": 1}, name="once"))

    assert code_of(machines.start, machine, {"a": 1}, name="once") == "ExecutionAlreadyExists"


@pytest.mark.parametrize(
    ("name", "code"),
    [("n" * 80, "OK"), ("n" * 81, "ValidationException"), ("a b", "InvalidName"), ("a/b", "InvalidName")],
)
def test_a_name_has_at_most_80_plain_characters(machines, name, code):
    assert code_of(machines.start, machines.create(END), name=name) == code


def test_a_lone_surrogate_passes_through(machines):
    end = machines.end_of(machines.start(machines.create(END), {"text": "a\ud800b"}))

    assert json.loads(end["output"]) == {"text": "a\ud800b"}


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": Infinity}', "[" * 100_000])
def test_an_input_that_is_not_json_is_refused(machines, text):
    start = machines.sfn.start_execution

    assert code_of(start, stateMachineArn=machines.create(END), input=text) == "InvalidExecutionInput"


def test_an_express_execution_is_answered_or_forgotten(machines):
    machine = machines.create(END, "EXPRESS")

    answered = machines.sfn.start_sync_execution(stateMachineArn=machine, input='{"a": 1}', traceHeader="Root=1-2")
    forgotten = machines.start(machine, name="same")

    assert (answered["status"], json.loads(answered["output"])) == ("SUCCEEDED", {"a": 1})
    assert forgotten.split(":")[5:8] == ["express", machine.split(":")[-1], "same"]
    assert machines.start(machine, name="same") != forgotten
    sfn = machines.sfn
    for call in (sfn.describe_execution, sfn.get_execution_history, sfn.stop_execution):
        assert code_of(call, executionArn=forgotten) == "InvalidArn"
    assert code_of(sfn.list_executions, stateMachineArn=machine) == "StateMachineTypeNotSupported"


def test_a_standard_machine_cannot_be_started_in_sync(machines):
    start = machines.sfn.start_sync_execution

    assert code_of(start, stateMachineArn=machines.create(END)) == "StateMachineTypeNotSupported"


def test_a_sync_execution_tells_its_error(machines):
    end = machines.run({"No": {"Type": "Fail", "Error": "Refused", "Cause": "policy"}}, kind="EXPRESS")

    assert (end["status"], end["error"], end["cause"]) == ("FAILED", "Refused", "policy")


def test_nothing_is_left_of_express_executions(machines):
    machine = machines.create({"Call": invoke("echo", {"a": 1})}, "EXPRESS")
    gc.collect()
    before = sum(isinstance(thing, EmbeddedExecution) for thing in gc.get_objects())

    for _ in range(50):
        machines.sfn.start_sync_execution(stateMachineArn=machine)
        machines.start(machine)

    def left():
        gc.collect()
        return sum(isinstance(thing, EmbeddedExecution) for thing in gc.get_objects()) - before

    assert until(lambda: left() <= 1)


def test_a_burst_of_express_starts_queues(machines):
    finished, running, most, done = [], set(), [], threading.Event()

    def slow(payload):
        running.add(payload["n"])
        most.append(len(running))
        done.wait(120)
        running.discard(payload["n"])
        finished.append(payload["n"])

    machines.answer("slow", slow)
    machine = machines.create({"Call": invoke("slow", "{% $states.input %}")}, "EXPRESS")

    def threads() -> int:
        """Without those in which the functions' server here answers."""
        return sum("process_request" not in thread.name for thread in threading.enumerate())

    before = threads()

    for n in range(300):
        machines.start(machine, {"n": n})
    full = until(lambda: len(running) == EXPRESS_CONCURRENCY)
    more = threads() - before
    done.set()

    assert full and until(lambda: len(finished) == 300)
    assert max(most) == EXPRESS_CONCURRENCY
    assert more <= EXPRESS_CONCURRENCY + 20


def test_versions_and_aliases_start_what_they_name(machines):
    machine = machines.create({"End": {"Type": "Succeed", "Output": 1}}, publish=True)
    sfn = machines.sfn
    sfn.create_state_machine_alias(
        name="live", routingConfiguration=[{"stateMachineVersionArn": f"{machine}:1", "weight": 100}]
    )
    newer = {
        "QueryLanguage": "JSONata",
        "StartAt": "End",
        "States": {"End": {"Type": "Succeed", "Output": 2}},
    }
    sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(newer))

    outputs = [machines.end_of(machines.start(arn))["output"] for arn in (machine, f"{machine}:1", f"{machine}:live")]

    assert outputs == ["2", "1", "1"]
    for unknown in (f"{machine}:9", f"{machine}:none", f"{machine}x"):
        assert code_of(machines.start, unknown) == "StateMachineDoesNotExist"


def test_an_update_leaves_running_executions_their_definition(machines):
    old = {"Wait": {"Type": "Wait", "Seconds": 1, "Next": "End"}, "End": {"Type": "Succeed", "Output": "old"}}
    machine = machines.create(old)
    arn = machines.start(machine)

    newer = {
        "QueryLanguage": "JSONata",
        "StartAt": "End",
        "States": {"End": {"Type": "Succeed", "Output": "new"}},
    }
    machines.sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(newer))

    described = machines.sfn.describe_state_machine_for_execution(executionArn=arn)
    assert json.loads(described["definition"])["StartAt"] == "Wait"
    assert machines.end_of(arn)["output"] == '"old"'
    assert machines.end_of(machines.start(machine))["output"] == '"new"'


@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
def test_a_machine_has_a_timeout_of_its_own(machines, kind):
    end = machines.run(SLOW, kind=kind, TimeoutSeconds=1)

    assert end["status"] == "TIMED_OUT"
    assert (end["stopDate"] - end["startDate"]).total_seconds() < 3


def test_the_timeout_of_a_machine_is_not_caught(machines):
    machines.answer("sleeps", lambda _: time.sleep(3))
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "End"}]
    machine = machines.create({"Call": invoke("sleeps", Catch=catch, Next="End"), **END}, TimeoutSeconds=1)
    arn = machines.start(machine)

    assert machines.end_of(arn)["status"] == "TIMED_OUT"
    assert machines.history(arn)[-1]["type"] == "ExecutionTimedOut"


def test_a_wait_a_retry_and_a_call_can_be_stopped(machines):
    machines.answer("sleeps", lambda _: time.sleep(5))
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 60}]
    for states in (
        SLOW,
        {"Call": invoke("sleeps")},
        {"Call": invoke("sleeps", TimeoutSeconds=1, Retry=retry)},
    ):
        arn = machines.start(machines.create(states))
        time.sleep(1.2)

        machines.sfn.stop_execution(executionArn=arn)

        assert machines.sfn.describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_a_history_comes_in_pages_and_in_either_order(machines):
    arn = machines.start(machines.create({"A": {"Type": "Pass", "Next": "End"}, **END}))
    machines.end_of(arn)
    get = machines.sfn.get_execution_history

    first = get(executionArn=arn, maxResults=2)
    rest = get(executionArn=arn, maxResults=10, nextToken=first["nextToken"])
    backwards = get(executionArn=arn, reverseOrder=True, includeExecutionData=False)["events"]

    ids = [event["id"] for event in first["events"] + rest["events"]]
    assert ids == [1, 2, 3, 4, 5, 6] and "nextToken" not in rest
    assert [event["id"] for event in backwards] == ids[::-1]
    assert "input" not in json.dumps(backwards, default=str)


def test_a_hundred_small_executions_take_less_than_two_and_a_half_seconds_of_the_processor(machines):
    machine = machines.create({"Call": invoke("echo", {"a": 1}, Next="End"), **END}, "EXPRESS")
    machines.sfn.start_sync_execution(stateMachineArn=machine)
    started = time.process_time()

    for _ in range(100):
        machines.sfn.start_sync_execution(stateMachineArn=machine)

    assert time.process_time() - started < 2.5


def code_of(call, *args, **more):
    try:
        call(*args, **more)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "OK"
