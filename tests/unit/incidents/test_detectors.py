"""domain/incidents/detectors.py and what it uses: what is worse is found in minutes, what is not is left alone, and no
input does harm.
"""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.incidents.detectors import accept, calm, observe, relearn
from domain.incidents.evidence import DetectorSettings
from domain.incidents.findings import Finding, weigh
from domain.incidents.signals import DAY, MINUTE, MOST_SAMPLES, SIGNALS, Kind, Minute

START = 1_800_000_000 // DAY * DAY
SETTINGS = DetectorSettings()
WARM_UP = 240
USUAL = {
    "Grounding": 0.9,
    "CostUsd": 0.002,
    "Latency": 1.5,
    "ModelErrors": 0.01,
    "RetrievalEmpty": 0.01,
    "Hedges": 0.04,
    "length": 1.0,
}


def row(chance: random.Random, at: int, samples: int, **levels: float) -> Minute:
    """A minute of so many requests: scores of five sentences, log-normal cost and latency, a length each."""
    usual = USUAL | levels
    values: dict[str, float] = {}
    if not samples:
        return Minute(at, values)
    shares = [chance.betavariate(2.33 * usual["Grounding"], 2.33 * (1 - usual["Grounding"])) for _ in range(samples)]
    scores = [sum(chance.random() < share for _ in range(5)) / 5 for share in shares]
    values |= {"Grounding.n": samples, "Grounding.mean": sum(scores) / samples}
    for metric, statistic in (("CostUsd", "tm"), ("Latency", "p50")):
        drawn = sorted(usual[metric] * math.exp(0.7 * chance.gauss(0, 1)) for _ in range(samples))
        middle = drawn[samples // 10 : samples - samples // 10]
        values |= {
            f"{metric}.n": samples,
            f"{metric}.tm": sum(middle) / len(middle),
            f"{metric}.p50": drawn[samples // 2],
        }
        assert f"{metric}.{statistic}" in values
    for metric in ("ModelErrors", "RetrievalEmpty", "Hedges"):
        values |= {
            f"{metric}.n": samples,
            f"{metric}.sum": sum(chance.random() < usual[metric] for _ in range(samples)),
        }
    shapes = [0] * 8
    for _ in range(samples):
        shapes[max(0, min(7, int(4 + usual["length"] * 1.0 - 1 + chance.gauss(0, 1))))] += 1
    for shape, count in enumerate(shapes):
        values |= {f"AnswerShape{shape}.n": samples, f"AnswerShape{shape}.sum": count}
    return Minute(at, values)


class Series:
    """A use case's minutes, one after the other."""

    def __init__(self, seed: int = 1, samples: int = 20) -> None:
        self.chance = random.Random(seed)
        self.samples, self.at, self.state = samples, START, None

    def pass_by(self, minutes: int, samples: int | None = None, levels: dict | None = None, **how) -> list[Finding]:
        """The findings of the last of them."""
        found: list[Finding] = []
        for _ in range(minutes):
            minute = row(self.chance, self.at, self.samples if samples is None else samples, **(levels or {}))
            self.state, found = observe(self.state, minute, SETTINGS, **how)
            self.at += MINUTE
            how.pop("deployed", None)
        return found

    def until_found(self, levels: dict, most: int = 60, **how) -> tuple[int, set[str]]:
        for minute in range(1, most + 1):
            if sure := {finding.signal for finding in self.pass_by(1, levels=levels, **how) if finding.sure}:
                return minute, sure
        return most + 1, set()


@pytest.fixture(scope="module")
def warm_state() -> dict:
    series = Series()
    series.pass_by(WARM_UP)
    return series.state


@pytest.fixture
def series(warm_state) -> Series:
    known = Series(seed=2)
    known.state, known.at = warm_state, START + WARM_UP * MINUTE
    return known


@pytest.mark.parametrize(
    ("levels", "signal", "within"),
    [
        ({"Grounding": 0.65}, "Grounding", 4),
        ({"CostUsd": 0.01}, "CostUsd", 2),
        ({"Latency": 4.5}, "Latency", 3),
        ({"ModelErrors": 0.5}, "ModelErrors", 3),
        ({"RetrievalEmpty": 0.7}, "RetrievalEmpty", 2),
        ({"Hedges": 0.3}, "Hedges", 6),
        ({"length": 3.0}, "AnswerShape", 6),
    ],
)
def test_what_is_worse_is_found_within_minutes(series, levels, signal, within):
    minutes, found = series.until_found(levels)

    assert signal in found
    assert minutes <= within


@pytest.mark.parametrize(
    "levels",
    [{"Grounding": 0.89}, {"CostUsd": 0.0022}, {"Latency": 1.6}, {"ModelErrors": 0.02}, {"Hedges": 0.045}],
)
def test_a_change_too_small_to_matter_is_none(series, levels):
    assert series.until_found(levels, most=180) == (181, set())


@pytest.mark.parametrize("samples", [4, 20])
def test_false_alarms_keep_to_their_budget_where_nothing_changes(samples):
    days, false = 8, 0
    series = Series(seed=samples, samples=samples)
    was: set[str] = set()
    for _ in range(days * 1440):
        sure = {finding.signal for finding in series.pass_by(1) if finding.sure}
        false += len(sure - was)
        was = sure

    assert false <= max(1, math.ceil(SETTINGS.false_alarms_per_day * days))


def test_a_finding_explains_itself(series):
    series.until_found({"CostUsd": 0.01})
    finding = next(each for each in series.pass_by(1, levels={"CostUsd": 0.01}) if each.signal == "CostUsd")

    assert finding.baseline == pytest.approx(0.0023, rel=0.2)
    assert finding.now == pytest.approx(0.0115, rel=0.3)
    assert START + WARM_UP * MINUTE <= finding.since <= finding.at == series.at - MINUTE
    assert finding.harm > 0.8
    assert "CostUsd is 0.01" in finding.explained() and " min; by chance once in" in finding.explained()
    assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


def test_nothing_is_found_before_it_is_known_what_is_usual():
    series = Series()

    assert series.pass_by(20) == []
    assert series.pass_by(9, levels={"Grounding": 0.2, "CostUsd": 0.1}) == []


def test_a_gap_in_traffic_is_no_drop_in_quality(series):
    before = series.state

    assert series.pass_by(300, samples=0) == []
    assert series.state["signals"]["Grounding"]["level"] == before["signals"]["Grounding"]["level"]
    assert not any(finding.sure for finding in series.pass_by(30))


def test_maintenance_is_silent_and_teaches_nothing(series):
    before = series.state["signals"]

    assert series.pass_by(30, levels={"Grounding": 0.1, "ModelErrors": 0.9}, disturbed=SIGNALS) == []
    assert series.state["signals"] == before


def test_a_mode_teaches_nothing_and_is_looked_at_all_the_same(series):
    level = series.state["signals"]["CostUsd"]["level"]

    found = series.pass_by(10, levels={"CostUsd": 0.01}, learn=False)

    assert [finding.signal for finding in found if finding.sure] == ["CostUsd"]
    assert series.state["signals"]["CostUsd"]["level"] == pytest.approx(level, abs=0.02)


def test_who_has_not_learned_for_long_takes_what_is_little_changed_for_usual(series):
    series.pass_by(180, learn=False)
    changed = {"length": 1.3, "Latency": 1.75}

    assert series.until_found(changed, most=120) == (121, set())


def test_a_baseline_does_not_learn_the_fault(series):
    usual = series.state["signals"]["Grounding"]["level"]

    series.pass_by(300, levels={"Grounding": 0.65})

    assert series.state["signals"]["Grounding"]["level"] == pytest.approx(usual, abs=0.03)


def test_what_was_learned_of_a_fault_before_it_was_found_is_forgotten(series):
    usual = series.state["signals"]["Latency"]["level"]
    slowly = [{"ModelErrors": 0.12, "Latency": 1.5 * 0.99**minute} for minute in range(60)]
    sure = False
    for levels in slowly:
        sure = sure or any(finding.sure for finding in series.pass_by(1, levels=levels))

    assert sure
    assert series.state["signals"]["Latency"]["level"] == pytest.approx(usual, abs=0.1)


def test_a_deploy_may_change_a_little_but_a_bad_one_is_found(series):
    harmless = Series(seed=3)
    harmless.state, harmless.at = series.state, series.at
    harmless.pass_by(1, deployed=True)
    assert harmless.until_found({"Latency": 1.75, "CostUsd": 0.0023}, most=120) == (121, set())

    series.pass_by(1, levels={"Grounding": 0.65}, deployed=True)
    minutes, found = series.until_found({"Grounding": 0.65})
    assert minutes <= 5 and found == {"Grounding"}


@pytest.mark.parametrize("signal", ["Grounding", "RetrievalEmpty", "AnswerShape"])
def test_what_an_operator_accepts_is_the_new_normal(series, signal):
    levels = {"Grounding": 0.7, "RetrievalEmpty": 0.4, "length": 3.0}
    series.pass_by(40, levels=levels)

    series.state = accept(series.state, [signal, "Unheard"])

    assert not any(finding.sure and finding.signal == signal for finding in series.pass_by(60, levels=levels))


def test_what_somebody_lets_be_is_learned_anew(series):
    series.until_found({"CostUsd": 0.006})

    series.state = relearn(series.state, ["CostUsd"])

    assert series.until_found({"CostUsd": 0.006}, most=120) == (121, set())
    assert series.until_found({"CostUsd": 0.03})[1] == {"CostUsd"}


def test_what_stayed_for_a_day_is_the_new_normal(series):
    assert series.until_found({"CostUsd": 0.006})[1] == {"CostUsd"}
    assert any(finding.sure for finding in series.pass_by(1400, levels={"CostUsd": 0.006}))

    assert series.pass_by(120, levels={"CostUsd": 0.006}) == []
    assert series.until_found({"CostUsd": 0.03})[1] == {"CostUsd"}


def test_a_signal_that_was_shown_to_be_well_has_no_evidence_left(series):
    assert series.pass_by(10, levels={"CostUsd": 0.01})

    series.state = calm(series.state, ["CostUsd"])

    assert series.pass_by(1) == []


def test_a_signal_that_is_well_again_is_soon_seen_to_be(series):
    series.pass_by(200, levels={"Grounding": 0.5})

    assert not any(finding.sure for finding in series.pass_by(15))


@pytest.mark.parametrize("step", [0, -MINUTE, -DAY + MINUTE])
def test_a_minute_that_was_seen_changes_nothing(series, step):
    again = row(series.chance, series.state["at"] + step, 20, Grounding=0.1)

    assert observe(series.state, again, SETTINGS) == (series.state, [])


def test_a_clock_that_was_far_ahead_stops_nothing(series):
    ahead = row(series.chance, series.at + 365 * DAY, 20)
    series.state, _ = observe(series.state, ahead, SETTINGS)

    assert series.until_found({"CostUsd": 0.01})[1] == {"CostUsd"}


# --- Evidence ----------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_worse_scores_are_more_evidence(warm_state, one, other, samples):
    low, high = sorted((one, other))
    at = warm_state["at"] + MINUTE

    def evidence(score: float) -> float:
        minute = Minute(at, {"Grounding.n": samples, "Grounding.mean": score})
        state, _ = observe(warm_state, minute, SETTINGS)
        return max(state["signals"]["Grounding"]["tracks"])[0]

    assert evidence(low) >= evidence(high)


@given(st.integers(1, 200), st.data())
@settings(max_examples=200, deadline=None)
def test_more_hits_are_more_evidence(warm_state, samples, data):
    hits = data.draw(st.integers(0, samples - 1))
    at = warm_state["at"] + MINUTE

    def evidence(number: int) -> float:
        state, _ = observe(warm_state, Minute(at, {"Hedges.n": samples, "Hedges.sum": number}), SETTINGS)
        return max(state["signals"]["Hedges"]["tracks"])[0]

    assert evidence(hits + 1) >= evidence(hits)


@pytest.mark.parametrize(
    ("levels", "signal"),
    [
        ({"Grounding": 0.65}, "Grounding"),
        ({"CostUsd": 0.01}, "CostUsd"),
        ({"RetrievalEmpty": 0.6}, "RetrievalEmpty"),
        ({"length": 3.0}, "AnswerShape"),
    ],
)
def test_a_later_minute_speaks_for_what_it_is_like(series, levels, signal):
    series.until_found(levels)
    finding = next(each for each in series.pass_by(3, levels=levels) if each.signal == signal)

    ill = sum(weigh(finding, row(series.chance, series.at, 20, **levels))[0] for _ in range(10))
    well = sum(weigh(finding, row(series.chance, series.at, 20))[0] for _ in range(10))

    assert ill > 10 and well < -5
    assert weigh(finding, Minute(series.at, {})) is None


# --- Whatever comes ------------------------------------------------------------------------

ODD = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**12), 10**12),
    st.none(),
    st.booleans(),
    st.just("1.0"),
)
KEYS = [
    f"{metric}.{statistic}"
    for metric in {signal.metric for signal in SIGNALS.values()} | {f"AnswerShape{shape}" for shape in range(8)}
    for statistic in ("n", "sum", "mean", "tm", "p50", "p95")
]
ODD_MINUTES = st.builds(
    Minute, st.one_of(st.integers(-(10**9), 2 * 10**9), ODD), st.dictionaries(st.sampled_from(KEYS), ODD, max_size=20)
)


