"""Quality of review: what a finished review counts for, and what the counts say about answers and reviewers.

One set of counters per tenant, use case and month. Three kinds of evidence, each for a question of its own: random
audits of released answers (how often is a release wrong?), two verdicts on one draft (do reviewers agree?), and planted
bad answers (does anybody look?).
"""

import math
import re
from collections.abc import Callable

from domain.reviews.decisions import Decision
from domain.reviews.review import Kind, ReviewStatus
from domain.reviews.verdicts import pair_of

CONFIDENCE_LEVEL = 0.95


def month_of(moment: str) -> str:
    """The month of an ISO moment, as counters and the desk name it: 2026-11."""
    return moment[:7]


def tally_of(review: dict) -> dict[str, int]:
    """The counters that a finished review raises; those of a person begin with by_ and who it is."""
    counts: dict[str, int] = {}

    def count(name: str, number: int = 1) -> None:
        counts[name] = counts.get(name, 0) + number

    lapsed = review["status"] == ReviewStatus.LAPSED
    accepted = review.get("decision") == Decision.APPROVE
    if review["kind"] == Kind.HELD:
        count("held_lapsed" if lapsed else f"held_{_PAST[review['decision']]}")
    elif review["kind"] == Kind.AUDIT and not lapsed:
        count("audits_judged")
        count("audits_wrong", 0 if accepted else 1)
    elif review["kind"] == Kind.AUDIT:
        count("audits_lapsed")
    # What silence ended is nobody's work: only this tells how quickly people work a queue off.
    count("decided", 0 if lapsed else 1)
    verdicts = review.get("verdicts", [])
    if review["kind"] != Kind.PLANTED and (pair := pair_of(verdicts)):
        first, second = (each["decision"] == Decision.APPROVE for each in pair)
        count(f"pairs_{'yes' if first else 'no'}_{'yes' if second else 'no'}")
    for verdict in verdicts:
        who = person_key(verdict["person"])
        count(f"by_{who}_decided")
        count(f"by_{who}_seconds", int(verdict["seconds"]))
        if review["kind"] == Kind.PLANTED and verdict["decision"] in _PAST:
            missed = verdict["decision"] == Decision.APPROVE
            for prefix in ("", f"by_{who}_"):
                count(f"{prefix}planted_shown")
                count(f"{prefix}planted_missed", int(missed))
    return {name: number for name, number in counts.items() if number}


def people_of(review: dict) -> dict[str, str]:
    """The names of a review's people, under the attributes that keep them."""
    return {f"by_{person_key(each['person'])}_name": each["name"] for each in review.get("verdicts", [])}


def person_key(person: str) -> str:
    """A user's id as part of an attribute's name."""
    return re.sub(r"\W", "", person)


def report_on(counts: dict) -> dict:
    """What a use case's counters say: audits with their interval, agreement, planted items, held answers."""
    judged, wrong = _of(counts, "audits_judged"), _of(counts, "audits_wrong")
    low, high = clopper_pearson(wrong, judged) if judged else (None, None)
    pairs = [[_of(counts, f"pairs_{first}_{second}") for second in ("yes", "no")] for first in ("yes", "no")]
    return {
        "audits": {"judged": judged, "wrong": wrong, "low": low, "high": high},
        "agreement": {
            "pairs": sum(map(sum, pairs)),
            "agreed": pairs[0][0] + pairs[1][1],
            "kappa": cohens_kappa(pairs),
        },
        "planted": {name: _of(counts, f"planted_{name}") for name in ("shown", "missed")},
        "held": {name: _of(counts, f"held_{name}") for name in (*_PAST.values(), "lapsed")},
    }


def reviewers_of(counters: list[dict]) -> list[dict]:
    """Each reviewer's row over several use cases: how much, how quickly, and how many planted answers passed."""
    rows: dict[str, dict] = {}
    for counts in counters:
        for name, value in counts.items():
            if match := _BY.fullmatch(name):
                row = rows.setdefault(match[1], {"decided": 0, "seconds": 0, "planted_shown": 0, "planted_missed": 0})
                row[match[2]] = str(value) if match[2] == "name" else row[match[2]] + int(value)
    return [
        {
            "person": who,
            "reviewer": row.get("name", who),
            "decided": row["decided"],
            "mean_seconds": round(row["seconds"] / row["decided"], 1) if row["decided"] else None,
            "planted_shown": row["planted_shown"],
            "planted_missed": row["planted_missed"],
        }
        for who, row in sorted(rows.items(), key=lambda item: -item[1]["decided"])
    ]


def cohens_kappa(pairs: list[list[int]]) -> float | None:
    """Agreement beyond chance of two raters; None where chance alone would agree always (Cohen, 1960)."""
    total = sum(map(sum, pairs))
    if not total:
        return None
    observed = sum(pairs[i][i] for i in range(len(pairs))) / total
    rows, columns = [sum(row) for row in pairs], [sum(column) for column in zip(*pairs, strict=True)]
    chance = sum(row * column for row, column in zip(rows, columns, strict=True)) / total**2
    return None if chance == 1 else round((observed - chance) / (1 - chance), 3)


def clopper_pearson(wrong: int, of: int, level: float = CONFIDENCE_LEVEL) -> tuple[float, float]:
    """The exact two-sided interval of a share (Clopper and Pearson, 1934); `of` is at least one."""
    tail = (1 - level) / 2
    low = 0.0 if wrong == 0 else _root(lambda p: 1 - binomial_at_most(wrong - 1, of, p) - tail)
    high = 1.0 if wrong == of else _root(lambda p: tail - binomial_at_most(wrong, of, p))
    return round(low, 4), round(high, 4)


def binomial_at_most(successes: int, of: int, p: float) -> float:
    """Probability of at most so many successes in `of` independent trials."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(successes >= of)
    logs = (
        math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) + k * math.log(p) + (of - k) * math.log1p(-p)
        for k in range(successes + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


_PAST = {Decision.APPROVE: "approved", Decision.EDIT: "edited", Decision.REJECT: "rejected"}
_BY = re.compile(r"by_([A-Za-z0-9]+)_(decided|seconds|planted_shown|planted_missed|name)")


def _of(counts: dict, name: str) -> int:
    return int(counts.get(name, 0))


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function of a share is zero."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
