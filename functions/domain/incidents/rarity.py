"""Rarity: notices, value by value, when a level becomes unlike its own past, with a memory that does not grow.

Four views of a value each ask "how far off?": the pattern of the latest values against remembered ones, their mean
against a slow mean, and the value and its drift against the same hour of earlier days. A view's answer counts only by
its rank among the highest it ever gave, one for each event: rank / (values seen + 1) is its tail probability, whatever
the distribution (a conformal p-value, Laxhammar and Falkman 2010, doi:10.1145/1833280.1833287; one peak per cluster as
in runs declustering, Coles 2001, An Introduction to Statistical Modeling of Extreme Values, 5.3.2). The views' tail
probabilities are multiplied as if they were independent, which they are not: the bar is a convention, and what it
costs and finds is measured by bench/detectors.py.

One alarm per incident: an incident begins with an alarm and ends when `cooldown` values in a row were not rare.
"""

import math
from bisect import insort
from collections import deque
from dataclasses import asdict, dataclass
from itertools import repeat

HOURS = 24
SPAN = 12  # values in a pattern, and in what counts as sustained: an hour, where one comes every five minutes
DAY = HOURS * SPAN
FEWEST_PATTERNS, MOST_PATTERNS = HOURS, 7 * HOURS  # from a day's on they say what is usual; a week's are remembered
SLOW_WEIGHT = 1 / DAY
HOUR_WEIGHT = 1 / 200  # an hour's profile follows about as many of its own values
SPREAD_WEIGHT = 1 / 1000
SPREAD_SHARE = 0.1  # of the whole stream's spread, under each hour's own, which may be nothing
HIGHEST = 4  # events kept per view and generation: whatever is lower is not rare
EVENT = SPAN // 2  # values without a higher one after which a peak was an event
TAIL_INDEX, MOST_BEYOND = 2.0, 2.0  # beyond its record a view is taken to thin out as a power law, for two decades
GENERATION = 7000  # values after which a view starts to forget
LARGEST = 1e150  # squares and sums of clipped values stay finite
FARTHEST = 1e6


@dataclass(frozen=True, slots=True)
class Settings:
    warm_up: int = DAY  # values before the first alarm
    one_in: float = 10_000.0  # how rare a value must be
    cooldown: int = DAY // 3  # values without a rare one that end an incident


@dataclass(frozen=True, slots=True)
class Verdict:
    score: float  # 0..1: one minus the product of the views' tail probabilities
    alarm: bool
    expected: float | None  # what the hour, or else the slow mean, led to expect
    rarity: float  # decades of tail probability: 3 is one in a thousand
    views: dict[str, float]  # each view's share of the rarity


class Tail:
    """The peaks of a view's highest events, of this generation and the one before it."""

    __slots__ = ("age", "before", "highest", "old", "peak", "seen")

    def __init__(self, highest: list, seen: int, old: list, before: int, peak: float, age: int) -> None:
        self.highest, self.seen, self.old, self.before = highest, seen, old, before
        self.peak, self.age = peak, age  # of the event that may still go on

    def state(self) -> list:
        return [list(self.highest), self.seen, list(self.old), self.before, self.peak, self.age]

    def rarity(self, value: float) -> float:
        """Decades of the tail probability of a value, 0 for one that is not among the highest; then remember it."""
        found = math.log10(max(1.0, (self.seen + self.before + 1) / rank)) if (rank := self._rank(value)) else 0.0
        if rank == 1 and value > 0:
            found += self._beyond(value)
        self._remember(value)
        return found

    def _rank(self, value: float) -> int:
        """A value's place among events, the one still going on not counted; 0 where lower ones were dropped."""
        if any(len(kept) == HIGHEST and value <= kept[0] for kept in (self.highest, self.old)):
            return 0
        return 1 + sum(kept >= value for kept in self.highest + self.old)

    def _beyond(self, value: float) -> float:
        """What a record is rarer than its rank can say, so that one view that is sure needs no second."""
        if not (kept := self.highest + self.old):
            return 0.0
        record = max(kept)
        return min(MOST_BEYOND, TAIL_INDEX * math.log10(value / record)) if record > 0 else MOST_BEYOND

    def _remember(self, value: float) -> None:
        self.age += 1
        if value > self.peak or self.age >= EVENT:
            if value <= self.peak:
                insort(self.highest, self.peak)
                del self.highest[:-HIGHEST]
            self.peak, self.age = value, 0
        self.seen += 1
        if self.seen >= GENERATION:
            self.old, self.before = self.highest, self.seen
            self.highest, self.seen = [], 0


