"""Confidence: the estimated probability that an answer is acceptable, from signals that cost nothing extra."""

import math
import re

from domain.inference.answers import Answer
from domain.policy import ConfidenceScore

# A signal that a request does not have counts with this value, so that its absence is no evidence.
NEUTRAL = {
    "grounding": 0.5,
    "relevance": 0.5,
    "stated_confidence": 0.5,
    "retrieval": 0.5,
    "query_asks_fact": 0.26,
    "query_indefinite": 0.1,
    "query_link": 0.015,
}
# What a text shows, it shows early: reading on would cost time and change little.
READ_CHARACTERS = 20_000
# A share counts no further than answers and questions usually go: nobody lifts a score by repeating a word.
MAX_SHARES = {"tentative": 0.06, "superlatives": 0.06, "query_indefinite": 0.25}

_WORD = re.compile(r"[a-z]+")
_NO_LETTERS = {code: " " for code in range(128) if not chr(code).islower()}
_HEDGE = re.compile(
    r"\b(?:i (?:do not|don't|am not|cannot|can't)|i'm (?:not|sorry|unable)|as an ai|"
    r"not (?:sure|certain|possible)|unable to|do not hold|no information|i apologi[sz]e|sorry)\b"
)
_SPEAKS_AS_AI = ("as an ai", "language model")
_ASKS_BACK = ("please", "could you", "more information", "more context", "more details")
_FIGURE = re.compile(r"\d(?:\d\d|[.,]\d|%)")
_LARGE_OR_PART = re.compile(r"[mb]illion\b|percent\b")
# No answer hedges, and none tells such a figure, without one of these: looking for them is ten times as quick.
_HEDGE_HINTS = ("i do", "i am", "i'm", "i can", "as an ai", "not ", "unable", "no info", "apologi", "sorry")
_LARGE_OR_PART_HINTS = ("illion", "percent")
_OPERATORS = "=+^×÷√\\|/"
_TENTATIVE = frozenset({"can", "could", "if", "may", "might", "must", "should", "would"})
_SUPERLATIVES = frozenset({"best", "ever", "famous", "first", "known", "largest", "most", "only", "over"})
_ARTICLES = frozenset({"a", "an"})
# fmt: off
_FACTUAL = frozenset({
    "calculate", "chart", "compute", "current", "data", "equation", "fact", "facts", "famous", "find",
    "graph", "latest", "many", "much", "number", "past", "population", "recent", "solve", "statistics",
    "table", "what", "when", "which", "who",
})
# fmt: on


def signals_of(
    answer: Answer, retrieval_scores: list[float] | tuple = (), query: dict[str, float] | None = None
) -> dict[str, float]:
    """The signals at hand, each a number; what is unknown is left out."""
    text = answer.text[:READ_CHARACTERS].lower().replace("’", "'")
    words = _words(text)
    found = {
        "grounding": answer.grounding,
        "relevance": answer.relevance,
        "stated_confidence": answer.stated_confidence,
        "retrieval": max(retrieval_scores, default=None),
        "refusal": answer.refusal,
        "hedging": 1.0 if _holds(text, _HEDGE_HINTS) and _HEDGE.search(text) else 0.0,
        "speaks_as_ai": _holds(text, _SPEAKS_AS_AI),
        "asks_back": _holds(text, _ASKS_BACK),
        "figures": 1.0 if _FIGURE.search(text) or _is_large_or_part(text) else 0.0,
        "tentative": _share("tentative", words, _TENTATIVE),
        "superlatives": _share("superlatives", words, _SUPERLATIVES),
        "operators": math.log1p(sum(map(text.count, _OPERATORS))),
    }
    return {name: round(value, 6) for name, value in found.items() if value is not None} | (query or {})


def query_signals(query: str) -> dict[str, float]:
    """What the question alone says about its answer: facts and links go wrong more often than prose."""
    text = query[:READ_CHARACTERS].lower()
    words = _words(text)
    return {
        "query_asks_fact": 0.0 if _FACTUAL.isdisjoint(words) else 1.0,
        "query_indefinite": _share("query_indefinite", words, _ARTICLES),
        "query_link": _holds(text, ("http", "www.")),
    }


def confidence_of(signals: dict[str, float], score: ConfidenceScore) -> float:
    """Logistic score of the signals, in 0..1, rounded to the six digits that are stored."""
    logit = score.intercept + sum(
        weight * signals.get(name, NEUTRAL.get(name, 0.0)) for name, weight in score.weights.items()
    )
    return round(1 / (1 + math.exp(-max(-30.0, min(30.0, logit)))), 6)


def _words(text: str) -> list[str]:
    """The runs of a to z in a lower-case text; most texts are ASCII, where a table is ten times as quick."""
    return text.translate(_NO_LETTERS).split() if text.isascii() else _WORD.findall(text)


def _is_large_or_part(text: str) -> bool:
    return bool(_holds(text, _LARGE_OR_PART_HINTS) and _LARGE_OR_PART.search(text))


def _holds(text: str, phrases: tuple[str, ...]) -> float:
    return 1.0 if any(phrase in text for phrase in phrases) else 0.0


def _share(name: str, words: list[str], those: frozenset[str]) -> float:
    share = sum(map(those.__contains__, words)) / (len(words) or 1)
    return round(min(share, MAX_SHARES[name]), 6)
