"""Bridge: moto ignores LoggingConfiguration, and keeps the history of Express executions.

Lifecycle lines go to the log group by level, in CloudWatch's shape, without data unless includeExecutionData;
as on AWS, `error` and `cause` are not data. Lines are delivered within a tenth of a second, in batches.
moto has closed the gap when an execution with level ALL leaves lines in its log group.
"""

import itertools
import logging
import threading
import time
import uuid
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from moto.core.utils import iso_8601_datetime_with_milliseconds
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager
from moto.stepfunctions.parser.asl.eval.event.logging import is_logging_enabled_for

from bulwark.local.retained import Retained
from bulwark.local.stepfunctions.limits import MAX_HISTORY_EVENTS, to_json
from bulwark.local.stepfunctions.service_calls import client
from bulwark.local.stepfunctions.waiting import Interrupted, Run

_DATA = {
    "input",
    "inputDetails",
    "output",
    "outputDetails",
    "parameters",
    "assignedVariables",
    "assignedVariablesDetails",
}
_LAST_EVENTS = {
    HistoryEventType.ExecutionSucceeded,
    HistoryEventType.ExecutionFailed,
    HistoryEventType.ExecutionAborted,
    HistoryEventType.ExecutionTimedOut,
}
_DELIVERY_SECONDS = 0.1
_BATCH = 1_000

logger = logging.getLogger(__name__)


class History(EventManager):
    """The events of one execution: kept for Standard, logged as the machine asks."""

    def __init__(self, run: Run, execution_arn: str, machine: Any):
        super().__init__()
        self.run = run
        self._arn = execution_arn
        self._standard = machine.sm_type == "STANDARD"
        self._log_group = _log_group_of(machine.logging)
        self._level = machine.logging.get("level", "OFF")
        self._with_data = bool(machine.logging.get("includeExecutionData"))
        self._stream = _log_stream(machine.name)

    def add_event(
        self,
        context: EventHistoryContext,
        event_type: HistoryEventType,
        event_details: dict | None = None,
        timestamp: datetime | None = None,
        update_source_event_id: bool = True,
    ) -> int:
        """Append an event; a Standard history that is full ends the execution."""
        with self._mutex:
            event_id = self._event_id_gen.get()
            if self._standard and event_id >= MAX_HISTORY_EVENTS and event_type not in _LAST_EVENTS:
                cause = f"The execution reached the maximum number of history events ({MAX_HISTORY_EVENTS})."
                self.run.fail("States.Runtime", cause)
                self._event_id_gen._next_id = MAX_HISTORY_EVENTS
                raise Interrupted
            previous_id, moment = context.source_event_id, timestamp or datetime.now(UTC)
            context.last_published_event_id = event_id
            if update_source_event_id:
                context.source_event_id = event_id
            if self._standard:
                event = {
                    **(event_details or {}),
                    "id": event_id,
                    "previousEventId": previous_id,
                    "type": event_type,
                    "timestamp": iso_8601_datetime_with_milliseconds(moment),
                }
                self._history_event_list.append(Retained(event))
            if self._log_group and is_logging_enabled_for(self._level, event_type):
                self._log(event_id, previous_id, event_type, moment, event_details)
            return event_id

    def events(self, include_data: bool = True) -> list[dict[str, Any]]:
        """The events so far; they are never changed once written."""
        with self._mutex:
            kept = list(self._history_event_list)
        events = [event.to_json() for event in kept]
        return events if include_data else [_event_without_data(event) for event in events]

    def _log(
        self,
        event_id: int,
        previous_id: int,
        event_type: HistoryEventType,
        moment: datetime,
        event_details: dict | None,
    ) -> None:
        details = next(iter(event_details.values())) if event_details else {}
        milliseconds = int(moment.timestamp() * 1000)
        line = {
            "id": str(event_id),
            "type": event_type,
            "details": details if self._with_data else _without_data(details),
            "previous_event_id": str(previous_id),
            "event_timestamp": str(milliseconds),
            "execution_arn": self._arn,
        }
        if self._standard:
            line["redrive_count"] = "0"
        _delivery.put(self._log_group, self._stream, milliseconds, to_json(line))


class _Delivery:
    """Carries log lines to their groups, many at a time."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, int, str]] = []
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None

    def put(self, group: str, stream: str, milliseconds: int, message: str) -> None:
        with self._lock:
            self._lines.append((group, stream, milliseconds, message))
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver_forever, daemon=True)
                self._thread.start()
        self._filled.set()

    def flush(self) -> None:
        with self._sending:
            with self._lock:
                lines, self._lines = self._lines, []
            lines.sort(key=lambda line: line[:3])
            for (group, stream), its_lines in itertools.groupby(lines, key=lambda line: line[:2]):
                events = [{"timestamp": at, "message": message} for _, _, at, message in its_lines]
                for start in range(0, len(events), _BATCH):
                    _put_log_events(group, stream, events[start : start + _BATCH])

    def _deliver_forever(self) -> None:
        while True:
            self._filled.wait()
            time.sleep(_DELIVERY_SECONDS)
            self._filled.clear()
            try:
                self.flush()
            except Exception:
                logger.exception("execution logs could not be delivered")


_delivery = _Delivery()


def flush() -> None:
    """Deliver every log line that executions have written."""
    _delivery.flush()


def _put_log_events(group: str, stream: str, events: list[dict[str, Any]]) -> None:
    logs = client("logs")
    try:
        try:
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
        except logs.exceptions.ResourceNotFoundException:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    except logs.exceptions.ResourceNotFoundException:
        logger.warning("log group %s does not exist: %d lines dropped, as on AWS", group, len(events))


def _log_group_of(configuration: dict[str, Any]) -> str | None:
    for destination in configuration.get("destinations") or []:
        arn = destination["cloudWatchLogsLogGroup"]["logGroupArn"]
        return arn.split(":log-group:")[1].removesuffix(":*")
    return None


@lru_cache
def _log_stream(machine_name: str) -> str:
    return f"states/{machine_name}/{datetime.now(UTC):%Y-%m-%d-%H-%M}/{uuid.uuid4().hex[:8]}"


def _without_data(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name not in _DATA}


def _event_without_data(event: dict[str, Any]) -> dict[str, Any]:
    return {name: _without_data(value) if isinstance(value, dict) else value for name, value in event.items()}
