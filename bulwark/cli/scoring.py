"""How many of the released answers were wrong, against how many there would have been without Bulwark."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bulwark.cli.questions import Question
from bulwark.cli.sending import Sent


@dataclass(frozen=True)
class Share:
    """So many wrong of so many, with the exact (Clopper-Pearson) interval of the true share."""

    wrong: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        from domain.reviews.review_quality import clopper_pearson

        return clopper_pearson(self.wrong, self.of) if self.of else (0.0, 1.0)

    def as_dict(self) -> dict:
        low, high = self.interval
        share = self.wrong / self.of if self.of else None
        return {
            "wrong": self.wrong,
            "of": self.of,
            "share": share,
            "interval": [low, high],
        }

    def __str__(self) -> str:
        if not self.of:
            return "none of none"
        low, high = self.interval
        return f"{self.wrong} of {self.of} ({self.wrong / self.of:.1%}; 95 % interval {low:.1%} to {high:.1%})"


def wrong_shares(everything: Iterable[Sent], labels: Mapping[str, Question]) -> tuple[Share, Share]:
    """Wrong answers among those released without a person, and among all that a model answered."""
    judged = [(sent.kind, labels[sent.detail["request_id"]].acceptable) for sent in everything]
    answered = [acceptable for kind, acceptable in judged if kind in ("RELEASED", "HELD", "COMPLETED")]
    released = [acceptable for kind, acceptable in judged if kind == "RELEASED"]
    return Share(released.count(False), len(released)), Share(answered.count(False), len(answered))
