"""Ladders: the rungs that an incident is taken down, in the order of strictness, and what each hides from view."""

from collections.abc import Iterable
from enum import StrEnum

from domain.incidents.signals import SIGNALS

NORMAL = "normal"


class Rung(StrEnum):
    """In the order of strictness."""

    STRICTER_REVIEW = "stricter_review"
    FALLBACK_MODEL = "fallback_model"
    NO_RETRIEVAL = "no_retrieval"
    CHEAPER = "cheaper"
    CACHE_ONLY = "cache_only"
    REFUSE = "refuse"


# Signals that are otherwise in a mode by itself, and thus say nothing of what is wrong.
DISTURBS: dict[str, frozenset[str]] = {
    NORMAL: frozenset(),
    Rung.STRICTER_REVIEW: frozenset({"Rejections"}),
    Rung.FALLBACK_MODEL: frozenset(
        {"CostUsd", "OutputTokens", "ShortAnswers", "Latency", "LatencyTail", "AnswerShape", "Hedges"}
    ),
    Rung.NO_RETRIEVAL: frozenset(SIGNALS) - {"ModelErrors", "EmptyAnswers"},
    Rung.CHEAPER: frozenset(SIGNALS) - {"ModelErrors", "EmptyAnswers", "RetrievalScore", "RetrievalEmpty"},
    Rung.CACHE_ONLY: frozenset(SIGNALS),
    Rung.REFUSE: frozenset(SIGNALS),
}
# What answers are like in any other mode says nothing of what they would be like in normal operation.
HIDES_NOTHING = frozenset({NORMAL, Rung.STRICTER_REVIEW})
# Nothing is answered afresh there: whatever is seen says nothing of the cause.
WITHOUT_EVIDENCE = frozenset({Rung.CACHE_ONLY, Rung.REFUSE})


def strictest(modes: Iterable[str]) -> str:
    """Of several mitigations the strictest mode holds."""
    order = [NORMAL, *Rung]
    return max(modes, key=order.index, default=NORMAL)
