"""Tells whether two answers are one, but for what differs by nature: moments, ids, keys, ports, what was measured."""

import difflib
import json
import re
from typing import Any

# In this order; an id keeps its number wherever it comes again, so that what belongs together has to in both.
_MASKS = (
    ("moment", r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"),
    ("address", r"http://[\w.-]+:\d+"),
    ("id", r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    ("id", r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{16}|[0-9a-f]{12})(?![0-9a-f])"),
    ("second", r"\b[12]\d{9}\b"),
    ("place", r"\bin-flight#acme#\d+"),
    ("key", r"[A-Za-z0-9+/]{60,}={0,2}"),
)
# Numbers that were measured.
_MEASURED = re.compile(r"latency|^(mean_)?seconds$", re.IGNORECASE)
_ANY_SECOND = range(1_500_000_000, 2_500_000_000)


def masked(answer: Any, told: Any) -> Any:
    """An answer with what differs by nature masked; what the input told has to come back as it was."""
    return _Masks(json.dumps(told)).of(answer)


def difference(one: Any, other: Any) -> str:
    """What differs between two masked answers, as lines; empty where nothing does."""
    texts = [json.dumps(answer, indent=1, sort_keys=True).splitlines() for answer in (one, other)]
    return "\n".join(difflib.unified_diff(*texts, "embedded", "sam local", n=1, lineterm=""))


class _Masks:
    def __init__(self, told: str) -> None:
        self._told, self._names = told, dict[str, str]()

    def of(self, value: Any, name: str = "") -> Any:
        match value:
            case dict():
                return {self._text(key): self.of(each, key) for key, each in self._opened(value).items()}
            case list():
                return [self.of(each, name) for each in value]
            case str():
                return self._text(value)
            case bool():
                return value
            case int() | float():
                return self._number(value, name)
        return value

    def _opened(self, value: dict) -> dict:
        """A route's answer with its JSON read, and without the ETag that is made of it; an error without its places."""
        if "errorType" in value:
            # Its lines are where the code lies, and it names the very call.
            return {key: each for key, each in value.items() if key not in ("stackTrace", "requestId")}
        if "statusCode" not in value:
            return value
        headers = {key: each for key, each in value.get("headers", {}).items() if key != "etag"}
        opened = value | {"headers": headers}
        if headers.get("content-type") == "application/json":
            opened["body"] = json.loads(value["body"])
        return opened

    def _text(self, text: str) -> str:
        for kind, pattern in _MASKS:
            text = re.sub(pattern, lambda found, kind=kind: self._name(kind, found[0]), text)
        return text

    def _name(self, kind: str, found: str) -> str:
        if found in self._told:
            return found
        if kind != "id":
            return f"<{kind}>"
        return self._names.setdefault(found, f"<id {len(self._names) + 1}>")

    def _number(self, number: float, name: str) -> Any:
        if int(number) in _ANY_SECOND and str(number) not in self._told:
            return "<second>"
        return "<measured>" if _MEASURED.search(name) else number
