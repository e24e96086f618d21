"""AWS's six-field cron expressions: minutes, hours, day of month, month, day of week, year."""

from datetime import UTC, datetime, timedelta

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}


class Cron:
    """Numbers, names, lists, ranges, steps, `*` and `?`; L, W and # are refused."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) != 6:
            raise ValueError(f"cron({expression}) needs six fields")
        minute, hour, day, month, weekday, year = fields
        self._minutes = _numbers(minute, 0, 59)
        self._hours = _numbers(hour, 0, 23)
        self._days = _numbers(day, 1, 31)
        self._months = _numbers(month, 1, 12, _MONTHS)
        self._weekdays = _numbers(weekday, 1, 7, _DAYS)
        self._years = _numbers(year, 1970, 2199)

    def after(self, moment: datetime) -> datetime | None:
        """The first minute after a moment, in the moment's own time zone, as UTC."""
        moment = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        while moment.year <= max(self._years):
            if moment.year not in self._years or moment.month not in self._months or not self._on_day(moment):
                moment = (moment + timedelta(days=1)).replace(hour=0, minute=0)
            elif moment.hour not in self._hours:
                moment = (moment + timedelta(hours=1)).replace(minute=0)
            elif moment.minute not in self._minutes:
                moment += timedelta(minutes=1)
            else:
                return moment.astimezone(UTC)
        return None

    def _on_day(self, moment: datetime) -> bool:
        return moment.day in self._days and moment.isoweekday() % 7 + 1 in self._weekdays


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    numbers: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first in ("*", "?") else _number(first, names)
        end = high if first in ("*", "?") or (step and not last) else _number(last or first, names)
        numbers.update(range(start, end + 1, int(step or 1)))
    if not numbers or min(numbers) < low or max(numbers) > high:
        raise ValueError(f"cron field {field} is not within {low} and {high}")
    return frozenset(numbers)


def _number(text: str, names: dict[str, int] | None) -> int:
    if names and text in names:
        return names[text]
    return int(text)
