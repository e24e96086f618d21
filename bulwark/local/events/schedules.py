"""Gap of moto 5.2: EventBridge Scheduler keeps schedules and never fires them.

Bridged: rate(...), cron(...) and at(...) schedules fire at their target, with its retry policy and dead-letter queue.
moto has closed the gap when a schedule of rate(1 minute) invokes its function.
"""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.events.cron import Cron
from bulwark.local.events.delivery import Delivery, new_event

_UNITS = {"minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86400, "days": 86400}


class Schedules:
    """Fires the schedules that exist when it starts."""

    def __init__(self, clients: Callable[[str], Any], delivery: Delivery) -> None:
        self._clients, self._delivery = clients, delivery
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        scheduler = self._clients("scheduler")
        found = [
            scheduler.get_schedule(Name=each["Name"], GroupName=each["GroupName"])
            for each in scheduler.list_schedules()["Schedules"]
        ]
        enabled = [each for each in found if each.get("State", "ENABLED") == "ENABLED"]
        now = datetime.now(UTC)
        due = {each["Arn"]: (each, moment) for each in enabled if (moment := next_firing(each, now))}
        if due:
            self._thread = threading.Thread(target=self._run, args=(due,), name="schedules", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread:
            self._thread.join(2)

    def _run(self, due: dict[str, tuple[dict[str, Any], datetime]]) -> None:
        while due:
            arn = min(due, key=lambda each: due[each][1])
            schedule, moment = due[arn]
            if self._stopping.wait(max(0.0, (moment - datetime.now(UTC)).total_seconds())):
                return
            self._fire(schedule)
            following = next_firing(schedule, moment)
            if following is None:
                del due[arn]
            else:
                due[arn] = (schedule, max(following, datetime.now(UTC)))

    def _fire(self, schedule: dict[str, Any]) -> None:
        target = schedule["Target"]
        event = new_event("aws.scheduler", "Scheduled Event", {}, ACCOUNT, REGION)
        text = target.get("Input") or json.dumps({})

        def give_up(code: str, message: str, _: int) -> None:
            if queue := (target.get("DeadLetterConfig") or {}).get("Arn"):
                self._delivery.targets.send(queue, text, {"ERROR_CODE": code, "ERROR_MESSAGE": message[:1000]})

        self._delivery.submit(target, text, event, give_up)


def next_firing(schedule: dict[str, Any], after: datetime) -> datetime | None:
    """The moment after `after` at which a schedule fires, if any."""
    kind, _, argument = schedule["ScheduleExpression"].rstrip(")").partition("(")
    zone = ZoneInfo(schedule.get("ScheduleExpressionTimezone") or "UTC")
    if kind == "rate":
        count, unit = argument.split()
        return after + timedelta(seconds=int(count) * _UNITS[unit])
    if kind == "at":
        moment = datetime.fromisoformat(argument).replace(tzinfo=zone).astimezone(UTC)
        return moment if moment > after else None
    if kind == "cron":
        return Cron(argument).after(after.astimezone(zone))
    raise ValueError(f"no schedule {schedule['ScheduleExpression']}")
