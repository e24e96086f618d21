"""events/inputs/*.json: what `sam local invoke` sends is what each handler takes."""

import importlib
import json
from pathlib import Path

import pytest

from adapters import payloads, reviews_table, workflows
from domain.reviews import Decision, ReviewDecision

ROOT = Path(__file__).parents[2]
INPUTS = sorted(ROOT.glob("events/inputs/*.json"))
NOW = 1_800_000_000.0


@pytest.fixture
def world(held, rules, bus, dead_letters, clock, monkeypatch, sample):
    """A held request and its review, under the ids the inputs use, and machines that do as they are told."""
    review = held("ticket-4711", use_case="product_support", draft_digest=draft_digest_of_inputs())
    reviews_table.open_for(review, "reviewer", "token", 600, int(NOW) + 86_400, NOW)
    payloads.put("events/2f0d1c9a-7b53-4e0e-8f43-51d0c6c1a7e2.json", json.dumps(sample("InferenceRequested")).encode())
    monkeypatch.setattr(workflows, "resume_review", lambda token: True)
    monkeypatch.setattr(workflows, "infer", lambda execution_input: {"request_key": review["request_key"]})
    monkeypatch.setattr(
        "adapters.bedrock.converse",
        lambda *_: {"StopReason": "end_turn", "Output": {"Message": {"Content": []}}},
    )
    return review


def draft_digest_of_inputs() -> str:
    return json.loads((ROOT / "events/inputs/AwaitReviewerFunction.json").read_text())["review"]["draft_digest"]


def run(path: Path, template: dict, context) -> dict | None:
    module = template["Resources"][path.stem]["Properties"]["Handler"].removesuffix(".handler")
    return importlib.import_module(module).handler(json.loads(path.read_text()), context)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_each_input_is_one_its_handler_takes(path, world, template, context, requests):
    if path.stem in ("AdmitRequestFunction", "AssessAnswerFunction", "RecordFailureFunction"):
        requests.delete_item(Key={"request_key": world["request_key"]})
    if path.stem in ("AssessAnswerFunction", "RecordFailureFunction"):
        requests.put_item(Item={"request_key": world["request_key"], "status": "ADMITTED"})
    if path.stem == "RecordDecisionFunction":
        approve = ReviewDecision(Decision.APPROVE, draft_digest_of_inputs(), None, None, None)
        reviews_table.decide({**world}, approve, "rev-1", NOW, is_lead=False)

    result = run(path, template, context)

    if result and "statusCode" in result:
        assert result["statusCode"] in (200, 202)
    if result and "batchItemFailures" in result:
        assert result["batchItemFailures"] == []
    if path.stem == "AdmitRequestFunction":
        assert result["admission"] == "ADMITTED"
    if path.stem == "AssessAnswerFunction":
        assert result["status"] == "COMPLETED"


def test_a_review_s_inputs_are_of_one_review(world):
    decision = json.loads((ROOT / "events/inputs/DecideReviewFunction.json").read_text())

    assert decision["pathParameters"]["review_id"] == world["review_id"]
    assert json.loads(decision["body"])["draft_digest"] == draft_digest_of_inputs()
