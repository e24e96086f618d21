"""How many of the released answers were wrong, against how many there would have been without Bulwark."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import comb

from local.cli.questions import Question
from local.cli.sending import Sent

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """So many wrong of so many, with the exact (Clopper-Pearson) interval of the true share."""

    wrong: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        tail = (1 - CONFIDENCE) / 2
        low = 0.0 if self.wrong == 0 else _root(lambda p: self._at_least(p) - tail)
        high = 1.0 if self.wrong == self.of else _root(lambda p: tail - self._at_most(p))
        return low, high

    def as_dict(self) -> dict:
        low, high = self.interval
        share = self.wrong / self.of if self.of else None
        return {
            "wrong": self.wrong,
            "of": self.of,
            "share": share,
            "interval": [round(low, 4), round(high, 4)],
        }

    def __str__(self) -> str:
        if not self.of:
            return "none of none"
        low, high = self.interval
        return f"{self.wrong} of {self.of} ({self.wrong / self.of:.1%}; 95 % interval {low:.1%} to {high:.1%})"

    def _at_most(self, p: float) -> float:
        return sum(comb(self.of, k) * p**k * (1 - p) ** (self.of - k) for k in range(self.wrong + 1))

    def _at_least(self, p: float) -> float:
        return sum(comb(self.of, k) * p**k * (1 - p) ** (self.of - k) for k in range(self.wrong, self.of + 1))


def wrong_shares(everything: Iterable[Sent], labels: Mapping[str, Question]) -> tuple[Share, Share]:
    """Wrong answers among those released without a person, and among all that a model answered."""
    judged = [(sent.kind, labels[sent.detail["request_id"]].acceptable) for sent in everything]
    answered = [acceptable for kind, acceptable in judged if kind in ("RELEASED", "HELD", "COMPLETED")]
    released = [acceptable for kind, acceptable in judged if kind == "RELEASED"]
    return Share(released.count(False), len(released)), Share(answered.count(False), len(answered))


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function of a share is zero."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
