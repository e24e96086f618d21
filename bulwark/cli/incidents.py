"""incidents, incident, report-incident, mode, maintenance: what is wrong, what is done, and a person's word on it."""

import json
import time
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.target import EndpointOption, JsonOption, StackOption, Target, reach
from bulwark.rules import cleaned

_BARS = "▁▂▃▄▅▆▇█"
_PLOTTED_MINUTES = 90
_OWNER = "by_operator"


class Answer(StrEnum):
    APPROVE = "approve"
    RESTORE = "restore"
    HOLD = "hold"


class Mode(StrEnum):
    """As Rung in functions/domain/incidents/ladders.py."""

    STRICTER_REVIEW = "stricter_review"
    FALLBACK_MODEL = "fallback_model"
    NO_RETRIEVAL = "no_retrieval"
    CHEAPER = "cheaper"
    CACHE_ONLY = "cache_only"
    REFUSE = "refuse"


def register(app: typer.Typer) -> None:
    command(app, "incidents")(incidents)
    command(app, "incident")(incident)
    command(app, "report-incident")(report_incident)
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Set or clear a use case's mode by hand.")
    command(group, "set")(mode_set)
    command(group, "clear")(mode_clear)
    app.add_typer(group, name="mode")
    command(app, "maintenance")(maintenance)


def incidents(as_json: JsonOption = False, stack: StackOption = None, endpoint: EndpointOption = None) -> None:
    """List what is or was wrong with your use cases, the latest first, and the modes they work in.

    \b
    bulwark incidents
    bulwark incidents --json | jq -r '.[] | select(.status == "OPEN") | .incident_id'
    """
    told = reach(stack, endpoint).sign_in("Operator").expect("GET", "/incidents")
    found = told["incidents"]
    if as_json:
        render.print_json(found)
        return
    rows = [
        (one["incident_id"], one["type"], one["severity"], one["status"], render.clock_time(one["since"]))
        for one in found
    ]
    render.table(("incident", "!type", ">severity", "!status", "!since"), rows)
    if told["modes"]:
        in_force = [
            (one["use_case"], one["mode"], one["owner"], render.clock_time(one["until"]), one["reason"])
            for one in told["modes"]
        ]
        render.table(("use case", "!mode", "!set by", "!until", "reason"), in_force, "Modes in force")
    render.say("Look at one: bulwark incident ID" if rows else "Nothing is wrong, and nothing was lately.")


