"""Bridge: a Distributed Map's children, in moto, have a history of no run, share variables, and may all fail.

Here a child belongs to its parent's run, so that it waits, times out and is stopped with it, and has variables of its
own alone; its history is not kept. A tolerance other than of all failures is refused, since moto would tolerate them in
silence: a machine has to find by itself which of its items gave no result. moto has closed the gap when
DistributedIterationComponent makes no EventManager of its own, and preprocessor.py no longer warns of tolerance.
"""

import logging
import threading
from typing import Any

from moto.stepfunctions.parser.api import ResourceNotFound
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor.distributed_item_processor_worker import (  # noqa: E501 - moto's name
    DistributedItemProcessorWorker,
)
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager
from moto.stepfunctions.parser.asl.eval.variable_store import VariableStore

from bulwark.local.moto_names import replace
from bulwark.local.stepfunctions.waiting import Run, run_of

# moto forgets a map run with its execution's environment, when that has ended.
_REMEMBERED = 1_000
_runs: dict[str, Any] = {}
_parent = threading.local()
_state_map = "moto.stepfunctions.parser.asl.component.state.exec.state_map"


_backend = "moto.stepfunctions.parser.models:StepFunctionsParserBackend"


class ChildHistory(EventManager):
    """What children of a map would tell of themselves, under the run of their parent."""

    run: Run

    def __init__(self) -> None:
        super().__init__()
        self.run = _parent.run

    def add_event(self, *_: Any, **__: Any) -> int:
        return 0


def problems(machine: Any) -> list[str]:
    """What of a machine's Distributed Maps the embedded AWS cannot do."""
    states = machine.get("States") if isinstance(machine, dict) else None
    return [
        f"SCHEMA_VALIDATION_FAILED: a Distributed Map has to tolerate all failures (100.0) here at /States/{name}"
        for name, state in (states.items() if isinstance(states, dict) else ())
        if state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED"
        and state.get("ToleratedFailurePercentage") != 100
    ]


def _list_map_runs(self: Any, execution_arn: str) -> dict[str, Any]:
    self.describe_execution(execution_arn)
    return {"mapRuns": [run.list_item() for run in list(_runs.values()) if run.execution_arn == execution_arn]}


def _describe_map_run(self: Any, map_run_arn: str) -> dict[str, Any]:
    if run := _runs.get(map_run_arn):
        return run.describe()
    raise ResourceNotFound(map_run_arn)


def install() -> None:
    """Let the children of a map run."""
    _runs.clear()
    component = f"{_state_map}.iteration.distributed_iteration_component"
    evaluate = DistributedIterationComponent._eval_body

    def eval_body(self: Any, env: Any) -> None:
        _parent.run = run_of(env)
        record = env.stack[-1].map_run_record
        _runs[record.map_run_arn] = record
        while len(_runs) > _REMEMBERED:
            del _runs[next(iter(_runs))]
        evaluate(self, env)

    evaluate_input = DistributedItemProcessorWorker._eval_input

    def eval_input(self: Any, env_frame: Any) -> None:
        # The item is chosen among the parent's variables; what comes then sees none of them.
        evaluate_input(self, env_frame)
        env_frame.variable_store = VariableStore()

    worker = f"{_state_map}.iteration.itemprocessor.distributed_item_processor_worker"
    replace(f"{worker}:DistributedItemProcessorWorker._eval_input", eval_input)
    replace(f"{_backend}.list_map_runs", _list_map_runs)
    replace(f"{_backend}.describe_map_run", _describe_map_run)
    replace(f"{component}:EventManager", ChildHistory)
    replace(f"{component}:DistributedIterationComponent._eval_body", eval_body)
    # They warn, of each definition, of what is refused here.
    for name in (f"{_state_map}.tolerated_failure", "moto.stepfunctions.parser.asl.parse.preprocessor"):
        logging.getLogger(name).setLevel(logging.ERROR)
