"""What a target receives: the event, a part of it, a constant, or a template filled from it."""

import json
import re
from typing import Any

_PLACE = re.compile(r"<([\w.\-]+)>")


def target_input(target: dict[str, Any], event: dict[str, Any], rule_arn: str = "", rule_name: str = "") -> str:
    """The text that is sent to a rule's or a schedule's target."""
    if target.get("Input"):
        return target["Input"]
    if target.get("InputPath"):
        return as_text(at_path(event, target["InputPath"]))
    if transformer := target.get("InputTransformer"):
        values = {name: at_path(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
        values |= {
            "aws.events.rule-arn": rule_arn,
            "aws.events.rule-name": rule_name,
            "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
            "aws.events.event.json": event,
            "aws.events.event.ingestion-time": event["time"],
        }
        return fill(transformer["InputTemplate"], values)
    return as_text(event)


def as_text(value: Any) -> str:
    """JSON as the service sends it: half a surrogate pair, which no encoding has, stays an escape."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def at_path(event: Any, path: str) -> Any:
    """The value at a path such as $.detail.items[0].id, or None."""
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path.removeprefix("$")):
        try:
            event = event[int(index)] if index else event[name]
        except (KeyError, IndexError, TypeError):
            return None
    return event


def fill(template: str, values: dict[str, Any]) -> str:
    """Fill <names>: as JSON where a JSON value stands, as text within a string."""
    out, inside, position = [], False, 0
    while position < len(template):
        character = template[position]
        place = _PLACE.match(template, position) if character == "<" else None
        if place and place[1] in values:
            out.append(_inside_string(values[place[1]]) if inside else _as_value(values[place[1]], template))
            position = place.end()
            continue
        if character == "\\" and inside:
            out.append(template[position : position + 2])
            position += 2
            continue
        if character == '"':
            inside = not inside
        out.append(character)
        position += 1
    return "".join(out)


def _inside_string(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return as_text(text)[1:-1]


def _as_value(value: Any, template: str) -> str:
    if value is None:
        return '""' if template.lstrip().startswith("{") else ""
    return as_text(value)