class Season:
    """What each hour of the day was like, in means and mean absolute deviations."""

    __slots__ = ("counts", "means", "spread", "spreads", "stream")

    def __init__(self, counts: list, means: list, spreads: list, stream: float, spread: float) -> None:
        self.counts, self.means, self.spreads, self.stream, self.spread = counts, means, spreads, stream, spread

    def knows(self, hour: int) -> bool:
        return self.counts[hour % HOURS] >= 3

    def miss(self, hour: int, value: float) -> float:
        """How many spreads a value is from the likeliest of its hour and both neighbours."""
        # What comes daily need not come on the minute.
        near = [each % HOURS for each in (hour - 1, hour, hour + 1) if self.knows(each)]
        return min((self._off(each, value) for each in near), key=abs)

    def _off(self, hour: int, value: float) -> float:
        gap, spread = value - self.means[hour], self.spreads[hour] + SPREAD_SHARE * self.spread
        if spread == 0:
            return 0.0 if gap == 0 else math.copysign(FARTHEST, gap)
        return max(-FARTHEST, min(FARTHEST, gap / spread))

    def learn(self, hour: int, value: float, seen: int) -> None:
        count = self.counts[hour] = min(self.counts[hour] + 1, round(1 / HOUR_WEIGHT))
        gap = value - self.means[hour]
        if count > 1:
            self.spreads[hour] += (abs(gap) - self.spreads[hour]) / count
        self.means[hour] += gap / count
        weight = max(SPREAD_WEIGHT, 1 / seen)
        self.stream += (value - self.stream) * weight
        self.spread += (abs(value - self.stream) - self.spread) * weight


class Rarity:
    """One stream's memory; `state()` is plain JSON of bounded size, and `from_state` goes on exactly where it was."""

    def __init__(self, state: dict) -> None:
        self.settings = Settings(**state["settings"])
        self.seen: int = state["seen"]
        self.quiet: int = state["quiet"]  # values since the last rare one
        self.drift: float = state["drift"]
        self.slow: float | None = state["slow"]
        self.latest = deque(state["latest"], SPAN)
        self.held: list[float] = state["held"]
        self.patterns = deque(map(tuple, state["patterns"]), MOST_PATTERNS)
        self.season = Season(*(list(part) if isinstance(part, list) else part for part in state["season"]))
        self.tails = {
            view: Tail(list(highest), seen, list(old), *rest)
            for view, (highest, seen, old, *rest) in state["tails"].items()
        }

    @classmethod
    def fresh(cls, settings: Settings | None = None) -> "Rarity":
        settings = settings or Settings()
        return cls(
            {
                "settings": asdict(settings),
                "seen": 0,
                "quiet": settings.cooldown,
                "drift": 0.0,
                "slow": None,
                "latest": [],
                "held": [],
                "patterns": [],
                "season": [[0] * HOURS, [0.0] * HOURS, [0.0] * HOURS, 0.0, 0.0],
                "tails": {view: [[], 0, [], 0, -1.0, 0] for view in ("pattern", "level", "hour", "drift")},
            }
        )

    @classmethod
    def from_state(cls, state: dict) -> "Rarity":
        return cls(state)

    def state(self) -> dict:
        season = self.season
        return {
            "settings": asdict(self.settings),
            "seen": self.seen,
            "quiet": self.quiet,
            "drift": self.drift,
            "slow": self.slow,
            "latest": list(self.latest),
            "held": list(self.held),
            "patterns": [list(each) for each in self.patterns],
            "season": [list(season.counts), list(season.means), list(season.spreads), season.stream, season.spread],
            "tails": {view: tail.state() for view, tail in self.tails.items()},
        }

    def see(self, at: float, value: float | None) -> Verdict:
        """Judge a value by what came before it, then learn it; one that is missing or not finite teaches nothing."""
        if value is None or not math.isfinite(value):
            return Verdict(0.0, False, self.slow, 0.0, {})
        value = max(-LARGEST, min(LARGEST, float(value)))
        self.seen += 1
        self.quiet += 1

        misses: dict[str, float] = {}
        expected = self._follow_season(at, value, misses)
        self._follow_level(value, misses)
        self._follow_pattern(misses)
        views = {view: self.tails[view].rarity(miss) for view, miss in misses.items()}
        rarity = sum(views.values())

        alarm = False
        if self.seen > self.settings.warm_up and rarity >= math.log10(self.settings.one_in):
            alarm = self.quiet > self.settings.cooldown
            self.quiet = 0
        return Verdict(1 - 10**-rarity, alarm, expected, rarity, views)

    def _follow_season(self, at: float, value: float, misses: dict[str, float]) -> float | None:
        expected = self.slow
        off = 0.0
        if math.isfinite(at):
            hour = int(at % 86400 // 3600) % HOURS
            if self.season.knows(hour):
                off, expected = self.season.miss(hour, value), self.season.means[hour]
                misses["hour"] = abs(off)
            self.season.learn(hour, value, self.seen)
        self.drift += (off - self.drift) / SPAN
        misses["drift"] = abs(self.drift)
        return expected

    def _follow_level(self, value: float, misses: dict[str, float]) -> None:
        """The slow mean ends where the latest values begin, so that a step is not already part of it."""
        if self.slow is None:
            self.slow = value
        if len(self.latest) == SPAN:
            self.slow += (self.latest[0] - self.slow) * max(SLOW_WEIGHT, 1 / (self.seen - SPAN))
        self.latest.append(value)
        if len(self.latest) == SPAN:
            misses["level"] = abs(math.fsum(self.latest) / SPAN - self.slow)

    def _follow_pattern(self, misses: dict[str, float]) -> None:
        """The distance to the nearest remembered pattern; patterns do not overlap, with each other or the latest."""
        complete = self.seen % SPAN == 0
        if complete and self.held:
            self.patterns.append(tuple(self.held))
        if len(self.patterns) >= FEWEST_PATTERNS:
            misses["pattern"] = min(map(math.dist, self.patterns, repeat(tuple(self.latest))))
        if complete:
            self.held = list(self.latest)
