"""Detectors: what a use case's metrics usually are, and how sure we are that they are worse now.

Each signal has a baseline, and evidence against it in nats that grows while the signal is worse and shrinks while it
is not: a CUSUM (Page 1954; optimal in Lorden's sense by Moustakides 1986) of log-likelihood ratios, one per size.
For increments whose exponential has a mean of at most one without a change, the time between false alarms is at least
exp(threshold) minutes (Lorden 1971; as e-detector Shin, Ramdas and Rinaldo 2022). Thresholds are that budget.

State in, state out: a dict of JSON, bounded whatever comes, of which one belongs to one use case.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

VERSION = 3  # of the state; one of another version is begun anew
MINUTE, HOUR, DAY = 60, 3600, 86_400
MINUTES_PER_DAY = 1440
SHAPES = 8

# Sizes of change that evidence is kept for, in the smallest one that matters; below a third of that is no change.
SIZES = (0.67, 2.0, 5.0)
SLACK = 1 / 3
# After a deploy, so many times as much is no change, while the baselines move.
GRACE = 1.5
# From here on a signal is under suspicion, and nothing of it is learned.
SUSPICION = 3.0
# From this share of the threshold on, no signal learns: what one shows may be in others, too.
SHAKEN = 0.5
# What is usual is remembered each half hour, to go back to when something turns out to have begun since.
REMEMBER_SECONDS, MOST_REMEMBERED = 1800, 4
# Evidence stops here, in thresholds, so that a signal that is well again is soon seen to be.
CEILING = 1.5
# No sample is trusted with more nats than this: a few wild values are no change.
NATS_PER_ROW, NATS_PER_SAMPLE = 2.0, 0.5
# Bennett's bound is never reached: false alarms of scores at 1.5 to 100 samples a minute, simulated, are as rare as
# promised when its nats count so many times.
BOUND_IS_LOOSE = 1.7
# Learned values are clipped to this many standard deviations (Huber 1964).
CLIP = 3.0
MEMORY_ROWS = 720
SHAPE_MEMORY_ROWS = 240
SPREAD_ROWS = 500
SEASON_GAIN = 0.004
# A prior counts as much as so many samples.
PRIOR_SAMPLES = 50.0
SHAPE_PRIOR = 20.0
SHAPE_FORGETS = 0.9
MOST_CORRELATED = 0.3


class Kind(StrEnum):
    LEVEL = "level"
    RATE = "rate"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True)
class Signal:
    """What is looked at, and what change of it matters; levels of log signals are logarithms."""

    name: str
    kind: Kind
    metric: str
    statistic: str
    direction: int  # which way is worse
    smallest: float  # the smallest change that matters
    grave: float  # the change that counts as whole harm
    usual: float  # before anything is known: a sample's standard deviation, or the rate
    wander: float = 0.0  # how far a level goes in an hour (standard deviation)
    floor: float = 0.0  # what differs between minutes however many samples they have
    log: bool = False
    needs: int = 1  # samples, for a row to say something
    rows: int = 1  # no fewer can prove anything: what comes in clusters passes, too


def _level(name: str, statistic: str, direction: int, smallest: float, grave: float, usual: float, **more) -> Signal:
    return Signal(name, Kind.LEVEL, more.pop("metric", name), statistic, direction, smallest, grave, usual, **more)


def _rate(name: str, smallest: float, grave: float, usual: float, floor: float = 0.01, **more) -> Signal:
    return Signal(name, Kind.RATE, name, "sum", 1, smallest, grave, usual, floor=floor, **more)


SIGNALS: dict[str, Signal] = {
    signal.name: signal
    for signal in (
        _level("Grounding", "mean", -1, 0.06, 0.4, 0.22, wander=0.008, floor=0.01),
        _level("Relevance", "mean", -1, 0.06, 0.3, 0.15, wander=0.008, floor=0.01),
        _level("Confidence", "mean", -1, 0.06, 0.3, 0.15, wander=0.008, floor=0.01),
        _level("RetrievalScore", "mean", -1, 0.06, 0.35, 0.15, wander=0.01, floor=0.01),
        _level("CostUsd", "tm", 1, math.log(1.5), math.log(5), 0.9, wander=0.05, floor=0.05, log=True),
        _level("OutputTokens", "tm", 1, math.log(1.5), math.log(5), 0.8, wander=0.05, floor=0.05, log=True),
        _level(
            "ShortAnswers",
            "tm",
            -1,
            math.log(1.5),
            math.log(5),
            0.8,
            metric="OutputTokens",
            wander=0.05,
            floor=0.05,
            log=True,
        ),
        _level("Latency", "p50", 1, math.log(1.5), math.log(5), 0.8, wander=0.08, floor=0.06, log=True),
        _level(
            "LatencyTail",
            "p95",
            1,
            math.log(2),
            math.log(6),
            2.5,
            metric="Latency",
            wander=0.1,
            floor=0.15,
            log=True,
            needs=60,
            rows=3,
        ),
        _rate("ModelErrors", 0.06, 0.5, 0.01, floor=0.05, rows=2),
        _rate("EmptyAnswers", 0.03, 0.3, 0.003),
        _rate("RetrievalEmpty", 0.08, 0.5, 0.01),
        _rate("Interventions", 0.05, 0.4, 0.02),
        _rate("Hedges", 0.05, 0.4, 0.04),
        _rate("Rejections", 0.12, 0.5, 0.06),
        Signal("AnswerShape", Kind.SHAPE, "AnswerShape0", "sum", 1, 0.08, 0.8, 0.0),
    )
}


_KEYS = {name: (f"{each.metric}.n", f"{each.metric}.{each.statistic}") for name, each in SIGNALS.items()}
_SHAPE_KEYS = [f"AnswerShape{shape}.sum" for shape in range(SHAPES)]


@dataclass(frozen=True, slots=True)
class Minute:
    """What the metrics say of the minute that began `at`; a metric without data has no keys."""

    at: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """The policy's section incidents.detection."""

    false_alarms_per_day: float = 0.1  # of all signals of a use case together, at most
    warm_up_samples: int = 200
    warm_up_minutes: int = 30
    deploy_grace_seconds: int = 1200
    forget_after_seconds: int = 6 * HOUR  # evidence that grew no further until then is none
    accept_after_seconds: int = DAY  # a change that stayed so long is the new normal
    threshold: float = field(init=False)  # nats, for the budget shared by all signals and sizes

    def __post_init__(self) -> None:
        tests_per_day = len(SIGNALS) * len(SIZES) * MINUTES_PER_DAY
        object.__setattr__(self, "threshold", math.log(tests_per_day / self.false_alarms_per_day))

    @classmethod
    def from_json(cls, raw: dict) -> "DetectorSettings":
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class Finding:
    """A signal that is worse than usual, and why we think so."""

    signal: str
    at: int
    since: int
    baseline: Any  # in the metric's own unit; of AnswerShape shares
    now: Any
    samples: int
    evidence: float
    threshold: float
    harm: float  # 0..1, how much of a grave change it is
    spread: float  # of one sample, for judging later rows
    sure: bool  # beyond the threshold; otherwise a suspicion that may support another's finding

    @classmethod
    def from_json(cls, raw: dict) -> "Finding":
        return cls(**raw)

    def to_json(self) -> dict:
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def false_alarm_days(self) -> float:
        """So many days pass, at least, between two false alarms of such evidence."""
        return math.exp(min(self.evidence, 100.0)) / (len(SIZES) * len(SIGNALS) * MINUTES_PER_DAY)

    def explained(self) -> str:
        """In words, for a notification."""
        if isinstance(self.now, list):
            what = f"the lengths of answers are spread otherwise than usual ({_psi(self.now, self.baseline):.2f} PSI)"
        else:
            what = f"{self.signal} is {self.now:.4g} where {self.baseline:.4g} is usual"
        return (
            f"{what}, over {self.samples} samples in {max(1, (self.at - self.since) // MINUTE + 1)} min; "
            f"by chance once in {self.false_alarm_days:.3g} days, or less often"
        )


