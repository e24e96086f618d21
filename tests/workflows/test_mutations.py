"""Breaks each machine on purpose and expects the workflow tests to notice: a suite that cannot fail proves nothing."""

import json
from collections.abc import Callable

import pytest

from workflows import conftest
from workflows.conftest import Bulwark
from workflows.inference import test_inference
from workflows.reviews import test_human_review


def drop_retry(state: str) -> Callable[[dict, Bulwark], None]:
    return lambda states, _: states[state].pop("Retry")


def go_to(state: str, next_state: str) -> Callable[[dict, Bulwark], None]:
    return lambda states, _: states[state].update(Next=next_state)


def swap_function(state: str, function: str) -> Callable[[dict, Bulwark], None]:
    def mutate(states: dict, bulwark: Bulwark) -> None:
        states[state]["Arguments"]["FunctionName"] = bulwark.cloud.stack.attribute(function, "Arn")

    return mutate


MUTATIONS = [
    ("Inference", drop_retry("InvokeModel"), test_inference.test_throttling_is_retried_on_the_same_model),
    (
        "Inference",
        go_to("RetrievePassages", "RecordFailure"),
        test_inference.test_the_knowledge_base_is_asked_when_no_passages_come,
    ),
    (
        "Inference",
        swap_function("AssessAnswer", "RecordFailureFunction"),
        test_inference.test_a_sure_answer_is_released,
    ),
    ("HumanReview", drop_retry("AwaitReviewer"), test_human_review.test_opening_and_recording_are_tried_again),
    (
        "HumanReview",
        go_to("AwaitReviewer", "ReturnDecision"),
        test_human_review.test_an_approved_answer_is_released_to_its_owner,
    ),
    (
        "HumanReview",
        swap_function("RecordDecision", "AwaitReviewerFunction"),
        test_human_review.test_a_rejected_answer_is_refused,
    ),
]


@pytest.mark.parametrize(
    ("machine", "mutate", "check"), MUTATIONS, ids=lambda part: getattr(part, "__name__", str(part))
)
def test_a_broken_machine_is_noticed(bulwark, monkeypatch, machine, mutate, check):
    monkeypatch.setattr(conftest, "PATIENCE_SECONDS", 10)
    states = bulwark.cloud.client("stepfunctions")
    arn = bulwark.outputs[f"{machine}StateMachineArn"]
    whole = states.describe_state_machine(stateMachineArn=arn)["definition"]
    broken = json.loads(whole)
    mutate(broken["States"], bulwark)
    reachable(broken)
    states.update_state_machine(stateMachineArn=arn, definition=json.dumps(broken))
    try:
        with pytest.raises(AssertionError):
            check(bulwark)
    finally:
        states.update_state_machine(stateMachineArn=arn, definition=whole)


def reachable(definition: dict) -> None:
    """Drop the states a mutation cut off, which the service would refuse."""
    seen, open_ends = set(), [definition["StartAt"]]
    while open_ends:
        name = open_ends.pop()
        if name in seen:
            continue
        seen.add(name)
        state = definition["States"][name]
        branches = [state, *state.get("Choices", []), *state.get("Catch", [])]
        open_ends += [branch["Next"] for branch in branches if "Next" in branch]
        open_ends += [state["Default"]] if "Default" in state else []
    definition["States"] = {name: state for name, state in definition["States"].items() if name in seen}
