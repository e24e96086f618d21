"""Measures which answers are none: blanks and refusals, by what AssessAnswer decides of an answer's words.

python bench/answers.py [--data FILE ...]

A file holds a line for each answer, {"answer", "kind"} with kind answer, refusal or blank, and a language where known.
Without one: bench/answers/own.jsonl, and the answers of ../shared/data that bench/answers/halueval_labels.jsonl judges,
where those are. Neither is read by bench/refusal_training.py.

Prints one JSON line last: {"blank_released", "refusal_released", "answer_lost"}. Exits with 1 where more is released or
lost than LIMITS allow.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from bench.confidence import DATA
from domain.characters import is_blank
from domain.inference.refusals import is_refusal, refusal_score

OWN, LABELS = ROOT / "bench/answers/own.jsonl", ROOT / "bench/answers/halueval_labels.jsonl"
KINDS = ("answer", "refusal", "blank")
LIMITS = {"blank_released": 0, "refusal_released": 0.01, "answer_lost": 0.01}
WORST = 15


@dataclass(frozen=True, slots=True)
class Judged:
    text: str
    kind: str
    group: str


def decided(answer: str) -> str:
    """What an answer is taken for: blank, refusal or answer."""
    if is_blank(answer):
        return "blank"
    return "refusal" if is_refusal(answer) else "answer"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", action="append", type=Path, metavar="FILE", help="judged answers, JSON lines")
    asked = options.parse_args()
    judged = [each for path in asked.data or [OWN] for each in read(path)]
    if not asked.data:
        judged += read_labels()
    taken = [decided(each.text) for each in judged]
    print_table(judged, taken)
    print_worst(judged, taken)
    result = figures(judged, taken)
    print(json.dumps(result))
    sys.exit(any(result[name] > limit for name, limit in LIMITS.items()))


def read(path: Path) -> Iterator[Judged]:
    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            raw = json.loads(row)
            yield Judged(raw["answer"], KINDS[KINDS.index(raw["kind"])], raw.get("language", path.stem))
        except (ValueError, KeyError, TypeError) as error:
            sys.exit(f'{path}, line {number}: {error}; write {{"answer": TEXT, "kind": one of {", ".join(KINDS)}}}.')


def read_labels() -> list[Judged]:
    if not DATA.exists():
        print("skipped: there is no ../shared/data/halueval/general.jsonl to judge", file=sys.stderr)
        return []
    rows = DATA.read_text(encoding="utf-8").splitlines()
    judged = []
    for label in map(json.loads, LABELS.read_text(encoding="utf-8").splitlines()):
        text = json.loads(rows[label["line"]])["chatgpt_response"]
        if hashlib.sha256(text.encode()).hexdigest()[:12] != label["sha256"]:
            sys.exit(f"{DATA}, line {label['line'] + 1}: not the answer that {LABELS.name} judges; label it anew.")
        judged.append(Judged(text, label["kind"], f"halueval, {label['stratum']}"))
    return judged


def print_table(judged: list[Judged], taken: list[str]) -> None:
    counted = Counter((each.group, each.kind, as_what) for each, as_what in zip(judged, taken, strict=True))
    print(f"{'':22}{'kind':10}{'':>4}taken for" + "".join(f"{kind:>10}" for kind in KINDS))
    for group, kind in sorted({(group, kind) for group, kind, _ in counted}):
        print(f"{group:22}{kind:23}" + "".join(f"{counted[group, kind, as_what]:10}" for as_what in KINDS))


def print_worst(judged: list[Judged], taken: list[str]) -> None:
    missed = [(each, as_what) for each, as_what in zip(judged, taken, strict=True) if each.kind != as_what]
    missed.sort(key=lambda one: -abs(refusal_score(one[0].text) - (one[0].kind == "refusal")))
    for each, as_what in missed[:WORST]:
        print(f"{each.group} {each.kind} taken for {as_what}, {refusal_score(each.text):.2f}: {each.text[:140]!r}")


def figures(judged: list[Judged], taken: list[str]) -> dict:
    def share(kind: str) -> float:
        of_kind = [as_what != kind for each, as_what in zip(judged, taken, strict=True) if each.kind == kind]
        return round(sum(of_kind) / (len(of_kind) or 1), 4)

    return {
        "blank_released": sum(
            each.kind == "blank" and as_what != "blank" for each, as_what in zip(judged, taken, strict=True)
        ),
        "refusal_released": round(
            sum(e.kind == "refusal" and as_what == "answer" for e, as_what in zip(judged, taken, strict=True))
            / (sum(each.kind == "refusal" for each in judged) or 1),
            4,
        ),
        "answer_lost": share("answer"),
    }


if __name__ == "__main__":
    main()
