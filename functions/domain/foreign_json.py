"""JSON that others wrote: the one reader of it, held to a depth, whose errors say what is wrong and quote nothing."""

import json
import math
import re
from typing import Any

# Above what a request may have (MAX_DEPTH), so that one that is too deep is still read and its refusal recorded, and
# far below where any reader or writer of JSON runs out of stack.
MAX_LEVELS = 100
# A string is passed over whole; one that never ends, to the end.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_MARKS = re.compile(_STRING + r"|[\[{]|[\]}]", re.DOTALL)
_NUMBERS = re.compile(_STRING + r"|-?(?:NaN|Infinity|[0-9][0-9.eE+-]*)", re.DOTALL)


class NotJson(ValueError):
    """It is no JSON that can be read; the message continues a sentence that begins with the name of what was read."""


def read_json(data: bytes | str, finite: bool = True) -> Any:
    """The value of a JSON text in UTF-8, UTF-16 or UTF-32, with or without a byte-order mark; raises NotJson.

    Halves of surrogate pairs stay: who stores texts refuses them by their field, and, unless `finite`, numbers that are
    too large as well.
    """
    text = text_of(data)
    if is_deep(text):
        raise NotJson(f"is nested deeper than {MAX_LEVELS} levels")
    try:
        return (_decoder if finite else _any_float).decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"is not JSON at {_place(text, error.pos)}") from error
    except ValueError as error:
        raise NotJson(_odd_number(text)) from error


def text_of(data: bytes | str) -> str:
    """What bytes say whose encoding is plain from how they begin, without the byte-order mark; raises NotJson."""
    if isinstance(data, str):
        return data.removeprefix("\ufeff")
    encoding = json.detect_encoding(data)
    try:
        return bytes(data).decode(encoding, "surrogatepass").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise NotJson(f"is not {encoding.upper().removesuffix('-SIG')} at byte {error.start}") from error


def is_deep(text: str) -> bool:
    """Whether a JSON text goes deeper than is read, found without reading it."""
    if text.count("[") + text.count("{") <= MAX_LEVELS:
        return False
    depth = 0
    for mark in _MARKS.finditer(text):
        character = text[mark.start()]
        if character in "[{":
            depth += 1
            if depth > MAX_LEVELS:
                return True
        elif character in "]}":
            depth -= 1
    return False


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line}, column {position - text.rfind(chr(10), 0, position)}"


def _odd_number(text: str) -> str:
    """What is wrong with the first number that the decoder gave up on, and where it stands."""
    for token in _NUMBERS.finditer(text):
        word = token[0]
        try:
            if not word.startswith('"'):
                int(word) if word.lstrip("-").isdigit() else _finite(word)
        except ValueError:
            what = "what is no number of JSON" if word[-1].isalpha() else "a number that is too large to be read"
            return f"holds {what} at {_place(text, token.start())}"
    return "holds a number that cannot be read"


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


# A decoder's own words for what is wrong with a number would quote it.
_decoder = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)
_any_float = json.JSONDecoder(parse_constant=_finite)
