"""Gap of moto 5.2: rules deliver to few targets, in PutEvents itself, without input paths, retries or queues.

Any other target makes PutEvents fail; Input, InputPath, disabled rules and dead-letter queues are ignored, and an
entry may have any size. Bridged: PutEvents and Rule.send_to_targets. moto has closed the gap when a rule with a
Step Functions target starts an execution.
"""

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, Rule

from bulwark.local.events.input import as_text, target_input
from bulwark.local.events.targets import TargetRefused, Targets
from bulwark.local.moto_names import replace, require
from bulwark.local.threads import Threads
from bulwark.rules import NotJson, read_json, visible

PUT_EVENTS_LIMIT = 1_048_576
MOST_ENTRIES = 10
_RETRIED_CODES = {"ThrottlingException", "TooManyRequestsException", "RequestThrottled", "ServiceUnavailable"}
GiveUp = Callable[[str, str, int], None]
"""Told the code, the message and the number of attempts."""
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.05, 5.0


class Delivery:
    """Delivers events to the targets of matching rules in a bounded number of threads."""

    def __init__(self, targets: Targets, concurrency: int = 16) -> None:
        self.deliver_twice = False
        """Every delivery is made two times, as EventBridge may: for tests."""
        self.targets = targets
        self._threads = Threads("event-delivery", concurrency)
        self._put_events: Callable[..., Any] | None = None

    def install(self) -> None:
        """Take over delivery from moto."""
        require("moto.events.models:EventPattern.matches_event")
        delivery = self
        replace("moto.events.models:Rule.send_to_targets", lambda rule, event, *_, **__: delivery.offer(rule, event))
        self._put_events = replace("moto.events.models:EventsBackend.put_events", lambda *args: delivery.put(*args))

    def put(self, backend: EventsBackend, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """PutEvents, held to the size of a request."""
        size = sum(entry_size(entry) for entry in entries)
        if size > PUT_EVENTS_LIMIT:
            raise ValidationException("Total size of the entries in the request is over the limit.")
        # What cannot be read to its end here could not be delivered, nor kept as undeliverable.
        refused = [_malformed(entry) for entry in entries[:MOST_ENTRIES]]
        if len(entries) > MOST_ENTRIES or not any(refused):
            return self._put_events(backend, entries)
        put = iter(self._put_events(backend, [each for each, why in zip(entries, refused, strict=True) if not why]))
        return [why or next(put) for why in refused]

    def offer(self, rule: Rule, event: dict[str, Any]) -> None:
        """Deliver an event to a rule's targets if the rule is enabled and matches."""
        if rule.state == "DISABLED" or not rule.event_pattern.matches_event(event):
            return
        seen = {key: value for key, value in event.items() if key not in ("ingestion-time", "replay-name")}
        seen = {"version": "0", **seen, "time": _iso(event["time"])}
        for target in list(rule.targets):
            for _ in range(2 if self.deliver_twice else 1):
                self._threads.submit(self._deliver, rule, target, seen)

    @property
    def pending(self) -> int:
        """Deliveries queued or under way."""
        return self._threads.pending

    def stop(self) -> None:
        self._threads.stop()

    def deliver(
        self,
        target: dict[str, Any],
        text: str,
        event: dict[str, Any],
        give_up: GiveUp,
        attempts: int = 0,
        until: float | None = None,
    ) -> None:
        """Send to a target, and again by its retry policy while the failure can pass."""
        policy = target.get("RetryPolicy") or {}
        if until is None:
            until = time.monotonic() + int(policy.get("MaximumEventAgeInSeconds", 86_400))
        attempts += 1
        try:
            self.targets.send(target["Arn"], text, target=target, event=event)
            return
        except TargetRefused as error:
            give_up(error.code, str(error), attempts)
            return
        except ClientError as error:
            code, message = error.response["Error"].get("Code", "Unknown"), str(error)
            status = error.response["ResponseMetadata"].get("HTTPStatusCode", 500)
            if status < 500 and code not in _RETRIED_CODES:
                give_up("SDK_CLIENT_ERROR", message, attempts)
                return
        except Exception as error:  # whatever it is, it is retried
            code, message = "INTERNAL_ERROR", f"{type(error).__name__}: {error}"
        if attempts > int(policy.get("MaximumRetryAttempts", 185)) or time.monotonic() >= until:
            give_up(code, message, attempts)
            return
        pause = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** min(attempts, 10)) * random.uniform(0.5, 1)
        self._threads.submit_later(pause, self.deliver, target, text, event, give_up, attempts, until)

    def submit(self, target: dict[str, Any], text: str, event: dict[str, Any], give_up: GiveUp) -> None:
        """Deliver in a thread of its own kind."""
        self._threads.submit(self.deliver, target, text, event, give_up)

    def _deliver(self, rule: Rule, target: dict[str, Any], event: dict[str, Any]) -> None:
        text = target_input(target, event, rule.arn, rule.name)
        self.deliver(target, text, event, partial(self._give_up, rule, target, event))

    def _give_up(
        self, rule: Rule, target: dict[str, Any], event: dict[str, Any], code: str, message: str, attempts: int
    ) -> None:
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue is None:
            print(visible(f"EventBridge: rule {rule.name} gave up on {target['Arn']}: {code}: {message}"))
            return
        attributes = {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": target["Arn"],
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message[:1000],
            "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts" if attempts > 1 else "",
            "RETRY_ATTEMPTS": str(attempts - 1) if attempts > 1 else "",
        }
        try:
            self.targets.send(queue, as_text(event), attributes)
        except (TargetRefused, ClientError) as error:
            print(visible(f"EventBridge: {queue} did not take an undeliverable event either: {error}"))


def _malformed(entry: dict[str, Any]) -> dict[str, str] | None:
    """The refusal of an entry whose detail cannot be read."""
    try:
        read_json(entry.get("Detail") or "{}", finite=False)
    except NotJson as error:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": f"Detail is malformed: it {error}."}
    return None


def entry_size(entry: dict[str, Any]) -> int:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html"""
    texts = [entry.get("Source"), entry.get("DetailType"), entry.get("Detail"), *(entry.get("Resources") or [])]
    return sum(len(text.encode()) for text in texts if text) + (14 if entry.get("Time") else 0)


def new_event(source: str, detail_type: str, detail: Any, account: str, region: str) -> dict[str, Any]:
    """An event as a service of AWS sends it."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": _iso(time.time()),
        "region": region,
        "resources": [],
        "detail": detail,
    }


def _iso(moment: Any) -> str:
    if isinstance(moment, str):
        return moment
    seconds = moment.timestamp() if isinstance(moment, datetime) else float(moment)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
