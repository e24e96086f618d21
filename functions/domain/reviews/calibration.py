"""Calibration: which threshold a use case's own verdicts prove, for a promise such as "at most 5 % are wrong".

Learn then Test (Angelopoulos et al., 2021) with exact binomial tests in a fixed order: from the surest answers down,
each step is tested at the full risk, and the first one that fails ends it. What is judged must be a uniform sample of
answers, whatever their confidence, so held answers, all of which are judged, are thinned to the audits' share.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

from domain.reviews.decisions import Decision
from domain.reviews.review import Kind, ReviewStatus
from domain.reviews.review_quality import binomial_at_most

STEPS = 20
# Held whatever their confidence, or because of it: of these every answer is judged.
_FULLY_JUDGED = ("LOW_CONFIDENCE", "RISK_CLASS")


@dataclass(frozen=True, slots=True)
class Judged:
    confidence: float
    acceptable: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A threshold under test: what it would have released, and whether the promise is proven for it."""

    threshold: float
    released: int
    wrong: int
    proven: bool


def judged_of(reviews: Iterable[dict]) -> list[Judged]:
    """A uniform sample of a use case's answers, of the reviews that people ended."""
    decided = [
        review
        for review in reviews
        if review.get("status") == ReviewStatus.DECIDED
        and (review["kind"] == Kind.AUDIT or (review["kind"] == Kind.HELD and review["reason"] in _FULLY_JUDGED))
    ]
    shares = [float(review["audit_share"]) for review in decided if review["kind"] == Kind.AUDIT]
    least = min(shares, default=1.0)
    return [
        Judged(float(review["confidence"]), review["decision"] == Decision.APPROVE)
        for review in decided
        if _draw(review["review_id"]) * (float(review["audit_share"]) if review["kind"] == Kind.AUDIT else 1.0) < least
    ]


def prove(judged: list[Judged], promise: float, risk: float) -> list[Step]:
    """Test thresholds from the surest answers downward, up to the first for which the promise is not proven.

    At most `promise` of what a proven threshold releases is wrong, with a chance of `risk` that this is luck.
    """
    ordered = sorted(judged, key=lambda each: -each.confidence)
    # With fewer even a clean record proves nothing.
    fewest = math.ceil(math.log(risk) / math.log1p(-promise))
    sizes = sorted({max(fewest, math.ceil(len(ordered) * step / STEPS)) for step in range(1, STEPS + 1)})
    steps: list[Step] = []
    for size in (size for size in sizes if size <= len(ordered)):
        threshold = ordered[size - 1].confidence
        released = [each for each in ordered if each.confidence >= threshold]
        wrong = sum(not each.acceptable for each in released)
        steps.append(Step(threshold, len(released), wrong, binomial_at_most(wrong, len(released), promise) <= risk))
        if not steps[-1].proven:
            break
    return steps


def _draw(review_id: str) -> float:
    """A number in 0..1 that is a review's own, so that a sample is the same each time."""
    return int(hashlib.sha256(f"calibration#{review_id}".encode()).hexdigest()[:12], 16) / 16**12
