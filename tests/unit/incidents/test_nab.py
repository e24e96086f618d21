"""bench/nab.py: what an alarm earns in the benchmark's standard profile, by hand-computed cases; bench/detectors.py."""

import json
import math
import sys

import pytest

from bench import detectors
from bench.nab import (
    FALSE_ALARM_COST,
    Result,
    false_alarm_cost,
    hit_worth,
    normalise,
    probation_of,
    read_corpus,
    score_alarms,
)

ROWS = 1000
WINDOWS = [(400, 449), (700, 799)]


def sigmoid(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


@pytest.mark.parametrize(("rows", "probation"), [(0, 0), (10, 1), (100, 15), (4032, 604), (5000, 750), (22695, 750)])
def test_probation_is_a_share_of_the_series_and_has_an_end(rows, probation):
    assert probation_of(rows) == probation


def test_never_to_alarm_is_worth_nothing_and_to_alarm_at_every_start_all():
    silent = score_alarms([], WINDOWS, ROWS)
    perfect = score_alarms([400, 700], WINDOWS, ROWS)

    assert silent == Result(-2.0, -2.0, 2.0, 0, 0, 0)
    assert (normalise([silent]), normalise([perfect])) == (0.0, pytest.approx(100))


@pytest.mark.parametrize(
    ("row", "worth"),
    [
        (400, 1.0),
        (425, sigmoid(-0.5) / sigmoid(-1)),
        (449, sigmoid(-1 / 50) / sigmoid(-1)),
    ],
)
def test_the_earlier_in_a_window_the_better(row, worth):
    assert hit_worth(row, 400, 449) == pytest.approx(worth)
    assert score_alarms([row], WINDOWS, ROWS).score == pytest.approx(worth - 1)


def test_only_the_first_alarm_in_a_window_counts():
    once, twice = (score_alarms(rows, WINDOWS, ROWS) for rows in ([420], [420, 430]))

    assert once.score == twice.score
    assert (twice.alarms, twice.hits, twice.false_alarms) == (2, 1, 0)


@pytest.mark.parametrize(
    ("row", "cost"),
    [
        (399, FALSE_ALARM_COST),
        (450, -FALSE_ALARM_COST * sigmoid(1 / 49)),
        (498, -FALSE_ALARM_COST * sigmoid(1)),
        (449 + 3 * 49, FALSE_ALARM_COST),
        (699, FALSE_ALARM_COST),
        (800, -FALSE_ALARM_COST * sigmoid(1 / 99)),
    ],
)
def test_a_false_alarm_costs_more_the_farther_it_is_behind_the_last_window(row, cost):
    assert false_alarm_cost(row, WINDOWS) == pytest.approx(cost)
    assert score_alarms([row], WINDOWS, ROWS).score == pytest.approx(-2 - cost)


def test_probation_counts_neither_alarms_nor_windows():
    probation = probation_of(ROWS)
    result = score_alarms([0, 50, probation - 1], [(40, 60)], ROWS)

    assert (result.score, result.null, result.alarms) == (0.0, 0.0, 0)
    assert score_alarms([probation - 1], [(100, 200)], ROWS).hits == 0
    assert score_alarms([probation], [(100, 200)], ROWS).hits == 1


def test_a_window_of_one_row_can_be_hit_and_followed_by_a_false_alarm():
    assert score_alarms([500], [(500, 500)], ROWS).score == pytest.approx(1)
    assert false_alarm_cost(501, [(500, 500)]) == pytest.approx(-FALSE_ALARM_COST * sigmoid(1))


def test_a_corpus_is_scored_as_a_whole():
    found = score_alarms([400], [(400, 449)], ROWS)
    missed = score_alarms([300], [(400, 449)], ROWS)
    healthy = score_alarms([300], [], ROWS)

    assert normalise([found, missed]) == pytest.approx(100 * (1 - 1 - 0.11 + 2) / 4)
    assert normalise([found, healthy]) == pytest.approx(100 * (1 - 0.11 + 1) / 2)
    assert normalise([healthy]) == 0.0


def test_a_corpus_is_read_in_the_benchmarks_layout(tmp_path):
    (tmp_path / "data/kind").mkdir(parents=True)
    lines = [f"2026-01-01 00:{minute:02}:00,{minute}.5" for minute in range(0, 60, 5)]
    (tmp_path / "data/kind/one.csv").write_text("\n".join(["timestamp,value", *lines]))
    windows = {"kind/one.csv": [["2026-01-01 00:10:00.000000", "2026-01-01 00:20:00.000000"]]}
    (tmp_path / "combined_windows.json").write_text(json.dumps(windows))

    [series] = read_corpus(tmp_path)

    assert (series.name, series.category, series.windows) == ("kind/one", "kind", [(2, 4)])
    assert series.values[:2] == [0.5, 5.5]
    assert series.times[1] - series.times[0] == 300


def test_the_bench_without_its_data_says_so_and_is_content(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["detectors.py", "--data", str(tmp_path / "absent")])

    assert detectors.main() == 0
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[-1])["skipped"] is True
    assert "skipped" in err


@pytest.mark.parametrize(("values", "code"), [([20.0] * 1500 + [90.0] + [20.0] * 499, 0), ([20.0] * 2000, 1)])
def test_the_bench_fails_below_its_target(monkeypatch, capsys, tmp_path, values, code):
    (tmp_path / "data/kind").mkdir(parents=True)
    moments = [f"2026-01-{1 + row // 288:02} {row % 288 // 12:02}:{row % 12 * 5:02}:00" for row in range(len(values))]
    rows = [f"{moment},{value}" for moment, value in zip(moments, values, strict=True)]
    (tmp_path / "data/kind/one.csv").write_text("\n".join(["timestamp,value", *rows]))
    (tmp_path / "combined_windows.json").write_text(json.dumps({"kind/one.csv": [[moments[1495], moments[1595]]]}))
    monkeypatch.setattr(sys, "argv", ["detectors.py", "--data", str(tmp_path)])

    assert detectors.main() == code
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"nab_standard", "threshold", "us_per_point", "state_bytes"} <= result.keys()


def test_alarms_are_spread_evenly_behind_probation():
    assert detectors.spread(0, ROWS) == []
    assert detectors.spread(1, ROWS) == [575]
    assert detectors.spread(2, ROWS) == [362, 787]
