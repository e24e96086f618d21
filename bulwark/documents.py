"""Files that people write: JSON, or JSON lines, in whatever encoding is plain; what is wrong is said with its place."""

import sys
from pathlib import Path
from typing import Any

from bulwark.rules import NotJson, is_broken, read_json, text_of


class Unreadable(ValueError):
    """A file cannot be read; the message names it, the line where one is to blame, and what is wrong."""


def read_text(path: Path) -> str:
    """What a file says, or stdin for -, without a byte-order mark; raises Unreadable."""
    try:
        text = text_of(sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes())
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
    except NotJson as error:
        raise Unreadable(f"{path} {error}; save it as UTF-8.") from error
    if is_broken(text):
        raise Unreadable(f"{path} holds half of a surrogate pair; write whole characters.")
    return text


def read_document(path: Path) -> Any:
    """The JSON of a file; raises Unreadable."""
    return document_of(read_text(path), path)


def document_of(text: str, path: Path) -> Any:
    """The JSON of what was read from a file; raises Unreadable."""
    try:
        return read_json(text)
    except NotJson as error:
        raise Unreadable(f"{path} {error}; mend it and try again.") from error


def read_lines(path: Path) -> list[tuple[int, Any]]:
    """Each line of a file of JSON lines with its number, blank ones left out; raises Unreadable."""
    lines = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            lines.append((number, read_json(line)))
        except NotJson as error:
            why = str(error).replace("line 1, ", "")
            raise Unreadable(f"{path}, line {number}, {why}; each line is one JSON value.") from error
    return lines
