"""Runs last: every state of both machines was entered by the tests before it, through the real definitions."""

import pytest
import yaml

from workflows.conftest import ROOT, Bulwark

WHOLE_RUN = 60


def states_of(machine: str) -> set[str]:
    return set(yaml.safe_load((ROOT / f"statemachines/{machine}.asl.yaml").read_text())["States"])


def entered_in_reviews(bulwark: Bulwark) -> set[str]:
    states = bulwark.cloud.client("stepfunctions")
    machine = bulwark.outputs["HumanReviewStateMachineArn"]
    names = set()
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            history = states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
            events = [event for part in history for event in part["events"]]
            names |= {e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e}
    return names


def test_every_state_was_entered(bulwark):
    lines = bulwark.log()
    if sum(line["type"] == "ExecutionStarted" for line in lines) < WHOLE_RUN:
        pytest.skip("only a part of the workflow tests ran")
    entered = {line["details"]["name"] for line in lines if line["type"].endswith("StateEntered")}

    assert entered >= states_of("inference")
    assert entered_in_reviews(bulwark) >= states_of("human_review")