def observe(
    state: dict | None,
    minute: Minute,
    settings: DetectorSettings,
    disturbed: Iterable[str] = (),
    learn: bool = True,
    deployed: bool = False,
) -> tuple[dict, list[Finding]]:
    """Take one minute; gives the next state, and what is found or suspected.

    `disturbed` names signals that say nothing of this minute (maintenance, a mode that changes them by itself). Nothing
    is learned in a mode. `deployed` says that a deploy took effect in this minute.
    """
    at = _number(minute.at)
    if not state or state.get("version") != VERSION:
        state = {"version": VERSION, "at": None, "deployed_at": None, "learned_at": None}
        state |= {"signals": {}, "past": [], "was_sure": False}
    if at is None:
        return state, []
    last = state["at"]
    # A minute comes once; but a clock that was days ahead must not stop everything until then.
    if last is not None and last - DAY < at <= last:
        return state, []
    disturbed = frozenset(disturbed)
    signals, findings = dict(state["signals"]), []
    learn = learn and len(disturbed) < len(SIGNALS) and not _is_shaken(signals, SHAKEN * settings.threshold)
    # Who has not learned for long does not know what has changed meanwhile, as after a deploy.
    deployed = deployed or (learn and at - (state["learned_at"] or at) > REMEMBER_SECONDS)
    deployed_at = at if deployed else state["deployed_at"]
    in_grace = deployed_at is not None and 0 <= at - deployed_at < settings.deploy_grace_seconds
    for name, signal in SIGNALS.items():
        if name in disturbed:
            continue
        watched = _WATCHERS[signal.kind](signal, signals.get(name), minute, at, settings, learn, deployed, in_grace)
        if watched is None:
            continue
        signals[name] = watched
        if found := _finding(signal, watched, at, settings):
            findings.append(found)
    sure = [finding.since for finding in findings if finding.sure]
    # What came to an end may have been accepted: what was usual before it is not what is usual now.
    past = [] if state["was_sure"] and not sure else state["past"]
    if learn and not findings:
        past = _remembered(past, signals, at)
    if sure and not state["was_sure"]:
        signals = _gone_back(signals, past, min(sure))
    news = {"at": at, "deployed_at": deployed_at, "signals": signals, "past": past, "was_sure": bool(sure)}
    return state | news | ({"learned_at": at} if learn else {}), findings