@given(st.lists(ODD_MINUTES, max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_input_raises_or_leaves_what_is_no_json(warm_state, minutes):
    state = warm_state
    for minute in minutes:
        state, findings = observe(state, minute, SETTINGS)
        assert json.loads(json.dumps(state, allow_nan=False)) == state
        for finding in findings:
            json.dumps(finding.to_json(), allow_nan=False)
            finding.explained()
            weigh(finding, minute)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_constants_are_neither_worse_nor_an_error(value):
    values = {key: value for key in KEYS} | {key: 20 for key in KEYS if key.endswith(".n")}
    state = None
    for minute in range(600):
        state, findings = observe(state, Minute(START + minute * MINUTE, values), SETTINGS)
        assert not any(finding.sure for finding in findings)


@pytest.mark.parametrize("count", [MOST_SAMPLES + 1, 1e300, 1.7e308])
def test_a_count_that_no_minute_can_have_is_no_evidence_and_teaches_nothing(series, count):
    known = series.state["signals"]["AnswerShape"]
    minute = Minute(series.at, row(series.chance, series.at, 20).values | {"AnswerShape0.sum": count})

    series.state, _ = observe(series.state, minute, SETTINGS)

    assert series.state["signals"]["AnswerShape"] == known
    assert not [each for each in series.pass_by(5) if each.sure]


def test_a_count_that_no_minute_can_have_is_not_what_is_usual_from_the_beginning():
    state, chance = None, random.Random(1)
    for number in range(WARM_UP + 60):
        absurd = {"AnswerShape7.sum": 1e300} if number < 60 else {}
        values = row(chance, 0, 20).values | absurd
        state, findings = observe(state, Minute(START + number * MINUTE, values), SETTINGS)
        assert not any(finding.sure for finding in findings)

    assert sum(state["signals"]["AnswerShape"]["usual"]) < 20 * WARM_UP


def test_a_count_that_a_minute_can_just_have_does_no_harm(series):
    minute = Minute(series.at, {f"AnswerShape{shape}.sum": MOST_SAMPLES * (shape == 0) for shape in range(8)})

    for _ in range(5):
        series.state, _ = observe(series.state, minute, SETTINGS)

    series.pass_by(5)


def test_one_point_is_a_beginning():
    state, findings = observe(None, row(random.Random(1), START, 1), SETTINGS)

    assert findings == []
    assert json.loads(json.dumps(state)) == state


def test_a_million_points_leave_a_state_as_small_as_a_thousand():
    chance = random.Random(1)
    rows = []
    for _ in range(50):
        values = row(chance, 0, 20).values
        values |= {key: chance.random() * 20 for key in KEYS if key not in values} | {"Latency.n": 100}
        rows.append(values)
    sizes, state, minutes = [], None, 1_000_000 // len(SIGNALS) + 1
    for minute in range(minutes):
        state, _ = observe(state, Minute(START + minute * MINUTE, rows[minute % len(rows)]), SETTINGS)
        if minute in (20_000, minutes - 1):
            sizes.append(len(json.dumps(state)))

    assert len(state["signals"]) == len(SIGNALS)
    assert sizes[1] < 1.2 * sizes[0] < 20_000


def test_a_state_of_another_version_is_begun_anew(warm_state):
    state, findings = observe(warm_state | {"version": 0}, row(random.Random(1), START, 20), SETTINGS)

    assert (findings, state["signals"]["CostUsd"]["rows"]) == ([], 1)


def test_every_signal_says_what_matters():
    for name, signal in SIGNALS.items():
        assert signal.name == name
        assert 0 < signal.smallest < signal.grave
        assert signal.usual > 0 or signal.kind is Kind.SHAPE
