"""bench/same_answers.py: what differs by nature is masked, and nothing else is."""

import json
from pathlib import Path

import pytest

from bench.same_answers import difference, masked
from retention_cleanup import report_retention

ROOT = Path(__file__).parents[2]
TOLD = {"review_id": "r-11aa787a1e6cc3f1c59a7dfeabf16175", "at": "2026-11-23T09:30:00.000Z"}


def differs(one: object, other: object, told: object = TOLD) -> bool:
    return bool(difference(masked(one, told), masked(other, told)))


def route(body: dict, **headers: str) -> dict:
    return {"statusCode": 200, "headers": {"content-type": "application/json", **headers}, "body": json.dumps(body)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-11-23T09:30:02.120Z", "2027-01-01T00:00:00.000Z"),
        ("e-0c1d2e3f40516273849506a7b8c9dae1", "e-1c1d2e3f40516273849506a7b8c9dae2"),
        ("59dc2f2d-8d0c-4a53-9d0f-3c1b7a2e9f41", "00000000-8d0c-4a53-9d0f-3c1b7a2e9f41"),
        ("http://127.0.0.1:4001/x", "http://127.0.0.1:4002/x"),
        ({"expires_at": 1_795_426_322}, {"expires_at": 1_795_500_000}),
        ({"LatencyMs": 12}, {"LatencyMs": 640}),
        (route({"a": 1}, etag='"1"'), route({"a": 1}, etag='"2"')),
    ],
)
def test_what_differs_by_nature_is_no_difference(one, other):
    assert not differs(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"status": "HELD"}, {"status": "COMPLETED"}),
        ({"deleted": 3}, {"deleted": 2}),
        ({"sla_seconds": 14_400}, {"sla_seconds": 7_200}),
        ({"done": True}, {"done": 1}),
        ({"confidence": 0.41}, {"confidence": 0.42}),
        (None, {}),
        (["a", "b"], ["b", "a"]),
        ({"claimed_until": "2026-11-23T09:30:02.120Z"}, {"claimed_until": None}),
        (route({"next": "done"}), route({"next": "lead"})),
        (route({"a": 1}), route({"a": 1}, location="/x")),
        ({"errorType": "PolicyUnavailable"}, {"errorType": "KeyError"}),
        # What was told comes back as it was: another one is no id of one's own.
        ({"review_id": TOLD["review_id"]}, {"review_id": "r-00aa787a1e6cc3f1c59a7dfeabf16175"}),
        ({"at": TOLD["at"]}, {"at": "2026-11-23T09:30:01.000Z"}),
    ],
)
def test_what_does_not_is_one(one, other):
    assert differs(one, other)


def test_ids_that_belong_together_have_to_in_both():
    one, other = "a" * 32, "b" * 32

    assert not differs({"ref": one, "of": one}, {"ref": other, "of": other})
    assert differs({"ref": one, "of": one}, {"ref": one, "of": other})


def test_a_later_answer_is_the_same_and_a_changed_handler_s_is_not(context, bucket, clock, monkeypatch):
    event = json.loads((ROOT / "events/inputs/ReportRetentionFunction.json").read_text())
    before = report_retention.handler(event, context)
    clock(3600)
    assert before["ended_at"] != report_retention.handler(event, context)["ended_at"]
    assert not differs(before, report_retention.handler(event, context), event)

    rule = report_retention.report_of
    monkeypatch.setattr(report_retention, "report_of", lambda *given: rule(*given) | {"deleted": 2})

    assert differs(before, report_retention.handler(event, context), event)
