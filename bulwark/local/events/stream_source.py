"""Gap of moto 5.2: a stream's function is invoked within the write, with every record since the table was made.

Bridged: per shard in order, filtered, in batches, retried with bisection, partial failures and a destination for what
is given up. moto has closed the gap when `StreamShard.add` no longer calls `send_dynamodb_items`.
"""

import base64
import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.events.models import EventPattern

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.dynamodb import streams
from bulwark.local.events.queue_source import failed_items
from bulwark.local.events.targets import Targets
from bulwark.local.functions.host import FunctionHost, HostStopped, TooManyRequests
from bulwark.local.functions.worker import Outcome
from bulwark.local.stack.api_calls import UnsupportedProperty

_KNOWN = {
    "BatchSize", "BisectBatchOnFunctionError", "DestinationConfig", "Enabled", "EventSourceArn", "FilterCriteria",
    "FunctionName", "FunctionResponseTypes", "MaximumBatchingWindowInSeconds", "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts", "ParallelizationFactor", "StartingPosition", "Tags",
}  # fmt: skip
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.1, 5.0
BATCH_LIMIT_BYTES = 6_000_000


class StreamSource:
    """Reads one table's stream for one function, in order."""

    def __init__(self, properties: dict[str, Any], host: FunctionHost, targets: Targets) -> None:
        if unknown := set(properties) - _KNOWN:
            raise UnsupportedProperty(", ".join(sorted(unknown)))
        self._host, self._targets, self._function = host, targets, properties["FunctionName"]
        self._arn: str = properties["EventSourceArn"]
        self._batch = int(properties.get("BatchSize", 100))
        self._window = float(properties.get("MaximumBatchingWindowInSeconds", 0))
        self._bisects = str(properties.get("BisectBatchOnFunctionError", False)).lower() == "true"
        self._reports = "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", [])
        self._retries = int(properties.get("MaximumRetryAttempts", -1))
        self._oldest = int(properties.get("MaximumRecordAgeInSeconds", -1))
        destination = (properties.get("DestinationConfig") or {}).get("OnFailure") or {}
        self._destination: str | None = destination.get("Destination")
        filters = (properties.get("FilterCriteria") or {}).get("Filters", [])
        self._filters = [EventPattern(each["Pattern"], json.loads(each["Pattern"])) for each in filters]
        name = self._arn.split("/")[1]
        self._shard = dynamodb_backends[ACCOUNT][REGION].get_table(name).stream_shard
        self._position = 0 if properties.get("StartingPosition") == "TRIM_HORIZON" else len(self._shard.items)
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._read, name="stream-poller", daemon=True)

    def start(self) -> None:
        self._poller.start()

    def stop(self) -> None:
        self._stopping.set()
        streams.wake()
        if self._poller.ident:
            self._poller.join(3)

    def _read(self) -> None:
        while not self._stopping.is_set():
            streams.wait_beyond(self._shard, self._position, self._stopping)
            if self._window and len(self._shard.items) - self._position < self._batch:
                self._stopping.wait(self._window)
            chosen: list[dict[str, Any]] = []
            end = self._position
            size = 0
            while end < len(self._shard.items) and len(chosen) < self._batch and size < BATCH_LIMIT_BYTES:
                record = self._shard.items[end].to_json()
                end += 1
                if self._wants(record):
                    chosen.append(self._event_record(record))
                    size += record["dynamodb"]["SizeBytes"]
            if chosen:
                self._handle(chosen)
            self._position = end

    def _wants(self, record: dict[str, Any]) -> bool:
        if not self._filters:
            return True
        plain = _plain(record)
        return any(each.matches_event(plain) for each in self._filters)

    def _handle(self, records: list[dict[str, Any]]) -> None:
        """Try a batch until it succeeds or is given up; what is left of it is tried on its own."""
        pending = [(records, 0)]
        while pending and not self._stopping.is_set():
            batch, attempts = pending.pop(0)
            if self._is_too_old(batch[0]):
                self._give_up(batch, "RecordAgeExceeded", None, attempts)
                continue
            outcome, failed_from = self._invoke(batch)
            if outcome is None:
                self._stopping.wait(_FIRST_RETRY_SECONDS)
                pending.insert(0, (batch, attempts))
                continue
            if failed_from is None:
                continue
            attempts = attempts + 1 if failed_from == 0 else 1
            batch = batch[failed_from:]
            if 0 <= self._retries < attempts:
                self._give_up(batch, "RetryAttemptsExhausted", outcome, attempts)
                continue
            self._stopping.wait(min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 10)))
            middle = len(batch) // 2
            if self._bisects and middle and outcome.function_error:
                # A bisected half keeps the attempts of the whole.
                pending[:0] = [(batch[:middle], attempts), (batch[middle:], attempts)]
            else:
                pending.insert(0, (batch, attempts))

    def _invoke(self, batch: list[dict[str, Any]]) -> tuple[Outcome | None, int | None]:
        """The outcome, and the index of the first record to try again, if any."""
        try:
            outcome = self._host.invoke_raw(self._function, json.dumps({"Records": batch}).encode())
        except (TooManyRequests, HostStopped):
            return None, None
        if outcome.function_error:
            return outcome, 0
        if not self._reports:
            return outcome, None
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        failed = failed_items(outcome.payload, set(numbers))
        # The lowest number reported is the checkpoint: everything from there on comes again.
        return outcome, min((numbers.index(number) for number in failed), default=None)

    def _is_too_old(self, record: dict[str, Any]) -> bool:
        return 0 <= self._oldest < time.time() - record["dynamodb"]["ApproximateCreationDateTime"]

    def _give_up(self, batch: list[dict[str, Any]], condition: str, outcome: Outcome | None, attempts: int) -> None:
        print(f"stream: {self._function} gave up {len(batch)} records: {condition}")
        if self._destination is None:
            return
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        context: dict[str, Any] = {
            "requestId": outcome.request_id if outcome else "",
            "functionArn": self._host.function(self._function).arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        }
        record: dict[str, Any] = {
            "requestContext": context,
            "version": "1.0",
            "timestamp": _iso(time.time()),
            "DDBStreamBatchInfo": {
                "shardId": self._shard.id,
                "startSequenceNumber": numbers[0],
                "endSequenceNumber": numbers[-1],
                "approximateArrivalOfFirstRecord": _iso(batch[0]["dynamodb"]["ApproximateCreationDateTime"]),
                "approximateArrivalOfLastRecord": _iso(batch[-1]["dynamodb"]["ApproximateCreationDateTime"]),
                "batchSize": len(batch),
                "streamArn": self._arn,
            },
        }
        if outcome:
            record["responseContext"] = {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": outcome.function_error,
            }
        self._targets.send(self._destination, json.dumps(record))

    def _event_record(self, record: dict[str, Any]) -> dict[str, Any]:
        return {**_plain(record), "eventSourceARN": self._arn}


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record as JSON: times in seconds, binary values in base 64, nested values unwrapped."""
    return json.loads(json.dumps(record, default=_as_json))


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.to_json()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
