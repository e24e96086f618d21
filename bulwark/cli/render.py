"""How things look: tables and progress for a person, plain JSON for a script."""

import functools
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from bulwark.rules import visible

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "RELEASED": "green",
    "COMPLETED": "green",
    "APPROVE": "green",
    "EDIT": "green",
    "HELD": "yellow",
    "OPEN": "yellow",
    "REFUSED": "magenta",
    "REJECT": "magenta",
    "FAILED": "red",
    "LAPSED": "red",
    "UNANSWERED": "red",
}


@functools.cache
def console() -> "Console":
    from rich.console import Console

    # Where there is no terminal, 100 columns keep tables whole in logs and files.
    # A request's id may be written as an emoji is.
    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 100, soft_wrap=False)


def shown(text: str) -> str:
    """What was written as a terminal may show it: nothing in it is obeyed or hidden."""
    return visible(text.replace("\r\n", "\n")).replace("\r", "\\u{d}")


def say(markup: str = "") -> None:
    """Print a line of markup of ours; what comes from data goes through cell()."""
    console().print(shown(markup), soft_wrap=True)


def print_text(text: str) -> None:
    """Print a text that has no markup."""
    print(shown(text))


def warn(text: str) -> None:
    """Say on the error stream what a script need not read, and a person should."""
    print(shown(f"bulwark: {text}"), file=sys.stderr)


def print_json(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
    if shown(text) != text or not _can_print(text):
        text = json.dumps(value, indent=2, default=_plain)
    print(text)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print a table; a column named '>...' is of numbers, and one named '!...' is never broken."""
    from rich import box
    from rich.table import Table

    if title:
        say(f"\n[bold]{cell(title)}[/]")
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        drawn.add_column(
            column.lstrip(">!"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=column.startswith("!"),
            overflow="fold",
        )
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    console().print(drawn)


def facts(pairs: Mapping[str, Any]) -> None:
    """Print names and values, one below the other; what is unknown is left out."""
    known = {name: value for name, value in pairs.items() if value not in (None, "", [], {})}
    width = max(map(len, known), default=0)
    for name, value in known.items():
        say(f"[dim]{name:<{width}}[/]  {cell(value)}")


def cell(value: Any) -> Any:
    """A value as a table shows it: statuses coloured, no markup taken from data."""
    from rich.markup import escape

    if value is None:
        return "[dim]-[/]"
    text = escape(shown(str(value)))
    style = STYLES.get(str(value))
    return f"[{style}]{text}[/]" if style else text


def clock_time(moment: str | None) -> str | None:
    """The time of day of an ISO moment, as the user's clock shows it."""
    if not moment:
        return None
    return datetime.fromisoformat(moment).astimezone().strftime("%H:%M:%S")


def seconds(value: float | None) -> str | None:
    if value is None:
        return None
    if value < 120:
        return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.0f} h"


def share(value: float | Decimal | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def signals(found: Mapping[str, Any]) -> str:
    """The signals that say something, in a line."""
    return ", ".join(f"{name} {float(value):.2f}" for name, value in found.items() if float(value))


def dollars(value: float | Decimal | None) -> str | None:
    return None if value is None else f"${float(value):.6f}" if value < 1 else f"${float(value):,.2f}"


class Progress:
    """A bar with counts on a terminal; elsewhere one line at each quarter."""

    def __init__(self, what: str, total: int, quiet: bool = False):
        self._what, self._total, self._quiet = what, total, quiet
        self._done, self._counts, self._started = 0, dict[str, int](), time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and console().is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                _counts_column(),
                TimeElapsedColumn(),
            )
            self._bar = Bar(*columns, console=console())
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total, counts=console().render_str(""))
        return self

    def count(self, outcome: str) -> None:
        self._done += 1
        self._counts[outcome] = self._counts.get(outcome, 0) + 1
        if self._quiet:
            return
        if self._bar:
            self._bar.update(self._task, completed=self._done, counts=console().render_str(self._told(coloured=True)))
        elif self._total >= 8 and self._done * 4 // self._total > (self._done - 1) * 4 // self._total:
            elapsed = time.monotonic() - self._started
            say(f"  {self._done} of {self._total} after {elapsed:.1f} s: {self._told()}")

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def _told(self, coloured: bool = False) -> str:
        shown = []
        for name in sorted(self._counts, key=_order):
            text = f"{self._counts[name]} {cell(name.lower())}"
            shown.append(f"[{STYLES[name]}]{text}[/]" if coloured and name in STYLES else text)
        return " · ".join(shown)


def _counts_column() -> Any:
    """A column of a bar that shows a task's counts as they were made, by no rules of its own for markup."""
    from rich.progress import ProgressColumn

    class Counts(ProgressColumn):
        def render(self, task: Any) -> Any:
            return task.fields["counts"]

    return Counts()


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


class Waiting:
    """A line that tells how far something is on a terminal; elsewhere a line for each change, ten seconds apart."""

    def __init__(self, what: str, quiet: bool = False):
        self._what, self._quiet = what, quiet
        self._told, self._told_at = "", time.monotonic()
        self._status: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and console().is_terminal:
            self._status = console().status(console().render_str(cell(self._what)))
            self._status.start()
        return self

    def tell(self, how_far: str) -> None:
        if self._status:
            self._status.update(console().render_str(f"{cell(self._what)}: {cell(how_far)}"))
        elif not self._quiet and how_far != self._told and time.monotonic() - self._told_at > 10:
            say(f"  {cell(self._what)}: {cell(how_far)}")
            self._told, self._told_at = how_far, time.monotonic()

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()


def _order(status: str) -> tuple[int, str]:
    known = list(STYLES)
    return (known.index(status) if status in known else len(known), status)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