def incident(
    incident_id: Annotated[str, typer.Argument(metavar="ID")],
    answer: Annotated[Answer | None, typer.Argument(help="Your word; leave it out to look first.")] = None,
    reason: Annotated[str | None, typer.Option(help="With an answer: why.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the report as Markdown.")] = False,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Show an incident: what was seen, what was done about it and when; and answer what it asks of an operator.

    approve lets the ladder take its next rung, restore goes back to normal operation whatever metrics say, hold
    stays where it is, without probes.

    \b
    bulwark incident product_support-quality-degradation-1795426200
    bulwark incident product_support-... restore --reason "the supplier confirmed it"
    bulwark incident product_support-... --markdown > incident.md
    """
    if (answer is None) != (reason is None):
        raise Problem("An answer needs --reason, and --reason goes with an answer.", code=Exit.USAGE)
    target = reach(stack, endpoint)
    api, path = target.sign_in("Operator"), f"/incidents/{quote(incident_id, safe='')}"
    if answer:
        told = api.expect("POST", f"{path}/answer", {"answer": str(answer), "reason": reason})
        render.print_json(told) if as_json else render.say(f"{answer} is stored; it is taken up within a minute.")
        return
    shown = api.expect("GET", path)
    if as_json:
        render.print_json(shown)
    elif markdown:
        render.print_text(report_of(shown))
    else:
        _show(shown)
        for symptom in shown["symptoms"][:2]:
            if line := plotted(target, shown, symptom):
                signal = render.cell(symptom["signal"])
                render.say(f"\n[bold]{signal}[/], a bar for each minute of the last {_PLOTTED_MINUTES}")
                render.say(render.cell(line))


def report_incident(
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE")],
    words: Annotated[str, typer.Argument(help="What you noticed, without any word of a request.")],
    severity: Annotated[int, typer.Option(min=1, max=3, help="1 is the worst.")] = 3,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Say that a use case does badly, though no metric shows it.

    It opens an incident, or is added to the one that is open, and asks for stricter review meanwhile.

    \b
    bulwark report-incident product_support "answers name a manual that does not exist" --severity 2
    """
    target = reach(stack, endpoint)
    _known(target, use_case)
    # What the bus is told by producers; who operates is none, and has a right to the machine itself.
    report = {"use_case": use_case, "words": words, "severity": severity}
    target.client("stepfunctions").start_execution(
        stateMachineArn=target.outputs["IncidentDetectionStateMachineArn"],
        input=json.dumps({"detail-type": "IncidentReported", "detail": report}),
    )
    render.say("Reported. Within seconds: bulwark incidents")


def mode_set(
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE")],
    mode: Annotated[Mode, typer.Argument()],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the mode.")],
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="It ends by itself after so long.")] = 60,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Have a use case work in a mode, for a while; an incident's stricter one still holds.

    \b
    bulwark mode set product_support fallback_model --reason "maintenance of nova-lite" --minutes 30
    """
    target = reach(stack, endpoint)
    _known(target, use_case)
    until = int(time.time()) + 60 * minutes
    entry = {"mode": {"S": str(mode)}, "until": {"N": str(until)}, "reason": {"S": cleaned(reason)}}
    target.client("dynamodb").update_item(
        TableName=target.outputs["ControlTable"],
        Key={"control_key": {"S": f"mode#-#{use_case}"}},
        UpdateExpression="SET #owner = :entry, expires_at = :gone",
        ExpressionAttributeNames={"#owner": _OWNER},
        ExpressionAttributeValues={":entry": {"M": entry}, ":gone": {"N": str(until + 86_400)}},
    )
    render.say(f"{render.cell(use_case)} works in mode {mode} for {minutes} minutes, in seconds from now.")


def mode_clear(
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE")],
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Take back a mode that was set by hand; those of incidents stay.

    \b
    bulwark mode clear product_support
    """
    target = reach(stack, endpoint)
    target.client("dynamodb").update_item(
        TableName=target.outputs["ControlTable"],
        Key={"control_key": {"S": f"mode#-#{use_case}"}},
        UpdateExpression="REMOVE #owner",
        ExpressionAttributeNames={"#owner": _OWNER},
    )
    render.say(f"No mode of {render.cell(use_case)} is set by hand any more.")


