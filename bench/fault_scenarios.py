"""Scenarios for bench/faults.py: what a use case's metrics look like, minute by minute, when something goes wrong.

It was written before any detector was tuned, and is harsh on purpose. `campaign(seed)` gives the scenarios, and each is
fixed by that seed and its own name; `World(scenario).minute(m, modes)` gives what the metrics say of minute m.

What there is
- Faults: seven types at three strengths and three levels of traffic (5, 20 and 100 requests a minute at the time of the
  fault), REPEATS times each; those of the project's targets TARGET_REPEATS times more. Before a fault lie 8 to 30
  hours, it lasts 25 to 90 minutes, and 3 hours follow, in which everything must have returned to normal.
- Causes that come and go (INTERMITTENT), and reports of a person about what no metric shows (REPORTED).
- Quiet spells of three days, a third of them over a weekend, with harmless deploys, gaps, bursts and maintenance.
- Rhythms (RHYTHMS), two weeks each: what comes every day, at night, on weekdays or at weekends, and what moves with the
  clock in spring and autumn. After three days of one it is no incident. Faults of the project's targets come on top of
  every rhythm, from the fourth day on, at any time of the day at which there is traffic.

How a request is drawn
- Traffic is Poisson around a gamma-distributed rate (so it varies more than Poisson), with a daily cycle between about
  0.4 and 1.6 and half of it at weekends. For a fault the cycle is scaled to be 1 at its start.
- Grounding is the supported share of five sentences: a beta-binomial with within-answer correlation 0.3.
- Output tokens, cost and latency are log-normal, and 2 % of them have a Pareto tail (shape 1.5) on top: one
  request may cost a hundred times the usual. Latency and cost depend on the length, latency on the load as well.
- Quality, length, latency and retrieval have a daily cycle of their own and wander (Ornstein-Uhlenbeck, correlated
  over 3 hours). Errors of the model come in clusters: each minute's rate is gamma-distributed.
- A human verdict exists for a tenth of the requests.
- A fifth of the faults sets in over 2 to 8 minutes instead of at once, but no target does. A quarter comes right
  after a deploy (a bad deploy), targets too. Faults start at any second of a minute.

What is seen
- One row a minute of what GetMetricData would give: counts, sums, means, trimmed means and percentiles over the
  requests of that minute. A metric without data has no keys. A row can be seen 60 to 120 s after its minute has ended.
- A gap is either no traffic, or traffic whose metrics are lost (the row is empty in either case).

What a mode does (the same names as the ladder's rungs)
- Each fault has a set of rungs that heal it wholly, and some that heal it partly, drawn by chance where life is not
  certain either (a fallback model helps against most bad answers, not against all). cache_only and refuse leave no
  fresh answers, thus neither harm nor evidence.
- Each rung has an effect of its own: the fallback model costs more, is slower and writes otherwise; without retrieval
  there is no grounding and less confidence; cheaper answers are shorter.
- Of a minute in which modes changed, each mode has its share of the requests.

Know what it cannot say: it is a model of ours. Real metrics may wander further, fail together, or have causes that
are not among these.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial

TYPES = (
    "QUALITY_DEGRADATION",
    "HALLUCINATION_PATTERN",
    "COST_SPIKE",
    "RETRIEVAL_FAILURE",
    "MODEL_DRIFT",
    "MODEL_ERRORS",
    "LATENCY",
)
STRENGTHS = ("weak", "medium", "strong")
TRAFFIC = (5, 20, 100)
REPEATS = 3
TARGET_REPEATS = 5
INTERMITTENT_EACH = 2
REPORTED_EACH = 2
QUIET_EACH = 16
QUIET_DAYS = 3
# A rhythm, and how many times as long answers are while it is high.
RHYTHMS = {
    "office_1.5": 1.5,
    "office_2": 2.0,
    "office_5": 5.0,
    "ramp": 2.0,
    "nightly_job": 4.0,
    "business_hours": 1.0,
    "weekends": 2.0,
    "clock_change": 2.0,
}
RHYTHM_EACH = 2
RHYTHM_DAYS = 14
LEARNED_DAYS = 3  # of a rhythm, until it is no incident any more
RAMP_MINUTES = 120

DAY = 1440
NORMAL = "normal"
WITHOUT_MODEL = frozenset({"cache_only", "refuse"})

# How bad each strength is; for what it means see World._affected.
GROUNDING_TO = {"weak": 0.80, "medium": 0.65, "strong": 0.45}
HALLUCINATING_SHARE = {"weak": 0.12, "medium": 0.25, "strong": 0.5}
COST_TIMES = {"weak": 2.0, "medium": 3.0, "strong": 5.0}
RETRIEVAL_SHARE = {"weak": 0.4, "medium": 0.7, "strong": 1.0}
LENGTH_TIMES = {"weak": (1.4, 0.7), "medium": (1.9, 0.5), "strong": (2.8, 0.3)}
HEDGES_TO = {"weak": 0.08, "medium": 0.16, "strong": 0.35}
ERRORS_TO = {"weak": 0.10, "medium": 0.30, "strong": 0.90}
LATENCY_TIMES = {"weak": 1.7, "medium": 2.5, "strong": 5.0}

# What the project promises figures for, on top of every rhythm, and what a rhythm of lengths might hide.
ON_RHYTHMS = (
    ("COST_SPIKE", "strong"),
    ("QUALITY_DEGRADATION", "medium"),
    ("RETRIEVAL_FAILURE", "medium"),
    ("MODEL_DRIFT", "strong"),
)

WITHIN_ANSWER = 0.3
SENTENCES = 5
PARETO_SHARE, PARETO_SHAPE = 0.02, 1.5
VERDICT_SHARE = 0.1
WANDER_MINUTES = 180
# At most so far a harmless deploy shifts a level, on its logit or log scale.
DEPLOY_SHIFTS = {"grounded": 0.08, "tokens": 0.06, "cost": 0.06, "latency": 0.08, "hedges": 0.1}
SHAPE_EDGES = (80, 200, 400, 800, 1600, 3200, 6400)  # characters
CHARACTERS_PER_TOKEN = 4.2
CACHE_HITS = 0.15


@dataclass(frozen=True, slots=True)
class Fault:
    type: str
    strength: str
    start: float  # minutes, as all times here
    end: float
    ramp: float = 0.0
    period: float = 0.0  # of a cause that comes and goes: half of it there, half of it not
    direction: int = 0  # which of two ways a fault takes
    healed_by: frozenset[str] = frozenset()
    left_by: dict[str, float] = field(default_factory=dict)  # rung -> the part of the fault that still shows

    def present(self, minute: float) -> float:
        """How much of its cause is there, 0..1, whatever the mode."""
        if not self.start <= minute < self.end:
            return 0.0
        since = minute - self.start
        if self.period:
            return 1.0 if (since % self.period) < self.period / 2 else 0.0
        return min(1.0, since / self.ramp) if self.ramp else 1.0

    def left(self, mode: str) -> float:
        """The part of it that reaches people in a mode."""
        if mode in WITHOUT_MODEL or mode in self.healed_by:
            return 0.0
        return self.left_by.get(mode, 1.0)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What repeats: how much of it is there at a minute, and what it does to requests and answers."""

    name: str
    opens: int  # minute of the day
    closes: int
    longer: float  # times as long are answers while it is high
    busier: float  # times the traffic
    weekdays_only: bool
    changes_at: int = 0  # the minute at which clocks are changed
    moved: int = 0  # what happens at nine happens so many minutes later from then on

    def high(self, minute: float, first_minute: int) -> float:
        """0..1."""
        at = first_minute + minute - (self.moved if self.changes_at and minute >= self.changes_at else 0)
        weekend = at // DAY % 7 >= 5
        if self.name == "weekends":
            return float(weekend)
        if weekend and self.weekdays_only:
            return 0.0
        at %= DAY
        if self.name == "ramp":
            return _bounded(min(at - self.opens, self.closes - at) / RAMP_MINUTES)
        return float(self.opens <= at < self.closes)

    def learned_at(self, first_minute: int) -> int:
        """The minute at which the third day of it has ended; a weekend has two days, and is allowed no more."""
        days = [day for day in range(7) if not self.weekdays_only or (first_minute // DAY + day) % 7 < 5]
        return (days[LEARNED_DAYS - 1] + 1) * DAY

    def traffic(self, high: float) -> float:
        return high if self.name == "business_hours" else self.busier**high


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    kind: str  # fault, intermittent, reported, quiet, rhythm
    seed: str
    traffic: float
    minutes: int
    first_minute: int  # of the week, 0 is Monday 00:00
    fault: Fault | None = None
    is_target: bool = False
    reported_at: float | None = None
    deploys: tuple[int, ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    bursts: tuple[tuple[int, int], ...] = ()
    maintenance: tuple[tuple[int, int], ...] = ()
    rhythm: Rhythm | None = None

    @property
    def learned_at(self) -> int:
        """From this minute on what repeats is known; while it is new, it is an incident each time that it comes."""
        return self.rhythm.learned_at(self.first_minute) if self.rhythm else 0


def campaign(seed: int, quick: bool = False) -> list[Scenario]:
    """All scenarios of a seed; a quick campaign has the strong and medium faults once, and few quiet spells."""
    found = []
    for type_ in TYPES:
        for strength in STRENGTHS[1:] if quick else STRENGTHS:
            for traffic in TRAFFIC[:2] if quick else TRAFFIC:
                target = is_target(type_, strength, traffic)
                repeats = 1 if quick else REPEATS + TARGET_REPEATS * target
                for repeat in range(repeats):
                    name = f"{type_}/{strength}/{traffic}/{repeat}"
                    found.append(_fault_scenario(seed, name, "fault", type_, strength, traffic, target))
    for traffic in TRAFFIC[1:2] if quick else TRAFFIC:
        for repeat in range(1 if quick else INTERMITTENT_EACH):
            for type_ in ("QUALITY_DEGRADATION", "MODEL_ERRORS"):
                name = f"{type_}/intermittent/{traffic}/{repeat}"
                found.append(_fault_scenario(seed, name, "intermittent", type_, "strong", traffic, False))
        for repeat in range(1 if quick else REPORTED_EACH):
            found.append(_reported_scenario(seed, f"REPORTED/medium/{traffic}/{repeat}", traffic))
        for repeat in range(2 if quick else QUIET_EACH):
            found.append(_quiet_scenario(seed, f"quiet/{traffic}/{repeat}", traffic, repeat))
    for rhythm in RHYTHMS:
        for traffic in TRAFFIC[1:2] if quick else TRAFFIC[:2]:
            for repeat in range(1 if quick else RHYTHM_EACH):
                found.append(_rhythm_scenario(seed, f"rhythm {rhythm}/{traffic}/{repeat}", rhythm, traffic, repeat))
        for type_, strength in ON_RHYTHMS:
            traffic = TRAFFIC[1]
            for repeat in range(1 if quick else RHYTHM_EACH):
                name = f"{type_}/{strength}/{traffic} on {rhythm}/{repeat}"
                found.append(_fault_on_rhythm(seed, name, type_, strength, rhythm, traffic, repeat))
    return found


def is_target(type_: str, strength: str, traffic: float) -> bool:
    """Whether the project promises its figures for this: 5x cost, grounding 0.90 to 0.65, failing retrieval."""
    cost = type_ == "COST_SPIKE" and strength == "strong"
    grounding = type_ == "QUALITY_DEGRADATION" and strength == "medium"
    return traffic >= 20 and (cost or grounding or type_ == "RETRIEVAL_FAILURE")


def _fault_scenario(
    seed: int, name: str, kind: str, type_: str, strength: str, traffic: float, target: bool
) -> Scenario:
    chance = random.Random(f"{seed}/{name}")
    start = chance.uniform(8 * 60, 30 * 60)
    deploys = [minute for minute in _moments(chance, int(start) - 90, 0.5)]
    ramp = 0.0 if target or kind != "fault" or chance.random() > 0.2 else chance.uniform(2, 8)
    if kind == "fault" and chance.random() < 0.25:
        deploys.append(int(start - chance.uniform(0, 3)))
    lasts, period = chance.uniform(25, 90), 0.0
    if kind == "intermittent":
        lasts, period = 180.0, chance.uniform(20, 60)
    healed_by, left_by = _cures(chance, type_)
    fault = Fault(
        type_, strength, start, start + lasts, ramp, period, chance.randrange(2), frozenset(healed_by), left_by
    )
    return Scenario(
        name=name,
        kind=kind,
        seed=f"{seed}/{name}",
        traffic=traffic,
        minutes=int(start + lasts) + 181,
        first_minute=chance.randrange(7 * DAY),
        fault=fault,
        is_target=target,
        deploys=tuple(sorted(deploys)),
        gaps=tuple(_spells(chance, int(start) - 60, 0.5, 5, 40)),
        bursts=tuple(_spells(chance, int(start) - 60, 1.0, 3, 15)),
    )


def _reported_scenario(seed: int, name: str, traffic: float) -> Scenario:
    chance = random.Random(f"{seed}/{name}")
    start = chance.uniform(8 * 60, 20 * 60)
    end = start + chance.uniform(40, 120)
    return Scenario(
        name=name,
        kind="reported",
        seed=f"{seed}/{name}",
        traffic=traffic,
        minutes=int(end) + 181,
        first_minute=chance.randrange(7 * DAY),
        fault=Fault("REPORTED", "medium", start, end, healed_by=frozenset({"fallback_model"})),
        reported_at=start + chance.uniform(3, 20),
    )


def _quiet_scenario(seed: int, name: str, traffic: float, repeat: int) -> Scenario:
    chance = random.Random(f"{seed}/{name}")
    minutes = QUIET_DAYS * DAY
    first_day = 3 if repeat % 3 == 0 else chance.randrange(7)  # from Thursday on: into the weekend
    return Scenario(
        name=name,
        kind="quiet",
        seed=f"{seed}/{name}",
        traffic=traffic,
        minutes=minutes,
        first_minute=(first_day * DAY + chance.randrange(DAY)) % (7 * DAY),
        deploys=tuple(_moments(chance, minutes, 1.0)),
        gaps=tuple(_spells(chance, minutes, 1.0, 5, 90)),
        bursts=tuple(_spells(chance, minutes, 2.0, 3, 20)),
        maintenance=tuple(_spells(chance, minutes, 0.3, 20, 60)),
    )


def _rhythm_scenario(seed: int, name: str, rhythm: str, traffic: float, repeat: int) -> Scenario:
    chance = random.Random(f"{seed}/{name}")
    first_minute = chance.randrange(7 * DAY)
    return Scenario(
        name=name,
        kind="rhythm",
        seed=f"{seed}/{name}",
        traffic=traffic,
        minutes=RHYTHM_DAYS * DAY,
        first_minute=first_minute,
        rhythm=_rhythm(chance, rhythm, repeat, first_minute),
    )


def _fault_on_rhythm(
    seed: int, name: str, type_: str, strength: str, rhythm: str, traffic: float, repeat: int
) -> Scenario:
    """A fault in the fourth or fifth day of a rhythm that ran from a Monday on, when there is traffic."""
    chance = random.Random(f"{seed}/{name}")
    found = _rhythm(chance, rhythm, repeat, first_minute=0)
    start = chance.uniform(LEARNED_DAYS * DAY, 5 * DAY)
    while not found.traffic(found.high(start, 0)) or not found.traffic(found.high(start + 30, 0)):
        start = chance.uniform(LEARNED_DAYS * DAY, 5 * DAY)
    end = start + chance.uniform(25, 90)
    healed_by, left_by = _cures(chance, type_)
    return Scenario(
        name=name,
        kind="fault",
        seed=f"{seed}/{name}",
        traffic=traffic,
        minutes=int(end) + 181,
        first_minute=0,
        fault=Fault(type_, strength, start, end, 0.0, 0.0, chance.randrange(2), frozenset(healed_by), left_by),
        is_target=is_target(type_, strength, traffic),
        rhythm=found,
    )


def _rhythm(chance: random.Random, name: str, repeat: int, first_minute: int) -> Rhythm:
    """Offices open when they like; every other one has five times the traffic then, too, and rests at weekends."""
    opens, closes = 540 + chance.randint(-70, 70), 1080 + chance.randint(-70, 70)
    busier = 5.0 if repeat % 2 and name != "weekends" else 1.0
    changes_at = moved = 0
    if name == "nightly_job":
        opens = 120 + chance.randint(0, 50)
        closes, busier = opens + chance.randint(20, 60), 3.0
    if name == "clock_change":
        # In the night to a Sunday, in the second week at the latest.
        changes_at = (6 * DAY + 60 - first_minute) % (7 * DAY)
        changes_at += 7 * DAY if changes_at < LEARNED_DAYS * DAY else 0
        moved = chance.choice((-60, 60))
    weekdays_only = name == "business_hours" or (bool(repeat % 2) and name not in ("weekends", "nightly_job"))
    return Rhythm(name, opens, closes, RHYTHMS[name], busier, weekdays_only, changes_at, moved)


def _cures(chance: random.Random, type_: str) -> tuple[set[str], dict[str, float]]:
    """What heals a fault, and what leaves a part of it."""

    def maybe(share: float, rung: str) -> set[str]:
        return {rung} if chance.random() < share else set()

    if type_ == "QUALITY_DEGRADATION":
        return maybe(0.8, "fallback_model"), {}
    if type_ == "HALLUCINATION_PATTERN":
        return maybe(0.7, "fallback_model"), {}
    if type_ == "COST_SPIKE":
        return maybe(0.6, "cheaper") | maybe(0.5, "fallback_model"), {"cheaper": 0.3}
    if type_ == "RETRIEVAL_FAILURE":
        return {"no_retrieval"}, {}
    if type_ == "MODEL_DRIFT":
        return maybe(0.9, "fallback_model"), {}
    if type_ == "MODEL_ERRORS":
        return maybe(0.8, "fallback_model"), {"fallback_model": 0.3}
    return maybe(0.7, "fallback_model") | maybe(0.5, "cheaper"), {"cheaper": 0.4}


def _moments(chance: random.Random, until: int, per_day: float) -> list[int]:
    number = _poisson(chance, per_day * max(0, until) / DAY)
    return sorted(chance.randrange(120, max(121, until)) for _ in range(number))


def _spells(chance: random.Random, until: int, per_day: float, shortest: int, longest: int) -> list[tuple[int, int]]:
    return [(start, start + chance.randint(shortest, longest)) for start in _moments(chance, until, per_day)]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the answers of one group of requests are made."""

    grounded: float
    relevance: float
    retrieval: float | None  # mean of the best passage's score; None where nothing is retrieved
    empty_retrieval: float
    tokens: float  # median
    cost: float  # of a usual request, USD
    latency: float  # of a usual request, seconds
    hedges: float
    errors: float  # per attempt
    empties: float
    interventions: float
    confidence: float = 0.0  # added to what follows from grounding


class World:
    """The metrics of one scenario; draws in the order of minutes, under the modes it is given."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._chance = chance = random.Random(scenario.seed + "/world")
        spread = chance.uniform
        is_grounding_target = scenario.is_target and scenario.fault.type == "QUALITY_DEGRADATION"
        self._base = Recipe(
            grounded=0.90 if is_grounding_target else spread(0.86, 0.94),
            relevance=spread(0.8, 0.92),
            retrieval=spread(0.65, 0.8),
            empty_retrieval=spread(0.002, 0.03),
            tokens=math.exp(spread(math.log(80), math.log(400))),
            cost=math.exp(spread(math.log(0.0005), math.log(0.02))),
            latency=spread(0.8, 4.0),
            hedges=spread(0.01, 0.06),
            errors=spread(0.001, 0.02),
            empties=spread(0.0005, 0.005),
            interventions=spread(0.005, 0.03),
        )
        self._token_spread = spread(0.5, 0.8)
        self._cost_spread = spread(0.4, 0.7)
        self._latency_spread = spread(0.3, 0.5)
        self._rejections = spread(0.02, 0.08)
        self._cycle_phase = spread(-90, 90)
        self._wander = dict.fromkeys(("grounded", "tokens", "cost", "latency", "retrieval"), 0.0)
        self._shift = dict.fromkeys(("grounded", "tokens", "cost", "latency", "hedges"), 0.0)
        self._scale = 1.0
        if scenario.fault:
            self._scale = 1 / (self._cycle(scenario.fault.start) * self._rhythmic_traffic(scenario.fault.start))

    def delay_seconds(self, minute: int) -> float:
        """How long after the end of a minute its row can be seen."""
        return random.Random(f"{self.scenario.seed}/delay/{minute}").uniform(60, 120)

    def minute(self, minute: int, modes: Sequence[tuple[float, float, str]]) -> dict[str, float]:
        """The row of a minute; modes are (from, until, mode) in minutes and cover it without overlap."""
        self._move_on(minute)
        rate = self._rate(minute)
        rate *= self._chance.gammavariate(12, 1 / 12)
        values = _Row(self._chance)
        if _within(minute, self.scenario.gaps):
            return {}
        load = rate / (self.scenario.traffic * self._scale)
        for since, until, mode in modes:
            number = _poisson(self._chance, rate * (until - since))
            self._answer(values, number, mode, (since + until) / 2, load)
        return values.summed_up()

    def _cycle(self, minute: float) -> float:
        at = self.scenario.first_minute + minute
        day = 1 + 0.6 * math.sin(2 * math.pi * (at + self._cycle_phase - 9 * 60) / DAY)
        return day * (0.5 if at // DAY % 7 >= 5 else 1.0)

    def _high(self, minute: float) -> float:
        rhythm = self.scenario.rhythm
        return rhythm.high(minute, self.scenario.first_minute) if rhythm else 0.0

    def _rhythmic_traffic(self, minute: float) -> float:
        rhythm = self.scenario.rhythm
        return rhythm.traffic(self._high(minute)) if rhythm else 1.0

    def _rate(self, minute: int) -> float:
        burst = 4.0 if _within(minute, self.scenario.bursts) else 1.0
        cycle = self._cycle(minute) * self._rhythmic_traffic(minute)
        return self.scenario.traffic * self._scale * cycle * burst

    def _move_on(self, minute: int) -> None:
        """Levels wander; a deploy shifts them a little, and for good."""
        keep = math.exp(-1 / WANDER_MINUTES)
        noise = math.sqrt(1 - keep * keep)
        for name in self._wander:
            self._wander[name] = keep * self._wander[name] + noise * self._chance.gauss(0, 1)
        if minute in self.scenario.deploys:
            for name, size in (
                ("grounded", 0.08),
                ("tokens", 0.06),
                ("cost", 0.06),
                ("latency", 0.08),
                ("hedges", 0.1),
            ):
                self._shift[name] += self._chance.uniform(-size, size)

    def _usual(self, minute: float, load: float) -> Recipe:
        """What a minute is like without a fault: cycle, wandering, shifts of deploys, load."""
        base, wander, shift = self._base, self._wander, self._shift
        day = math.sin(2 * math.pi * (self.scenario.first_minute + minute) / DAY)
        busy = 0.12 * min(2.0, max(0.0, load - 1))
        weekend = -0.06 if (self.scenario.first_minute + minute) // DAY % 7 >= 5 else 0.0
        usual = Recipe(
            grounded=_logistic(_logit(base.grounded) + 0.08 * day + 0.07 * wander["grounded"] + shift["grounded"]),
            relevance=base.relevance + 0.006 * day,
            retrieval=base.retrieval + 0.008 * day + 0.006 * wander["retrieval"],
            empty_retrieval=base.empty_retrieval,
            tokens=base.tokens * math.exp(0.08 * day + weekend + 0.03 * wander["tokens"] + shift["tokens"]),
            cost=base.cost * math.exp(0.04 * day + 0.04 * wander["cost"] + shift["cost"]),
            latency=base.latency * math.exp(0.08 * day + busy + 0.05 * wander["latency"] + shift["latency"]),
            hedges=base.hedges * math.exp(shift["hedges"]),
            errors=base.errors * self._chance.gammavariate(1.0, 1.0) * (1 + max(0.0, load - 2)),
            empties=base.empties,
            interventions=base.interventions * math.exp(0.15 * day),
        )
        high = self._high(minute)
        return _in_rhythm(usual, self.scenario.rhythm, high) if high else usual

    def _answer(self, row: "_Row", number: int, mode: str, minute: float, load: float) -> None:
        usual = self._usual(minute, load)
        if mode in WITHOUT_MODEL:
            hits = _binomial(self._chance, number, CACHE_HITS) if mode == "cache_only" else 0
            row.count("Completed", hits)
            row.count("Refused", number - hits)
            row.latencies += [0.05 + 0.1 * self._chance.random() for _ in range(number)]
            return
        recipe = _in_mode(usual, mode)
        fault, affected = self.scenario.fault, 0
        if fault:
            intensity = fault.present(minute) * fault.left(mode)
            affected = _binomial(self._chance, number, intensity)
        if affected:
            for part, bad in self._affected(fault, recipe, affected):
                self._draw(row, part, bad, mode)
        self._draw(row, number - affected, recipe, mode)

    def _affected(self, fault: Fault, usual: Recipe, number: int) -> Iterable[tuple[int, Recipe]]:
        """How the requests that a fault reaches are answered."""
        strength = fault.strength
        change = partial(_replaced, usual)
        if fault.type == "QUALITY_DEGRADATION":
            worse = GROUNDING_TO[strength] / 0.90
            yield number, change(grounded=usual.grounded * worse, relevance=usual.relevance - 0.15 * (1 - worse))
        elif fault.type == "HALLUCINATION_PATTERN":
            part = _binomial(self._chance, number, HALLUCINATING_SHARE[strength])
            yield part, change(grounded=0.25, interventions=0.6, tokens=usual.tokens * 1.25)
            yield number - part, usual
        elif fault.type == "COST_SPIKE":
            times = COST_TIMES[strength]
            if fault.direction:  # by writing more and more
                yield number, change(tokens=usual.tokens * times, cost=usual.cost * times, latency=usual.latency * 1.3)
            else:  # by what is sent to the model, or its price
                yield number, change(cost=usual.cost * times)
        elif fault.type == "RETRIEVAL_FAILURE":
            part = _binomial(self._chance, number, RETRIEVAL_SHARE[strength])
            empty = 0.9 if fault.direction else usual.empty_retrieval
            yield (
                part,
                change(
                    retrieval=0.35,
                    empty_retrieval=empty,
                    grounded=0.6,
                    relevance=usual.relevance - 0.12,
                    hedges=min(1.0, usual.hedges + 0.35),
                    interventions=min(1.0, usual.interventions + 0.1),
                    tokens=usual.tokens * 0.8,
                ),
            )
            yield number - part, usual
        elif fault.type == "MODEL_DRIFT":
            times = LENGTH_TIMES[strength][fault.direction]
            yield (
                number,
                change(
                    tokens=usual.tokens * times,
                    cost=usual.cost * (0.6 + 0.4 * times),
                    latency=usual.latency * (0.4 + 0.6 * times),
                    hedges=max(usual.hedges, HEDGES_TO[strength]),
                ),
            )
        elif fault.type == "MODEL_ERRORS":
            yield number, change(errors=ERRORS_TO[strength], empties=min(0.3, 0.1 * ERRORS_TO[strength]))
        elif fault.type == "LATENCY":
            yield number, change(latency=usual.latency * LATENCY_TIMES[strength])
        else:  # REPORTED: what no metric shows
            yield number, usual

    def _draw(self, row: "_Row", number: int, recipe: Recipe, mode: str) -> None:
        """Draw that many requests; an attempt that fails is tried again up to twice, and then the request fails."""
        if not number:
            return
        chance = self._chance
        gauss, uniform = chance.gauss, chance.random
        row.attempts += number
        failing, tries = number, 0
        while failing and tries < 3:
            failed = _binomial(chance, failing, min(1.0, recipe.errors))
            empty = _binomial(chance, failing - failed, recipe.empties)
            row.errors, row.empties, tries = row.errors + failed, row.empties + empty, tries + 1
            failing = failed + empty
            if tries < 3:
                row.attempts += failing
        row.count("Failed", failing)
        slow = 1 + 0.5 * min(1.0, recipe.errors)
        number -= failing
        row.answers += number
        if not number:
            return

        spread, median = self._token_spread, recipe.tokens
        factors = [math.exp(spread * gauss(0, 1)) for _ in range(number)]
        for at in _few(chance, number, PARETO_SHARE):
            factors[at] *= chance.paretovariate(PARETO_SHAPE)
        row.tokens += [median * factor for factor in factors]
        cost, cost_spread = recipe.cost, self._cost_spread
        costs = [cost * (0.6 * math.exp(cost_spread * gauss(0, 1)) + 0.4 * factor) for factor in factors]
        for at in _few(chance, number, PARETO_SHARE):
            costs[at] *= chance.paretovariate(PARETO_SHAPE)
        row.costs += costs
        seconds, latency_spread = recipe.latency * slow, self._latency_spread
        latencies = [
            seconds * (0.5 + 0.5 * min(factor, 8.0)) * math.exp(latency_spread * gauss(0, 1)) for factor in factors
        ]
        for at in _few(chance, number, PARETO_SHARE):
            latencies[at] *= chance.paretovariate(PARETO_SHAPE)
        row.latencies += latencies

        lift = recipe.confidence
        if recipe.retrieval is not None:
            scores = chance.choices(
                _SHARES, cum_weights=_beta_binomial(round(min(0.995, max(0.005, recipe.grounded)), 3)), k=number
            )
            row.groundings += scores
            relevance, retrieval = recipe.relevance, recipe.retrieval
            row.relevances += [min(1.0, relevance + 0.12 * gauss(0, 1)) for _ in range(number)]
            empty = _binomial(chance, number, recipe.empty_retrieval)
            row.retrieval_empties += empty
            row.retrievals_asked += number
            row.retrievals += [min(1.0, max(0.0, retrieval + 0.1 * gauss(0, 1))) for _ in range(number - empty)]
            confidences = [_bounded(0.55 + lift + 0.35 * score + 0.08 * gauss(0, 1)) for score in scores]
        else:
            confidences = [_bounded(0.72 + lift + 0.1 * gauss(0, 1)) for _ in range(number)]
        row.confidences += confidences
        bar = 0.9 if mode == "stricter_review" else 0.75
        held = sum(confidence < bar for confidence in confidences)
        row.count("Held", held)
        row.count("Completed", number - held)
        row.hedges += _binomial(chance, number, recipe.hedges)
        row.interventions += _binomial(chance, number, recipe.interventions)
        judged = _binomial(chance, number, VERDICT_SHARE)
        row.judged += judged
        wrong = self._rejections + 0.6 * max(0.0, 0.9 - recipe.grounded)
        row.rejections += sum(uniform() < wrong for _ in range(judged))


def _in_rhythm(usual: Recipe, rhythm: Rhythm, high: float) -> Recipe:
    """Longer answers cost more and take longer; a nightly job asks what nobody else does, and strains the model."""
    longer = rhythm.longer**high
    found = _replaced(
        usual,
        tokens=usual.tokens * longer,
        cost=usual.cost * (0.6 + 0.4 * longer),
        latency=usual.latency * (0.4 + 0.6 * longer),
    )
    if rhythm.name != "nightly_job":
        return found
    return _replaced(
        found,
        grounded=usual.grounded - 0.2,
        hedges=usual.hedges + 0.15,
        errors=usual.errors + 0.1,
        interventions=usual.interventions + 0.1,
    )


def _in_mode(usual: Recipe, mode: str) -> Recipe:
    """What a rung does to answers, apart from any fault."""
    if mode == "fallback_model":
        return _replaced(
            usual,
            cost=usual.cost * 1.6,
            latency=usual.latency * 1.25,
            tokens=usual.tokens * 1.2,
            grounded=min(0.97, usual.grounded + 0.01),
        )
    if mode == "no_retrieval":
        return _replaced(
            usual, retrieval=None, cost=usual.cost * 0.7, latency=usual.latency * 0.9, hedges=usual.hedges + 0.08
        )
    if mode == "cheaper":
        return _replaced(
            usual,
            cost=usual.cost * 0.4,
            tokens=usual.tokens * 0.6,
            latency=usual.latency * 0.8,
            grounded=usual.grounded - 0.02,
        )
    return usual


class _Row:
    """What the requests of one minute leave behind."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.counts: dict[str, int] = {}
        self.attempts = self.errors = self.empties = self.answers = 0
        self.hedges = self.interventions = self.judged = self.rejections = 0
        self.retrieval_empties = self.retrievals_asked = 0
        self.tokens: list[float] = []
        self.costs: list[float] = []
        self.latencies: list[float] = []
        self.groundings: list[float] = []
        self.relevances: list[float] = []
        self.retrievals: list[float] = []
        self.confidences: list[float] = []

    def count(self, outcome: str, number: int) -> None:
        if number:
            self.counts[outcome] = self.counts.get(outcome, 0) + number

    def summed_up(self) -> dict[str, float]:
        """The statistics of GetMetricData, named metric.statistic."""
        values: dict[str, float] = {}
        for outcome, number in self.counts.items():
            values[f"{outcome}.sum"] = values[f"{outcome}.n"] = number
        for metric, part, whole in (
            ("ModelErrors", self.errors, self.attempts),
            ("EmptyAnswers", self.empties, self.attempts),
            ("Hedges", self.hedges, self.answers),
            ("Interventions", self.interventions, self.answers),
            ("RetrievalEmpty", self.retrieval_empties, self.retrievals_asked),
            ("Rejections", self.rejections, self.judged),
        ):
            if whole:
                values[f"{metric}.n"], values[f"{metric}.sum"] = whole, part
        for metric, those in (
            ("Grounding", self.groundings),
            ("Relevance", self.relevances),
            ("RetrievalScore", self.retrievals),
            ("Confidence", self.confidences),
        ):
            if those:
                values[f"{metric}.n"], values[f"{metric}.mean"] = len(those), math.fsum(those) / len(those)
        for metric, those in (("CostUsd", self.costs), ("OutputTokens", self.tokens), ("Latency", self.latencies)):
            if those:
                _statistics(values, metric, sorted(those))
        if self.tokens:
            buckets = [0] * (len(SHAPE_EDGES) + 1)
            for tokens in self.tokens:
                buckets[bisect_right(SHAPE_EDGES, tokens * CHARACTERS_PER_TOKEN)] += 1
            for number, count in enumerate(buckets):
                values[f"AnswerShape{number}.n"] = len(self.tokens)
                values[f"AnswerShape{number}.sum"] = count
            values["AnswerCharacters.n"] = len(self.tokens)
            values["AnswerCharacters.tm"] = values["OutputTokens.tm"] * CHARACTERS_PER_TOKEN
        return values


def _statistics(values: dict[str, float], metric: str, ordered: list[float]) -> None:
    number = len(ordered)
    cut = int(number * 0.1)
    middle = ordered[cut : number - cut]
    values[f"{metric}.n"] = number
    values[f"{metric}.sum"] = math.fsum(ordered)
    values[f"{metric}.mean"] = values[f"{metric}.sum"] / number
    values[f"{metric}.tm"] = math.fsum(middle) / len(middle)
    values[f"{metric}.p50"] = ordered[(number - 1) // 2]
    values[f"{metric}.p95"] = ordered[min(number - 1, int(number * 0.95))]


_SHARES = tuple(number / SENTENCES for number in range(SENTENCES + 1))


@lru_cache(maxsize=2000)
def _beta_binomial(mean: float) -> list[float]:
    """Cumulative weights of 0..5 supported sentences whose pairwise correlation is WITHIN_ANSWER."""
    size = 1 / WITHIN_ANSWER - 1
    a, b = mean * size, (1 - mean) * size
    weights, total = [], 0.0
    for number in range(SENTENCES + 1):
        total += math.comb(SENTENCES, number) * math.exp(
            math.lgamma(number + a)
            + math.lgamma(SENTENCES - number + b)
            - math.lgamma(SENTENCES + a + b)
            - math.lgamma(a)
            - math.lgamma(b)
            + math.lgamma(a + b)
        )
        weights.append(total)
    return weights


def _replaced(recipe: Recipe, **values: float | None) -> Recipe:
    known = {name: getattr(recipe, name) for name in Recipe.__slots__}
    return Recipe(**known | values)


def _binomial(chance: random.Random, number: int, share: float) -> int:
    if share <= 0 or number <= 0:
        return 0
    if share >= 1:
        return number
    if share < 0.1:
        return len(_few(chance, number, share))
    return sum(chance.random() < share for _ in range(number))


def _few(chance: random.Random, number: int, share: float) -> list[int]:
    """Which of so many trials succeed, by the gaps between them (geometric)."""
    found, at, log_miss = [], -1, math.log1p(-share)
    while True:
        at += 1 + int(math.log(1 - chance.random()) / log_miss)
        if at >= number:
            return found
        found.append(at)


def _poisson(chance: random.Random, mean: float) -> int:
    """Knuth's method, in pieces so that the exponential does not vanish."""
    number = 0
    while mean > 0:
        piece, mean = min(mean, 200.0), mean - 200.0
        limit, product = math.exp(-piece), chance.random()
        while product > limit:
            number += 1
            product *= chance.random()
    return number


def _within(minute: int, spells: tuple[tuple[int, int], ...]) -> bool:
    return any(start <= minute < end for start, end in spells)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _bounded(value: float) -> float:
    return min(1.0, max(0.0, value))
