"""domain/incidents/course.py: down the ladder and back by evidence, by time where there is none, and never twice
at once.
"""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.incidents.course import begin, follow, step
from domain.incidents.findings import Finding
from domain.incidents.incidents import Incident, IncidentType
from domain.incidents.ladders import NORMAL, Rung, strictest
from domain.incidents.mitigation import ON_RUNG, Answer, Ask, Mitigation, MitigationSettings, Phase
from domain.incidents.signals import MINUTE, Minute
from domain.incidents.verdicts import Verdict, verdict

NOW = 1_800_000_000 // MINUTE * MINUTE
LADDER = ("stricter_review", "fallback_model", "cache_only", "refuse")
SETTINGS = MitigationSettings.from_json({"ladders": {"QUALITY_DEGRADATION": LADDER, "REPORTED": ["stricter_review"]}})
HELPS = {"well": 0.9, "ill": 0.6}


def incident(severity: int = 2, type_: str = "QUALITY_DEGRADATION") -> Incident:
    finding = Finding("Grounding", NOW - 60, NOW - 120, 0.9, 0.6, 40, 20.0, 13.0, 0.75, 0.2, True)
    found = {} if type_ == "REPORTED" else {"Grounding": finding}
    return Incident("i-1", "support", IncidentType(type_), severity, NOW, NOW - 120, NOW, findings=found)


