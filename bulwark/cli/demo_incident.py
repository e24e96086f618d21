"""demo incident: a model goes wrong under real traffic, and Bulwark notices, degrades and recovers by itself."""

import json
import threading
import time
from collections import Counter
from typing import Any

from bulwark.cli import render
from bulwark.cli.embedded import running_cloud
from bulwark.cli.exits import Problem
from bulwark.cli.incidents import Mode
from bulwark.cli.questions import OWN_QUESTIONS
from bulwark.cli.records import read_records
from bulwark.cli.target import Target, started
from bulwark.rules import ROOT

SPEED = 20
USE_CASE = "product_support"
PER_SECOND = 7
WELL_SECONDS, ILL_SECONDS, PATIENCE_SECONDS = 110, 70, 420
_FAULT = {"kind": "ungrounded", "model": "us.amazon.nova-lite-v1:0", "probability": 0.9}


def policy() -> dict:
    """The shipped policy, in which a minute of an incident takes three seconds, and everything is released."""
    document = json.loads((ROOT / "policies" / "runtime.json").read_text(encoding="utf-8"))
    document["tenants"]["acme"] |= {"requests_per_minute": 100_000, "requests_in_flight": 10_000}
    use_case = document["use_cases"][USE_CASE]
    use_case.pop("knowledge_base", None)
    use_case["confidence_threshold"] = 0
    use_case["review"] |= {"audit_share": 0, "second_reviewer_share": 0}
    use_case["review"]["overload"] |= {"confidence_floor": 0}
    incidents = document["incidents"]
    incidents["drill_speed"] = SPEED
    # What takes seconds on any machine takes minutes at this speed.
    quick = {"settle_seconds": 180, "metric_delay_seconds": 300, "probe_after_seconds": 300, "watch_seconds": 600}
    incidents["mitigation"] |= quick
    incidents["correlation"] |= {"quiet_seconds": 300}
    return document


class Traffic:
    """Requests at a steady pace until told to stop; each has to have an outcome in the end."""

    def __init__(self, target: Target) -> None:
        asked = [json.loads(line) for line in OWN_QUESTIONS.read_text(encoding="utf-8").splitlines()]
        ours = [one for one in asked if one["use_case"] == USE_CASE]
        self._details = [{name: one[name] for name in ("use_case", "query", "passages")} for one in ours]
        self._target, self._over = target, threading.Event()
        self.sent: list[str] = []
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(10)

    def _send(self) -> None:
        events, bus = self._target.client("events"), self._target.outputs["EventBusName"]
        while not self._over.wait(1):
            entries = []
            for _ in range(PER_SECOND):
                request_id = f"drill-{len(self.sent):05}"
                self.sent.append(request_id)
                detail = self._details[len(self.sent) % len(self._details)] | {"request_id": request_id}
                entry = {"EventBusName": bus, "Source": "acme.app", "DetailType": "InferenceRequested"}
                entries.append(entry | {"Detail": json.dumps(detail)})
            events.put_events(Entries=entries)


def run(as_json: bool) -> None:
    """The whole drill, with a line for each change; ends by itself when all is well again."""
    tell = (lambda *_: None) if as_json else render.say
    tell(f"[bold]Bulwark demo incident[/]  real requests; time runs {SPEED} times as fast for what watches over them")
    with running_cloud(policy=policy(), quiet=as_json) as cloud:
        target = started(cloud)
        traffic, begun = Traffic(target), time.monotonic()
        clock = threading.Event()
        watcher = threading.Thread(target=_watch, args=(cloud, target, clock), daemon=True)
        watcher.start()
        try:
            story = _live(cloud, target, begun, tell)
        finally:
            traffic.stop()
            clock.set()
            watcher.join(10)
        lost = _lost(target, traffic.sent)
    figures = story | {"requests": len(traffic.sent), "lost": len(lost), "seconds": round(time.monotonic() - begun)}
    count, seconds = figures["requests"], figures["seconds"]
    tell(f"\n{count} requests, {len(lost)} of them without an outcome. Done in {seconds} s.")
    if as_json:
        render.print_json(figures)
    if lost or not story["recovered"]:
        raise Problem(f"Not recovered: {story}" if not story["recovered"] else f"Lost: {lost[:5]}")


def _watch(cloud: Any, target: Target, over: threading.Event) -> None:
    """What the schedule starts every minute, which is sooner here."""
    machine = target.outputs["IncidentDetectionStateMachineArn"]
    while not over.wait(60 / SPEED):
        cloud.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}")


def _live(cloud: Any, target: Target, begun: float, tell: Any) -> dict:
    story: dict[str, Any] = {"detected_s": None, "mitigated_s": None, "recovered": False, "modes": []}
    api, told, ill_at = target.sign_in("Operator"), Counter[str](), None
    while time.monotonic() - begun < PATIENCE_SECONDS:
        time.sleep(1)
        now = time.monotonic() - begun
        if ill_at is None and now >= WELL_SECONDS:
            ill_at = now
            cloud.bedrock.load_faults({"faults": [_FAULT]})
            tell(f"{now:4.0f} s  [red]nova-lite begins to answer what no passage holds[/]")
        if ill_at and ill_at + ILL_SECONDS <= now and not told["cured"]:
            told["cured"] += 1
            cloud.bedrock.clear_faults()
            tell(f"{now:4.0f} s  [green]nova-lite is well again; Bulwark does not know yet[/]")
        listed = api.expect("GET", "/incidents")
        _tell_mode(listed["modes"], now, ill_at, story, tell)
        for one in reversed(listed["incidents"]):
            shown = api.expect("GET", f"/incidents/{one['incident_id']}")
            for entry in shown["timeline"][told[one["incident_id"]] :]:
                told[one["incident_id"]] += 1
                _tell(entry, now, ill_at, story, tell)
        is_over = all(one["status"] == "CLOSED" for one in listed["incidents"])
        if told["cured"] and story["detected_s"] and is_over and story["modes"][-1:] == ["normal"]:
            story["recovered"] = True
            break
    return story


def _tell(entry: dict, now: float, ill_at: float | None, story: dict, tell: Any) -> None:
    if entry["what"] == "OPENED" and ill_at and story["detected_s"] is None:
        story["detected_s"] = round((now - ill_at) * SPEED)
        tell(f"{now:4.0f} s  [yellow]{render.cell(entry['told'])}[/]")
    elif entry["what"] in ("OPENED", "CLOSED", "REOPENED", "RETYPED", "WORSE"):
        tell(f"{now:4.0f} s  {entry['what'].lower()}: {render.cell(entry['told'])}")


def _tell_mode(modes: list[dict], now: float, ill_at: float | None, story: dict, tell: Any) -> None:
    """The strictest of the modes in force, where it is another than before."""
    known = [Mode(one["mode"]) for one in modes if one["mode"] in set(Mode)]
    mode = str(max(known, key=list(Mode).index, default="normal"))
    if mode == (story["modes"] or ["normal"])[-1]:
        return
    story["modes"].append(mode)
    if ill_at and story["mitigated_s"] is None:
        story["mitigated_s"] = round((now - ill_at) * SPEED)
    tell(f"{now:4.0f} s  mode [bold]{mode}[/]")


def _lost(target: Target, sent: list[str]) -> list[str]:
    """Requests without an outcome, once those under way have had their time."""
    left = [f"acme#{request_id}" for request_id in sent]
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        found = read_records(target, left)
        left = [key for key in left if found.get(key, {}).get("status", "ADMITTED") == "ADMITTED"]
        if left:
            time.sleep(2)
    return left