def calm(state: dict, names: Iterable[str]) -> dict:
    """The state without evidence in these signals: they were shown to be well."""
    return _with_signals(state, names, lambda signal, old: old | {"tracks": _no_tracks(old)})


def accept(state: dict, names: Iterable[str]) -> dict:
    """The state in which what these signals are now is normal, as an operator says."""
    return _with_signals(state, names, lambda signal, old: _accepted(signal, old))


def relearn(state: dict, names: Iterable[str]) -> dict:
    """The state that has yet to learn what is usual for these signals: somebody lets them be as they are."""
    dropped = frozenset(names)
    kept = {name: each for name, each in state.get("signals", {}).items() if name not in dropped}
    return state | {"signals": kept, "past": []}


def weigh(finding: Finding, minute: Minute) -> tuple[float, int] | None:
    """How much a later minute says that it is still so, in nats, and on how many samples; None without data.

    Compares "a good part of the change is there" with "it is as usual", as Wald (1945) does. Of a change that was just
    found its size is likely overrated, so a third of it is part enough.
    """
    signal = SIGNALS.get(finding.signal)
    if signal is None:
        return None
    if signal.kind is Kind.SHAPE:
        counts = _counts(minute)
        return None if counts is None else (_shape_nats(signal, finding, counts), int(sum(counts)))
    read = _read(signal, minute)
    if read is None:
        return None
    value, samples = read
    if signal.kind is Kind.RATE:
        slack, change = _parted(signal, finding.now - finding.baseline)
        low = _within_rates(finding.baseline + slack)
        nats = _binomial_nats(value, samples, low, _within_rates(low + change))
        return _capped(nats * _independent(samples, finding.spread), samples), int(samples)
    usual, now = (math.log(each) if signal.log else each for each in (finding.baseline, finding.now))
    slack, change = _parted(signal, signal.direction * (now - usual))
    worse = signal.direction * (value - usual) - slack
    # What is ill varies more than what was usual.
    variance_each = max(finding.spread, signal.usual) ** 2 + samples * signal.floor**2
    return _level_nats(change, worse, variance_each, samples, room=None), int(samples)


