"""Reads series in the Numenta Anomaly Benchmark's layout and scores alarms the way its standard profile does.

Rules and constants are those of "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark"
(Lavin and Ahmad 2015, https://arxiv.org/abs/1510.03336) and of numenta/NAB (nab/sweeper.py, config/profiles.json):
the first alarm in a window earns more the earlier it comes, a missed window costs one, and every alarm outside costs
up to 0.11, less just behind a window.
"""

import csv
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MISSED_COST, FALSE_ALARM_COST = 1.0, 0.11
PROBATION_SHARE, PROBATION_POINTS = 0.15, 750
FAR_BEHIND = 3.0


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    times: list[float]
    values: list[float]
    windows: list[tuple[int, int]]  # first and last row of each

    @property
    def category(self) -> str:
        return self.name.split("/")[0]


@dataclass(frozen=True, slots=True)
class Result:
    score: float
    null: float
    perfect: float
    alarms: int
    hits: int
    false_alarms: int


def read_corpus(folder: Path) -> list[Series]:
    windows = json.loads((folder / "combined_windows.json").read_text())
    files = sorted((folder / "data").glob("*/*.csv"))
    return [read_series(file, windows[f"{file.parent.name}/{file.name}"]) for file in files]


def read_series(file: Path, windows: list[list[str]]) -> Series:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    times = [seconds(row["timestamp"]) for row in rows]
    limits = [(times.index(seconds(start)), times.index(seconds(end))) for start, end in sorted(windows)]
    return Series(f"{file.parent.name}/{file.stem}", times, [float(row["value"]) for row in rows], limits)


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


def probation_of(rows: int) -> int:
    """How many of the first rows are not scored."""
    return min(math.floor(PROBATION_SHARE * rows), PROBATION_POINTS)


def score_alarms(alarms: list[int], windows: list[tuple[int, int]], rows: int) -> Result:
    """What a series' alarms, given by row, are worth; windows that end in probation are nobody's to find."""
    probation = probation_of(rows)
    counted = [row for row in alarms if row >= probation]
    open_windows = [window for window in windows if window[1] >= probation]
    score, hits = 0.0, 0
    for first, last in open_windows:
        inside = [row for row in counted if first <= row <= last]
        hits += bool(inside)
        score += hit_worth(min(inside), first, last) if inside else -MISSED_COST
    outside = [row for row in counted if not any(first <= row <= last for first, last in windows)]
    score -= sum(false_alarm_cost(row, windows) for row in outside)
    return Result(score, -MISSED_COST * len(open_windows), float(len(windows)), len(counted), hits, len(outside))


def hit_worth(row: int, first: int, last: int) -> float:
    """From 1 at a window's first row down to nearly 0 at its last."""
    return falling(-(last - row + 1) / (last - first + 1)) / falling(-1.0)


def false_alarm_cost(row: int, windows: list[tuple[int, int]]) -> float:
    """Nearly nothing just behind a window, the whole of it three window lengths later or before any window."""
    behind = [window for window in windows if window[1] < row]
    if not behind:
        return FALSE_ALARM_COST
    first, last = max(behind, key=lambda window: window[1])
    return -FALSE_ALARM_COST * falling((row - last) / max(last - first, 1))


def falling(position: float) -> float:
    """The benchmark's scaled sigmoid: near 1 at a window's left edge (-1), 0 at its right (0), then towards -1."""
    return -1.0 if position >= FAR_BEHIND else 2 / (1 + math.exp(5 * position)) - 1


def normalise(results: list[Result]) -> float:
    """0 for a detector that never alarms, 100 for one that alarms once at the start of every window."""
    null = sum(result.null for result in results)
    perfect = sum(result.perfect for result in results)
    score = sum(result.score for result in results)
    return 100 * (score - null) / (perfect - null) if perfect > null else 0.0
