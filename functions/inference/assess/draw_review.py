"""DrawReview: whether a person is to look at the answer, and what they will need."""

import json
from secrets import SystemRandom

from adapters import payloads
from adapters.clock import iso
from adapters.dynamodb import as_item
from domain.outcomes import review_id_of
from domain.reviews.plans import kind_of, plan_review
from domain.reviews.review import Kind
from inference.assess.assessment import Assessment

_OF_REQUEST = ("tenant", "request_id", "request_key", "subject_ref")

# Nobody who sends requests may foresee which of them are audited.
chance = SystemRandom().random


def draw_review(assessment: Assessment) -> Assessment:
    request, use_case, verdict = assessment.request, assessment.use_case, assessment.verdict
    kind = kind_of(verdict.status, chance() < use_case.review.audit_share)
    if kind is None:
        return assessment.recording({"decided_by": "policy"})
    review = {
        "review_id": review_id_of(request["request_key"]),
        **{name: request[name] for name in _OF_REQUEST if name in request},
        "reason": verdict.reason,
        "confidence": assessment.confidence,
        **plan_review(kind, use_case, chance(), chance()),
    }
    recorded = {"review": as_item(review), **_passages(assessment)}
    if kind is Kind.HELD:
        due_at = iso(assessment.moment + use_case.review.reviewer_sla_seconds)
        recorded |= {"review_id": review["review_id"], "held_at": iso(assessment.moment), "due_at": due_at}
    else:
        recorded["decided_by"] = "policy"
    return assessment.recording(recorded, kind=kind, review=review)


def _passages(assessment: Assessment) -> dict:
    """What we found for the model, kept for who reviews its answer; what came with the request is kept already."""
    passages = [passage["GuardContent"]["Text"]["Text"] for passage in assessment.event["passages"]]
    if not passages:
        return {}
    request, found = assessment.request, json.dumps(passages, ensure_ascii=False)
    return payloads.keep("retrieved", request["request_key"], found, assessment.subject, request["expires_at"])