def _parted(signal: Signal, shift: float) -> tuple[float, float]:
    """What still counts as usual, and how much more is part enough of a change."""
    shift = max(shift, signal.smallest * SLACK)
    return min(signal.smallest * SLACK, shift / 4), shift / 3


def _shape_nats(signal: Signal, finding: Finding, counts: list[float]) -> float:
    usual = [share + 1e-3 for share in finding.baseline]
    ratios = [math.log((now + 1e-3 + share) / 2 / share) for now, share in zip(finding.now, usual, strict=True)]
    told = sum(now * ratio for now, ratio in zip(finding.now, ratios, strict=True))
    nats = sum(count * ratio for count, ratio in zip(counts, ratios, strict=True))
    samples = sum(counts)
    return _capped(nats - samples * min(signal.smallest, max(0.0, told) / 3), samples)


# --- Memory ------------------------------------------------------------------------------

_BASELINES = {Kind.LEVEL: ("level",), Kind.RATE: ("hits", "samples"), Kind.SHAPE: ("usual", "samples")}


def _remembered(past: list, signals: dict[str, dict], at: int) -> list:
    """What was usual, every half hour for two hours: [moment, baselines by signal]."""
    if past and 0 <= at - past[-1][0] < REMEMBER_SECONDS:
        return past
    usual = {name: {key: each[key] for key in _BASELINES[SIGNALS[name].kind]} for name, each in signals.items()}
    return [*past[1 - MOST_REMEMBERED :], [at, usual]]


def _gone_back(signals: dict[str, dict], past: list, since: int) -> dict[str, dict]:
    """The signals with the baselines of before that moment: a slow fault was partly learned until it was found."""
    if not past:
        return signals
    usual = next((usual for at, usual in reversed(past) if at <= since), past[0][1])
    return {name: each | usual.get(name, {}) for name, each in signals.items()}


# --- Levels ------------------------------------------------------------------------------