def rows(until: float, like: str | None, minutes: int = 10, samples: int = 20) -> list[Minute]:
    """The last minutes, each with so many answers of that kind, or without any."""
    end = int(until // MINUTE * MINUTE)
    values = {"Grounding.n": samples, "Grounding.mean": HELPS[like]} if like else {}
    return [Minute(end - MINUTE * back, values) for back in range(minutes, 0, -1)]


class Course:
    """A mitigation stepped each half minute, while traffic is like the mode makes it."""

    def __init__(self, severity: int = 2, type_: str = "QUALITY_DEGRADATION") -> None:
        self.now = float(NOW)
        self.mitigation = begin(incident(severity, type_), NOW, SETTINGS)
        self.modes = [self.mitigation.mode(NOW)]

    def go_on(self, seconds: float, like, answer: Answer | None = None, until: Phase | None = None) -> "Course":
        """`like` is a kind of traffic, or gives it for a mode."""
        end = self.now + seconds
        while self.now < end and self.mitigation.phase is not until:
            self.now += 30
            kind = like(self.mode) if callable(like) else like
            self.mitigation = step(self.mitigation, self.now, rows(self.now, kind), SETTINGS, answer)
            answer = None
            if self.mode != self.modes[-1]:
                self.modes.append(self.mode)
        return self

    @property
    def mode(self) -> str:
        return self.mitigation.mode(self.now)


def healed_by(*modes: str):
    return lambda mode: "well" if mode in modes else None if mode in ("cache_only", "refuse") else "ill"


@pytest.mark.parametrize(("severity", "first"), [(3, "stricter_review"), (2, "stricter_review"), (1, "fallback_model")])
def test_a_severe_incident_passes_over_rungs_that_only_take_care(severity, first):
    begun = begin(incident(severity), NOW, SETTINGS)

    assert begun.mode(NOW) == first
    assert begun.ask == (Ask.SEVERE if severity == 1 else None)


def test_a_rung_that_helps_is_held_and_one_that_does_not_is_climbed_past():
    course = Course().go_on(900, healed_by("fallback_model"), until=Phase.HOLDING)

    assert course.modes == ["stricter_review", "fallback_model"]
    assert course.now - NOW < 600


def test_without_fresh_traffic_nobody_climbs():
    course = Course().go_on(SETTINGS.verify_seconds + 60, None)

    assert (course.mitigation.phase, course.modes) == (Phase.HOLDING, ["stricter_review"])


def test_what_needs_a_person_waits_for_one_and_goes_on_probing():
    ill = {"stricter_review": "ill", "fallback_model": "ill"}
    settings = replace(SETTINGS, needs_operator=(Rung.CACHE_ONLY,))
    held, now = begin(incident(), NOW, settings), float(NOW)
    modes = []
    for _ in range(60):
        now += 30
        held = step(held, now, rows(now, ill.get(held.mode(now), "ill")), settings)
        modes.append(held.mode(now))

    assert held.ask is Ask.APPROVE_RUNG
    assert "cache_only" not in modes and NORMAL in modes
    assert step(held, now + 1, [], settings, Answer.APPROVE).mode(now + 1) in ("cache_only", NORMAL)


def test_silence_approves_at_severity_one_and_only_there():
    settings = replace(SETTINGS, needs_operator=(Rung.CACHE_ONLY,), probe_after_seconds=3000)
    for severity, reached in ((1, True), (2, False)):
        held, now, modes = begin(incident(severity), NOW, settings), float(NOW), set()
        for _ in range(80):
            now += 30
            held = step(held, now, rows(now, "ill"), settings)
            modes.add(held.mode(now))
        assert ("cache_only" in modes) is reached


def test_an_exhausted_ladder_asks_and_still_probes():
    settings = replace(SETTINGS, ladders={"QUALITY_DEGRADATION": (Rung.FALLBACK_MODEL,)})
    held, now, phases = begin(incident(), NOW, settings), float(NOW), set()
    for _ in range(80):
        now += 30
        held = step(held, now, rows(now, "ill"), settings)
        phases.add(held.phase)

    assert held.ask is Ask.EXHAUSTED
    assert Phase.PROBING in phases


def test_a_probe_is_short_and_what_it_shows_decides():
    course = Course().go_on(900, healed_by("fallback_model"), until=Phase.HOLDING)
    course.go_on(900, healed_by("fallback_model"), until=Phase.PROBING)
    began = course.now
    assert course.mode == NORMAL

    course.go_on(900, healed_by("fallback_model"), until=Phase.HOLDING)
    assert course.mode == "fallback_model"
    assert course.now - began <= SETTINGS.settle_seconds + SETTINGS.probe_seconds + 60

    course.go_on(3600, "well", until=Phase.WATCHING)
    assert course.mode == NORMAL
    course.go_on(SETTINGS.watch_seconds + 60, "well")
    assert (course.mitigation.phase, course.mitigation.outcome) == (Phase.DONE, "RESTORED")


def test_probes_come_less_often_while_they_fail():
    course, waits = Course().go_on(900, healed_by("fallback_model"), until=Phase.HOLDING), []
    for _ in range(5):
        began = course.now
        course.go_on(4000, healed_by("fallback_model"), until=Phase.PROBING)
        waits.append(course.now - began)
        course.go_on(4000, healed_by("fallback_model"), until=Phase.HOLDING)

    assert waits == sorted(waits) and waits[-1] == pytest.approx(SETTINGS.probe_after_most, abs=60)
    assert waits[0] == pytest.approx(SETTINGS.probe_after_seconds, abs=60)


def test_a_relapse_goes_back_to_the_rung_that_helped():
    course = Course().go_on(4000, "well", until=Phase.WATCHING)
    rung = course.mitigation.rung

    course.go_on(600, "ill", until=Phase.VERIFYING)

    assert (course.mitigation.rung, course.mitigation.relapses) == (rung, 1)
    assert course.mode != NORMAL


def test_what_comes_back_too_often_is_held_for_long_and_told():
    course = Course()
    for _ in range(SETTINGS.flap_limit + 1):
        course.go_on(4000, "well", until=Phase.WATCHING).go_on(60, "well").go_on(900, "ill", until=Phase.VERIFYING)
        course.go_on(0 if course.mitigation.phase in ON_RUNG else 900, "ill")

    assert course.mitigation.relapses == SETTINGS.flap_limit + 1
    assert course.mitigation.ask is Ask.FLAPPING
    held = course.mode
    began = course.now
    course.go_on(2 * SETTINGS.hold_seconds, "well", until=Phase.PROBING)
    assert held != NORMAL and course.now - began > 0.8 * SETTINGS.hold_seconds


@pytest.mark.parametrize(("reopened", "held"), [(SETTINGS.flap_limit, False), (SETTINGS.flap_limit + 1, True)])
def test_an_incident_that_was_opened_again_and_again_flaps_as_well(reopened, held):
    course = Course()
    course.mitigation = begin(replace(incident(), reopened=reopened), NOW, SETTINGS)

    course.go_on(900, healed_by("stricter_review"), until=Phase.HOLDING)

    assert course.mitigation.is_firm is held
    assert (course.mitigation.ask is Ask.FLAPPING) is held


def test_a_mitigation_whose_machine_vanished_is_void_and_the_next_step_sees_how_that_went():
    held = Course().go_on(120, None).mitigation
    assert held.mode(held.until - 1) == "stricter_review"
    assert held.mode(held.until) == NORMAL

    late = held.until + 400
    assert step(held, late, rows(late, "well", 30), SETTINGS).phase is Phase.WATCHING
    assert step(held, late, rows(late, "ill", 30), SETTINGS).mode(late) == "stricter_review"


@pytest.mark.parametrize(
    ("answer", "phase", "mode"),
    [
        (Answer.APPROVE, Phase.VERIFYING, "fallback_model"),
        (Answer.RESTORE, Phase.WATCHING, NORMAL),
        (Answer.HOLD, Phase.HOLDING, "stricter_review"),
    ],
)
def test_an_operator_s_word_is_done_at_once(answer, phase, mode):
    course = Course().go_on(30, None, answer)

    assert (course.mitigation.phase, course.mode) == (phase, mode)


def test_what_an_operator_restored_metrics_do_not_take_back():
    course = Course().go_on(30, "ill", Answer.RESTORE).go_on(SETTINGS.watch_seconds + 60, "ill")

    assert (course.mitigation.phase, course.mitigation.outcome) == (Phase.DONE, "OPERATOR_RESTORED")


def test_what_an_operator_holds_is_not_probed_until_long_after():
    course = Course().go_on(30, None, Answer.HOLD).go_on(SETTINGS.hold_seconds - 60, "well")

    assert course.modes == ["stricter_review"]
    assert course.go_on(300, "well", until=Phase.PROBING).mode == NORMAL


def test_what_is_mild_is_not_degraded_for_long():
    course = Course(3).go_on(SETTINGS.mild_seconds + SETTINGS.probe_after_most + 600, healed_by("fallback_model"))
    course.go_on(SETTINGS.watch_seconds + 60, "ill")

    assert (course.mitigation.phase, course.mitigation.outcome) == (Phase.DONE, "TOLERATED")


def test_a_report_alone_is_a_person_s_to_end_or_long_time_s():
    course = Course(3, "REPORTED")
    assert (course.mode, course.mitigation.ask) == ("stricter_review", Ask.REPORTED)

    course.go_on(SETTINGS.hold_seconds - 60, "well")
    assert course.modes == ["stricter_review"]
    course.go_on(SETTINGS.watch_seconds + 300, "well")
    assert course.mitigation.is_done


def test_another_cause_has_another_ladder():
    ladders = SETTINGS.ladders | {"RETRIEVAL_FAILURE": (Rung.NO_RETRIEVAL, Rung.CACHE_ONLY)}
    settings = replace(SETTINGS, ladders=ladders)
    begun = begin(incident(), NOW, settings)

    moved = follow(begun, incident(1, "RETRIEVAL_FAILURE"), NOW + 60, settings)

    assert (moved.mode(NOW + 60), moved.ask) == ("no_retrieval", Ask.SEVERE)
    assert follow(moved, incident(1, "RETRIEVAL_FAILURE"), NOW + 60, settings) == moved


@pytest.mark.parametrize(
    ("type_", "found", "told"),
    [
        ("COST_SPIKE", {"CostUsd", "Latency", "OutputTokens"}, {"CostUsd"}),
        ("COST_SPIKE", {"OutputTokens"}, {"OutputTokens"}),
        ("HALLUCINATION_PATTERN", {"Interventions", "Grounding", "Confidence"}, {"Interventions", "Grounding"}),
    ],
)
def test_a_cause_is_judged_by_what_it_is_known_by(type_, found, told):
    symptom = incident().findings["Grounding"]
    findings = {name: replace(symptom, signal=name) for name in found}
    begun = begin(replace(incident(), type=IncidentType(type_), findings=findings), NOW, SETTINGS)

    assert set(begun.findings) == told


def test_an_incident_without_a_ladder_is_told_and_watched():
    begun = begin(incident(type_="LATENCY"), NOW, SETTINGS)

    assert (begun.mode(NOW), begun.phase, begun.ask) == (NORMAL, Phase.WATCHING, Ask.EXHAUSTED)
    assert step(begun, NOW + SETTINGS.watch_seconds, [], SETTINGS).is_done


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        ({}, Verdict.NO_DATA),
        ({"Grounding": (0.0, 0)}, Verdict.NO_DATA),
        ({"Grounding": (3.0, 5)}, Verdict.ILL),
        ({"Grounding": (-9.0, 100), "Latency": (3.0, 100)}, Verdict.ILL),
        ({"Grounding": (-5.0, 14)}, Verdict.UNSURE),
        ({"Grounding": (-5.0, 15)}, Verdict.WELL),
        ({"Grounding": (-5.0, 15), "Latency": (-4.9, 15)}, Verdict.UNSURE),
    ],
)
def test_ill_is_who_shows_one_symptom_and_well_who_shows_none(evidence, said):
    assert verdict(replace(begin(incident(), NOW, SETTINGS), evidence=evidence), SETTINGS) is said


