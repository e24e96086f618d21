"""domain/governance/retention.py: what a run goes through, and what its report says."""

import pytest

from domain.governance.retention import (
    MOST_NAMED,
    Deletion,
    Expired,
    Objects,
    Outcome,
    Page,
    Store,
    Tally,
    Unit,
    day_of,
    objects_of,
    report_of,
    segments_of,
)

NOW = 1_800_000_000


@pytest.mark.parametrize(("items", "segments"), [(0, 1), (49_999, 1), (50_000, 2), (10**9, 32)])
def test_a_table_is_cut_into_segments_of_some_size_and_not_too_many(items, segments):
    units = segments_of(Store.REQUESTS, items)

    assert [unit.segment for unit in units] == list(range(segments))
    assert {unit.segments for unit in units} == {segments}


def test_a_day_is_over_when_the_next_one_has_begun():
    units = objects_of(["2026-11-23", "2026-11-24", "2026-11-25"], "2026-11-24")

    assert [unit.prefix for unit in units if unit.objects == Objects.DATED] == ["requests/2026-11-23/"]


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("requests/2026-11-24/0a/payload-1.json", "2026-11-24"),
        ("requests/2026112400/payload-1.json", None),
        ("held/2026-11-24/0a/payload-1.json", None),
        ("events/2026-11-24/x", None),
    ],
)
def test_a_day_stands_in_an_object_s_name_alone(name, day):
    assert day_of(name) == day


def test_a_tally_counts_what_is_gone_by_class_and_names_a_few_of_what_failed():
    expired = [Expired(f"r-{number}", NOW - number, "standard") for number in range(20)]
    deletion = Deletion({"r-19"}, {f"r-{number}": "ValidationException" for number in range(8)})
    tally = Tally.from_json({}).after(Page(expired, 50, "next"), deletion, NOW)
    tally = Tally.from_json(tally.to_json()).after(Page([Expired("s-1", NOW - 5, "short")], 50, ""), Deletion(), NOW)

    assert tally.deleted == {"standard": 11, "short": 1}
    assert (tally.seen, tally.kept, tally.failures, len(tally.failed)) == (100, 1, 8, MOST_NAMED)
    # What was prolonged meanwhile was not overdue.
    assert tally.behind_seconds == 18


def test_a_report_lists_what_failed_and_units_that_never_came_back():
    units = [unit.to_json() for unit in (*segments_of(Store.REQUESTS, 50_000), *objects_of([], "2026-11-24"))]
    good = Tally(seen=3, deleted={"standard": 2}, behind_seconds=7).to_json()
    bad = Tally(seen=1, failures=1, failed=(("acme#r-1", "ValidationException"),)).to_json()
    results = [
        {"unit": units[0], "tally": good, "error": ""},
        {"unit": units[1], "tally": bad, "error": "States.Timeout"},
        {"unit": units[2], "tally": {}, "error": ""},
    ]

    report = report_of(units, results, "then", "now", False)

    assert report["outcome"] == Outcome.INCOMPLETE
    assert (report["deleted"], report["failures"], report["behind_seconds"]) == (2, 3, 7)
    assert report["stores"]["requests"]["deleted"] == {"standard": 2}
    assert report["failed"] == [
        {"store": "requests", "key": "acme#r-1", "error": "ValidationException"},
        {"store": "requests", "key": "segment 2 of 2", "error": "States.Timeout"},
        {"store": "payloads", "key": "events/", "error": "Lost"},
    ]


def test_a_unit_survives_its_journey_through_a_state():
    for unit in (Unit(Store.CACHE, 2, 7), *objects_of(["2026-01-01"], "2026-01-02")):
        assert Unit.from_json(unit.to_json()) == unit