def _watch_level(
    signal: Signal,
    old: dict | None,
    minute: Minute,
    at: int,
    settings: DetectorSettings,
    learn: bool,
    deployed: bool,
    in_grace: bool,
) -> dict | None:
    """A local level model (a Kalman filter, Harvey 1989) with an offset per hour of the day, and a CUSUM each size."""
    read = _read(signal, minute)
    if old is None:
        if read is None or not learn:
            return None
        value, samples = read
        return {
            "at": at,
            "rows": 1,
            "samples": samples,
            "level": value,
            "doubt": signal.usual**2 / samples + signal.floor**2,
            "spread2": signal.usual**2,
            "season": [0.0] * 24,
            "tracks": [_QUIET] * len(SIZES),
        }
    new = dict(old)
    minutes = min(max((at - old["at"]) / MINUTE, 1.0), MINUTES_PER_DAY) if learn else 1.0
    if learn or read is not None:
        new["at"] = at
        new["doubt"] = min(old["doubt"] + signal.wander**2 / 60 * minutes, signal.usual**2)
    if deployed:
        new["doubt"] += (signal.smallest * SLACK / 2) ** 2
    if read is None:
        return new
    value, samples = read
    usual = new["level"] + _season(new["season"], at)
    variance = new["spread2"] / samples + signal.floor**2 + new["doubt"]
    off = value - usual
    if _is_warm(new, settings):
        slack = signal.smallest * SLACK * (GRACE if in_grace else 1) + math.sqrt(new["doubt"])
        worse = signal.direction * off - slack
        variance_each = new["spread2"] + samples * signal.floor**2
        room = None if signal.log else usual
        nats = [_level_nats(size * signal.smallest, worse, variance_each, samples, room) for size in SIZES]
        new["tracks"] = _tracked(signal, new["tracks"], nats, at, samples, value * samples, settings)
    if not learn or _is_suspect(new):
        return _accepted_in_time(signal, new, at, settings)
    limit = CLIP * math.sqrt(variance)
    clipped = max(-limit, min(limit, off))
    gain = new["doubt"] / variance
    new["level"] += gain * clipped
    new["doubt"] *= 1 - gain
    new["rows"] = min(new["rows"] + 1, MEMORY_ROWS)
    new["samples"] = min(new["samples"] + samples, 1e9)
    weight = 1 / min(new["rows"] + 20, SPREAD_ROWS)
    seen = (clipped * clipped - signal.floor**2) * samples
    new["spread2"] = max((signal.usual / 5) ** 2, new["spread2"] + weight * (seen - new["spread2"]))
    hour = int(at // HOUR % 24)
    new["season"] = new["season"][:]
    new["season"][hour] = (1 - SEASON_GAIN / 4) * new["season"][hour] + SEASON_GAIN * (1 - gain) * clipped
    return new


def _level_nats(change: float, worse: float, variance: float, samples: float, room: float | None) -> float:
    """Evidence of samples that are `worse` on average, for a change of this size; variance is that of one sample.

    Where scores lie in 0..1 and can fall no further than `room`, a few very bad ones are no rarity: Bennett's bound
    (1962) on their exponential mean takes the place of the normal one.
    """
    if room is None:
        return _capped(samples * change / variance * (worse - change / 2), samples)
    room = max(room, change)
    stake = math.log1p(change * room / variance) / room
    price = variance / room**2 * (math.expm1(stake * room) - stake * room)
    return _capped(BOUND_IS_LOOSE * samples * (stake * worse - price), samples)


def _season(season: list[float], at: int) -> float:
    """Between the middles of two hours, some of each."""
    place = (at / HOUR - 0.5) % 24
    hour = int(place) % 24
    part = place - int(place)
    return season[hour] * (1 - part) + season[(hour + 1) % 24] * part


# --- Rates -------------------------------------------------------------------------------


def _watch_rate(
    signal: Signal,
    old: dict | None,
    minute: Minute,
    at: int,
    settings: DetectorSettings,
    learn: bool,
    deployed: bool,
    in_grace: bool,
) -> dict | None:
    """A binomial CUSUM whose samples count for less the more they come in clusters."""
    read = _read(signal, minute)
    if old is None:
        if read is None or not learn:
            return None
        old = {
            "rows": 0,
            "samples": 0.0,
            "hits": 0.0,
            "excess": signal.floor,
            "pairs": 1.0,
            "tracks": [_QUIET] * len(SIZES),
        }
    new = dict(old)
    if deployed:
        new["samples"], new["hits"] = new["samples"] / 4, new["hits"] / 4
    if read is None:
        return new
    hits, samples = read
    weight = new["samples"] + PRIOR_SAMPLES
    usual = (new["hits"] + PRIOR_SAMPLES * signal.usual) / weight
    if _is_warm(new, settings):
        doubt = math.sqrt(usual * (1 - usual) / weight)
        low = _within_rates(usual + doubt + signal.smallest * SLACK * (GRACE if in_grace else 1))
        part = _independent(samples, _clustering(signal, new))
        nats = [
            _capped(part * _binomial_nats(hits, samples, low, _within_rates(low + size * signal.smallest)), samples)
            for size in SIZES
        ]
        new["tracks"] = _tracked(signal, new["tracks"], nats, at, samples, hits, settings)
    if not learn or _is_suspect(new):
        return _accepted_in_time(signal, new, at, settings)
    keep = 1 - 1 / MEMORY_ROWS
    new["rows"] = min(new["rows"] + 1, MEMORY_ROWS)
    new["samples"] = keep * new["samples"] + samples
    new["hits"] = keep * new["hits"] + hits
    expected = samples * usual * (1 - usual)
    if samples > 1:
        new["excess"] = keep * new["excess"] + (hits - samples * usual) ** 2 - expected
        new["pairs"] = keep * new["pairs"] + expected * (samples - 1)
    return new


def _clustering(signal: Signal, state: dict) -> float:
    """The correlation of two samples of a minute (Williams 1982), never below what the signal is known for."""
    return max(signal.floor, min(MOST_CORRELATED, state["excess"] / max(state["pairs"], 1e-9)))


def _independent(samples: float, correlation: float) -> float:
    """How much of so many samples is independent (the design effect, Kish 1965)."""
    return 1 / (1 + (samples - 1) * correlation)


def _binomial_nats(hits: float, samples: float, low: float, high: float) -> float:
    return hits * math.log(high / low) + (samples - hits) * math.log((1 - high) / (1 - low))


def _within_rates(rate: float) -> float:
    return max(1e-6, min(0.98, rate))


# --- Shape -------------------------------------------------------------------------------


def _watch_shape(
    signal: Signal,
    old: dict | None,
    minute: Minute,
    at: int,
    settings: DetectorSettings,
    learn: bool,
    deployed: bool,
    in_grace: bool,
) -> dict | None:
    """An e-process against the usual shares of answer lengths: bets are placed on what the last minutes were like.

    A bet made before the row is seen multiplies what is staked by at most one on average while nothing changed (Ville
    1939; Waudby-Smith and Ramdas 2024); a small divergence per sample is granted.
    """
    counts = _counts(minute)
    if old is None:
        if counts is None or not learn:
            return None
        old = {
            "rows": 0,
            "samples": 0.0,
            "usual": [0.0] * SHAPES,
            "recent": [0.0] * SHAPES,
            "tracks": [_QUIET],
        }
    new = dict(old)
    if deployed:
        new["samples"], new["usual"] = new["samples"] / 4, [each / 4 for each in new["usual"]]
    if counts is None:
        return new
    samples = sum(counts)
    usual, recent = _shares(new["usual"]), new["recent"]
    if _is_warm(new, settings):
        total = sum(recent) + SHAPE_PRIOR
        bets = [(each + SHAPE_PRIOR * share) / total for each, share in zip(recent, usual, strict=True)]
        granted = samples * signal.smallest * (GRACE if in_grace else 1)
        nats = sum(
            count * math.log(bet / share) for count, bet, share in zip(counts, bets, usual, strict=True) if count
        )
        nats = _capped(nats - granted, samples)
        new["tracks"] = _tracked(signal, new["tracks"], [nats], at, samples, 0.0, settings)
    new["recent"] = [SHAPE_FORGETS * each + count for each, count in zip(recent, counts, strict=True)]
    if not learn or _is_suspect(new):
        return _accepted_in_time(signal, new, at, settings)
    keep = 1 - 1 / SHAPE_MEMORY_ROWS
    new["rows"] = min(new["rows"] + 1, SHAPE_MEMORY_ROWS)
    new["samples"] = keep * new["samples"] + samples
    new["usual"] = [keep * each + count for each, count in zip(new["usual"], counts, strict=True)]
    return new


def _counts(minute: Minute) -> list[float] | None:
    counts = [_number(minute.values.get(key)) for key in _SHAPE_KEYS]
    found = [count if count is not None and count > 0 else 0.0 for count in counts]
    return found if sum(found) > 0 else None


def _shares(counts: list[float]) -> list[float]:
    total = sum(counts) + SHAPES
    return [(count + 1) / total for count in counts]


def _psi(now: list[float], usual: list[float]) -> float:
    """The population stability index."""
    pairs = [(a + 1e-3, b + 1e-3) for a, b in zip(now, usual, strict=True)]
    return sum((a - b) * math.log(a / b) for a, b in pairs)


_WATCHERS = {Kind.LEVEL: _watch_level, Kind.RATE: _watch_rate, Kind.SHAPE: _watch_shape}


# --- Evidence ----------------------------------------------------------------------------

# A track: its evidence, the minute it began at, samples and the sum of their values since then.
_QUIET = [0.0, 0, 0.0, 0.0]


def _tracked(
    signal: Signal,
    tracks: list[list[float]],
    nats: list[float],
    at: int,
    samples: float,
    total: float,
    settings: DetectorSettings,
) -> list[list[float]]:
    ceiling, most = CEILING * settings.threshold, 1.001 * settings.threshold / signal.rows
    found = []
    for (evidence, since, seen, sum_seen), more in zip(tracks, nats, strict=True):
        evidence += min(more, most)
        too_old = since and at - since > settings.forget_after_seconds and evidence < settings.threshold
        if evidence <= 0 or too_old:
            found.append(_QUIET)
        elif not since or since > at:
            found.append([min(evidence, ceiling), at, samples, total])
        else:
            found.append([min(evidence, ceiling), since, min(seen + samples, 1e12), sum_seen + total])
    return found


def _no_tracks(state: dict) -> list[list[float]]:
    return [_QUIET] * len(state["tracks"])


def _is_warm(state: dict, settings: DetectorSettings) -> bool:
    return state["samples"] >= settings.warm_up_samples and state["rows"] >= settings.warm_up_minutes


def _is_suspect(state: dict) -> bool:
    return max(state["tracks"])[0] >= SUSPICION


def _is_shaken(signals: dict[str, dict], limit: float) -> bool:
    for each in signals.values():
        for track in each["tracks"]:
            if track[0] >= limit:
                return True
    return False


def _accepted_in_time(signal: Signal, state: dict, at: int, settings: DetectorSettings) -> dict:
    """What has been so for very long is normal."""
    surest = max(state["tracks"])
    if surest[0] >= settings.threshold and at - surest[1] > settings.accept_after_seconds:
        return _accepted(signal, state)
    return state


def _accepted(signal: Signal, state: dict) -> dict:
    surest = max(state["tracks"])
    if not surest[2]:
        return state
    new = state | {"tracks": _no_tracks(state)}
    if signal.kind is Kind.LEVEL:
        new |= {"level": surest[3] / surest[2], "season": [0.0] * 24, "doubt": (signal.smallest * SLACK) ** 2}
    elif signal.kind is Kind.RATE:
        rate = surest[3] / surest[2]
        new |= {"samples": surest[2], "hits": rate * surest[2]}
        if surest[2] > 1e4:
            new |= {"samples": 1e4, "hits": rate * 1e4}
    else:
        new |= {"usual": [10 * each for each in state["recent"]], "samples": 10 * sum(state["recent"])}
    return new


def _finding(signal: Signal, state: dict, at: int, settings: DetectorSettings) -> Finding | None:
    evidence, since, samples, total = max(state["tracks"])
    if evidence < SUSPICION:
        return None
    if signal.kind is Kind.SHAPE:
        usual, now = _shares(state["usual"]), _shares(state["recent"])
        harm, spread = _psi(now, usual) / signal.grave, 0.0
    elif signal.kind is Kind.RATE:
        weight = state["samples"] + PRIOR_SAMPLES
        usual, now = (state["hits"] + PRIOR_SAMPLES * signal.usual) / weight, total / samples
        harm, spread = (now - usual) / signal.grave, _clustering(signal, state)
    else:
        usual, now = state["level"] + _season(state["season"], at), total / samples
        harm, spread = signal.direction * (now - usual) / signal.grave, math.sqrt(state["spread2"])
        if signal.log:
            usual, now = math.exp(usual), math.exp(now)
    return Finding(
        signal=signal.name,
        at=at,
        since=int(since),
        baseline=usual,
        now=now,
        samples=int(samples),
        evidence=evidence,
        threshold=settings.threshold,
        harm=max(0.0, min(1.0, harm)),
        spread=spread,
        sure=evidence >= settings.threshold,
    )


def _capped(nats: float, samples: float) -> float:
    most = NATS_PER_ROW + NATS_PER_SAMPLE * samples
    return max(-most, min(most, nats))


def _read(signal: Signal, minute: Minute) -> tuple[float, float] | None:
    """A row's value and its samples, if they can be believed."""
    samples_key, value_key = _KEYS[signal.name]
    samples, value = _number(minute.values.get(samples_key)), _number(minute.values.get(value_key))
    if samples is None or value is None or samples < signal.needs:
        return None
    samples = min(samples, 1e9)
    if signal.kind is Kind.RATE:
        return max(0.0, min(value, samples)), samples
    if signal.log:
        return (math.log(max(value, 1e-12)), samples) if value >= 0 else None
    return max(-1e9, min(value, 1e9)), samples


def _number(value: Any) -> float | None:
    if type(value) is float and -math.inf < value < math.inf:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _with_signals(state: dict, names: Iterable[str], change) -> dict:
    signals = dict(state.get("signals", {}))
    for name in names:
        if name in signals:
            signals[name] = change(SIGNALS[name], signals[name])
    return state | {"signals": signals}