# --- Whatever happens, in whatever order ----------------------------------------------------

KINDS = st.sampled_from(["well", "ill", None])
LATEST_END = (
    2 * SETTINGS.hold_seconds
    + 8 * (SETTINGS.probe_after_most + SETTINGS.probe_most + SETTINGS.metric_delay_seconds)
    + SETTINGS.verify_seconds * len(LADDER)
    + SETTINGS.watch_seconds
)


class Life(RuleBasedStateMachine):
    """A mitigation, whatever traffic, operators, clocks and dying machines do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = float(NOW)
        self.mitigation = begin(incident(), NOW, SETTINGS)
        self.seen: list[Minute] = []

    def take(self, moved: Mitigation) -> None:
        before, self.mitigation = self.mitigation, moved
        if before.phase is not Phase.WATCHING or moved.phase not in ON_RUNG:
            return
        assert moved.relapses == before.relapses + 1
        if moved.relapses > SETTINGS.flap_limit:
            assert (moved.phase, moved.ask) == (Phase.HOLDING, Ask.FLAPPING)
            assert moved.probe_at >= self.now + SETTINGS.hold_seconds

    @rule(seconds=st.floats(1, 400), kind=KINDS, samples=st.integers(1, 200))
    def step_in_time(self, seconds: float, kind: str | None, samples: int) -> None:
        self.now += seconds
        self.seen = rows(self.now, kind, samples=samples)
        self.take(step(self.mitigation, self.now, self.seen, SETTINGS))

    @rule(seconds=st.floats(500, 20_000), kind=KINDS)
    def the_machine_was_away(self, seconds: float, kind: str | None) -> None:
        self.now += seconds
        if self.now >= self.mitigation.until:
            assert self.mitigation.mode(self.now) == NORMAL
        self.seen = rows(self.now, kind, 30)
        self.take(step(self.mitigation, self.now, self.seen, SETTINGS))

    @rule(kind=KINDS, back=st.floats(0, 5000))
    def a_step_comes_twice_or_late(self, kind: str | None, back: float) -> None:
        assert step(self.mitigation, self.mitigation.stepped_at, self.seen, SETTINGS) == self.mitigation
        if back:
            late = step(self.mitigation, self.mitigation.stepped_at - back - 1e-3, rows(self.now, kind), SETTINGS)
            assert late is self.mitigation

    @rule(answer=st.sampled_from(list(Answer)))
    def an_operator_answers(self, answer: Answer) -> None:
        self.now += 1
        self.take(step(self.mitigation, self.now, self.seen, SETTINGS, answer))

    @rule(severity=st.integers(1, 3))
    def more_becomes_known(self, severity: int) -> None:
        self.take(follow(self.mitigation, incident(severity), self.now, SETTINGS))

    @rule()
    def the_detectors_find_it_again(self) -> None:
        self.now += 30
        self.take(step(self.mitigation, self.now, self.seen, SETTINGS, found_again=True))

    @invariant()
    def it_wants_one_mode_and_an_end_is_set_for_it(self) -> None:
        mode = self.mitigation.mode(self.now)
        assert mode == NORMAL or mode in LADDER
        assert self.mitigation.mode(self.mitigation.until) == NORMAL
        assert self.mitigation.until - self.mitigation.stepped_at <= SETTINGS.expiry_seconds
        if not self.mitigation.is_done:
            assert 0 < self.mitigation.next_at - self.mitigation.stepped_at <= SETTINGS.renew_seconds

    @invariant()
    def it_survives_being_stored(self) -> None:
        stored = json.dumps(self.mitigation.to_json(), allow_nan=False)
        assert Mitigation.from_json(json.loads(stored)) == self.mitigation
        assert len(stored) < 4000

    def teardown(self) -> None:
        """Once all is well, normal operation comes back by itself."""
        end = self.now + LATEST_END
        while not self.mitigation.is_done and self.now < end:
            self.now += 60
            self.mitigation = step(self.mitigation, self.now, rows(self.now, "well"), SETTINGS)
        assert self.mitigation.is_done
        assert self.mitigation.mode(self.now) == NORMAL


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


@given(st.lists(st.tuples(st.floats(1, 300), KINDS), min_size=1, max_size=20), st.randoms())
@settings(max_examples=60, deadline=None)
def test_steps_that_come_late_or_twice_end_in_the_same_state(steps, chance):
    now, plain, twice, done = float(NOW), begin(incident(), NOW, SETTINGS), begin(incident(), NOW, SETTINGS), []
    for seconds, kind in steps:
        now += seconds
        done.append((now, rows(now, kind)))
        plain = step(plain, *done[-1], SETTINGS)
        again = [done[-1], *chance.sample(done, chance.randint(0, len(done))), done[-1]]
        for moment, seen in again:
            twice = step(twice, moment, seen, SETTINGS)

    assert twice == plain


@given(st.lists(KINDS, max_size=120))
@settings(max_examples=40, deadline=None)
def test_no_traffic_leaves_a_use_case_degraded_for_good(kinds):
    course = Course()
    for kind in kinds:
        course.go_on(120, kind)
    course.go_on(LATEST_END, None, until=Phase.DONE)

    assert course.mitigation.is_done


@given(st.permutations(list(Rung)), st.integers(0, 6))
def test_of_several_the_strictest_holds_and_lifting_one_lifts_no_other(rungs, kept):
    wanted = [str(rung) for rung in rungs[:kept]]

    assert strictest([*wanted, NORMAL]) == (max(wanted, key=list(Rung).index) if wanted else NORMAL)
    for lifted in wanted:
        left = [mode for mode in wanted if mode != lifted]
        assert strictest(left) == max(left, key=list(Rung).index, default=NORMAL)


class TwoCauses:
    """Grounding that only the fallback model heals, cost that only cheaper answers do; both ask for their own rung."""

    def __init__(self) -> None:
        ladders = {"QUALITY_DEGRADATION": (Rung.FALLBACK_MODEL,), "COST_SPIKE": (Rung.CHEAPER,)}
        self.settings, self.now, self.rows = replace(SETTINGS, ladders=ladders), float(NOW), []
        cost = Finding("CostUsd", NOW - 60, NOW - 120, 0.001, 0.005, 40, 20.0, 13.0, 1.0, 0.8, True)
        spike = replace(incident(), incident_id="i-2", type=IncidentType.COST_SPIKE, findings={"CostUsd": cost})
        self.both = [begin(each, NOW, self.settings) for each in (incident(), spike)]

    @property
    def mode(self) -> str:
        return strictest(each.mode(self.now) for each in self.both)

    def go_on(self, minutes: int, badly_grounded: bool, costly: bool) -> "TwoCauses":
        for _ in range(minutes):
            mode = self.mode
            grounding = 0.6 if badly_grounded and mode != "fallback_model" else 0.9
            cost = 0.005 if costly and mode != "cheaper" else 0.001
            values = {"Grounding.n": 20, "Grounding.mean": grounding, "CostUsd.n": 20, "CostUsd.tm": cost}
            self.rows = [*self.rows[-30:], Minute(int(self.now), values)]
            self.now += MINUTE
            seen = [row for row in self.rows if row.at + 3 * MINUTE <= self.now]
            for place, each in enumerate(self.both):
                others = self.both[:place] + self.both[place + 1 :]
                self.both[place] = step(each, self.now, seen, self.settings, others=others)
        return self


def test_what_another_mitigation_s_mode_may_hide_restores_nothing():
    course = TwoCauses()
    for _ in range(90):
        course.go_on(1, badly_grounded=True, costly=True)
        assert all(each.phase is not Phase.WATCHING for each in course.both)

    assert course.mode == "cheaper"


@pytest.mark.parametrize(
    ("badly_grounded", "costly", "mode"), [(True, False, "fallback_model"), (False, True, "cheaper")]
)
def test_of_two_causes_the_one_that_is_gone_is_restored_and_the_other_kept(badly_grounded, costly, mode):
    course = TwoCauses().go_on(30, True, True).go_on(120, badly_grounded, costly)
    quality, cost = course.both

    assert (quality.is_done, cost.is_done) == (not badly_grounded, not costly)
    # The one that is kept may be probed at this very moment.
    assert strictest([course.mode, mode]) == mode
    course.go_on(180, False, False)
    assert all(each.is_done for each in course.both)
    assert course.mode == NORMAL


@pytest.mark.parametrize("moment", [math.nan, math.inf, -math.inf, NOW - 1, 0])
def test_a_clock_that_makes_no_sense_changes_nothing(moment):
    begun = begin(incident(), NOW, SETTINGS)

    assert step(begun, moment, rows(NOW, "ill"), SETTINGS) is begun
