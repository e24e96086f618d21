"""Shares: how many of a minute's answers have which length, and how unlike two such spreads are."""

import math

from domain.incidents.signals import MOST_SAMPLES, SHAPES, Minute, number

_SHAPE_KEYS = [f"AnswerShape{shape}.sum" for shape in range(SHAPES)]


def counts_of(minute: Minute) -> list[float] | None:
    """A minute's answers by length, if they can be believed: one absurd count would be what is usual for days."""
    counts = [number(minute.values.get(key)) for key in _SHAPE_KEYS]
    found = [count if count is not None and count > 0 else 0.0 for count in counts]
    return found if 0 < sum(found) <= MOST_SAMPLES else None


def shares_of(counts: list[float]) -> list[float]:
    total = sum(counts) + SHAPES
    return [(count + 1) / total for count in counts]


def psi(now: list[float], usual: list[float]) -> float:
    """The population stability index."""
    pairs = [(a + 1e-3, b + 1e-3) for a, b in zip(now, usual, strict=True)]
    return sum((a - b) * math.log(a / b) for a, b in pairs)