def maintenance(
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the spell.")],
    minutes: Annotated[int, typer.Option(min=0, max=1440, help="From now on; 0 ends it.")] = 60,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Say that a use case is worked on: what its metrics show meanwhile opens no incident and is not learned.

    Requests are answered as ever, and what is mitigated already stays so.

    \b
    bulwark maintenance product_support --reason "new index" --minutes 45
    bulwark maintenance product_support --reason "done early" --minutes 0
    """
    target = reach(stack, endpoint)
    _known(target, use_case)
    now = time.time()
    key = {"control_key": {"S": f"maintenance#{use_case}"}}
    old = target.client("dynamodb").get_item(TableName=target.outputs["ControlTable"], Key=key).get("Item")
    goes_on = old is not None and float(old["until"]["N"]) >= now
    item = {
        "since": old["since"] if goes_on else {"N": str(now)},
        "until": {"N": str(now + 60 * minutes)},
        "reason": {"S": cleaned(reason)},
        "expires_at": {"N": str(int(now) + 7 * 86_400)},
    }
    target.client("dynamodb").put_item(TableName=target.outputs["ControlTable"], Item=key | item)
    render.say(f"Maintenance of {render.cell(use_case)} {f'ends in {minutes} minutes' if minutes else 'is over'}.")


def _known(target: Target, use_case: str) -> None:
    if use_case not in target.policy().get("use_cases", {}):
        raise Problem(f"The policy has no use case {use_case}.", code=Exit.USAGE)


def report_of(shown: dict) -> str:
    """An incident's report in Markdown."""
    lines = [f"# {shown['type']} in {shown['use_case']}", "", shown["explanation"], ""]
    lines += [f"- **{name}:** {shown[name]}" for name in ("incident_id", "severity", "status", "since", "opened_at")]
    lines += ["", "## Timeline", "", "| when | what | mode | |", "|---|---|---|---|"]
    for entry in shown["timeline"]:
        more = "; ".join(str(entry[name]) for name in ("told", "ask", "answer", "reason", "outcome") if entry.get(name))
        lines.append(f"| {entry['at']} | {entry['what']} | {entry.get('mode', '')} | {more} |")
    runbook = f"docs/runbooks/{shown['type'].lower().replace('_', '-')}.md"
    return "\n".join([*lines, "", f"Runbook: {runbook}"])


def plotted(target: Target, shown: dict, symptom: dict) -> str:
    """A symptom's metric as a line of bars, with the moments of the timeline marked below."""
    speed = target.policy().get("incidents", {}).get("drill_speed", 1)
    period = max(1, round(60 / speed))
    end = datetime.fromisoformat(shown["timeline"][-1]["at"]) + timedelta(seconds=5 * period)
    start = end - timedelta(seconds=_PLOTTED_MINUTES * period)
    name = {"LatencyTail": "Latency"}.get(symptom["signal"], symptom["signal"])
    query: dict[str, Any] = {
        "Id": "signal",
        "MetricStat": {
            "Metric": {
                "Namespace": "Bulwark",
                "MetricName": name,
                "Dimensions": [
                    {"Name": "use_case", "Value": shown["use_case"]},
                    {"Name": "service", "Value": target.outputs["MetricsService"]},
                ],
            },
            "Period": period,
            "Stat": "Average",
        },
    }
    data = target.client("cloudwatch").get_metric_data(MetricDataQueries=[query], StartTime=start, EndTime=end)
    [result] = data["MetricDataResults"]
    values = {
        int(at.timestamp()) // period: value for at, value in zip(result["Timestamps"], result["Values"], strict=True)
    }
    if not values:
        return ""
    first, low, high = int(start.timestamp()) // period, min(values.values()), max(values.values())
    places = range(first, first + _PLOTTED_MINUTES)
    bars = "".join(_bar(values.get(place), low, high) for place in places)
    marks = [" "] * _PLOTTED_MINUTES
    for entry in shown["timeline"]:
        place = int(datetime.fromisoformat(entry["at"]).timestamp()) // period - first
        if 0 <= place < _PLOTTED_MINUTES:
            marks[place] = entry["what"][0]
    legend = ", ".join(sorted({f"{entry['what'][0]} {entry['what'].lower()}" for entry in shown["timeline"]}))
    return f"{bars}  {low:.3g} to {high:.3g}\n{''.join(marks)}  {legend}"


def _bar(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    return _BARS[round((value - low) / ((high - low) or 1) * (len(_BARS) - 1))]


def _show(shown: dict) -> None:
    render.say(f"[bold]{render.cell(shown['incident_id'])}[/]  {render.cell(shown['status'])}")
    facts = {
        name.replace("_", " "): shown.get(name) for name in ("type", "severity", "since", "phase", "ask", "outcome")
    }
    render.facts(facts | {"explanation": shown["explanation"]})
    rows = [
        (
            render.clock_time(entry["at"]),
            entry["what"],
            entry.get("mode"),
            "; ".join(str(entry[name]) for name in ("ask", "answer", "reason", "outcome") if entry.get(name)),
        )
        for entry in shown["timeline"]
    ]
    render.table(("!at", "!what", "!mode", ""), rows, "Timeline")
