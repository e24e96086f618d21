"""Confidence: the estimated probability that an answer is acceptable, from signals that cost nothing extra."""

import math
import re

from domain.answers import Answer
from domain.policy import ConfidenceScore

# A signal that a request does not have counts with this value, so that its absence is no evidence.
NEUTRAL = {"grounding": 0.5, "relevance": 0.5, "stated_confidence": 0.5, "retrieval": 0.5}

_SENTENCE = re.compile(r"[.!?]+(?:\s|$)")
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+")
_LIST_ITEM = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s", re.MULTILINE)
_HEDGE = re.compile(
    r"\b(?:I (?:do not|don't|am not|cannot|can't)|I'm (?:not|sorry|unable)|as an AI|not (?:sure|certain|possible)|unable to|"
    r"do not hold|no information|I apologi[sz]e|sorry)\b",
    re.IGNORECASE,
)


def signals_of(answer: Answer, retrieval_scores: list[float] | tuple = ()) -> dict[str, float]:
    """The signals at hand, each a number; what is unknown is left out."""
    text = answer.text
    words = text.split()
    count = len(words) or 1
    found = {
        "grounding": answer.grounding,
        "relevance": answer.relevance,
        "stated_confidence": answer.stated_confidence,
        "retrieval": max(retrieval_scores, default=None),
        "hedging": 1.0 if _HEDGE.search(text) else 0.0,
        "log_words": math.log1p(len(words)),
        "numbers_per_word": len(_NUMBER.findall(text)) / count,
        "names_per_word": len(_NAME.findall(text)) / count,
        "list_items": math.log1p(len(_LIST_ITEM.findall(text))),
        "words_per_sentence": math.log1p(len(words) / (len(_SENTENCE.findall(text)) or 1)),
    }
    return {name: round(value, 6) for name, value in found.items() if value is not None}


def confidence_of(signals: dict[str, float], score: ConfidenceScore) -> float:
    """Logistic score of the signals, in 0..1, rounded to the six digits that are stored."""
    logit = score.intercept + sum(
        weight * signals.get(name, NEUTRAL.get(name, 0.0)) for name, weight in score.weights.items()
    )
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, logit)))), 6)
