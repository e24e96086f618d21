"""Measures which answers are none, blanks and refusals, by what AssessAnswer decides of an answer's words.

python bench/answers.py [--data FILE ...]

A file holds a line for each answer, {"answer", "kind"} with kind answer, refusal or blank, and a language where known.
Without one: bench/answers/own.jsonl, and the answers of ../shared/data that bench/answers/halueval_labels.jsonl judges,
where those are. Neither is read by bench/refusal_training.py.

What is taken for an answer is released or held by its confidence as shipped, here to the question that makes any answer
the surest. Prints one JSON line last: {"blank_released", "refusal_released", "answer_lost"} (shares of the refusals and
of the answers); besides, refusal_unknown, the refusals taken for an answer, most of which are held, and answer_held,
the answers that are held since they sound a little like a refusal. Exits with 1 where LIMITS are passed.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from bench.confidence import DATA
from domain.inference.answers import Answer
from domain.inference.confidence import confidence_of, signals_of
from domain.inference.refusals import LANGUAGES, refusal_score
from domain.outcomes import judge
from domain.policy import Policy
from domain.requests import Status

OWN, LABELS = ROOT / "bench/answers/own.jsonl", ROOT / "bench/answers/halueval_labels.jsonl"
KINDS = ("answer", "refusal", "blank")
LIMITS = {"blank_released": 0, "refusal_released": 0.01, "answer_lost": 0.01}
WORST = 15
POLICY, USE_CASE = ROOT / "policies/runtime.json", "general_question"
SUREST = {"query_asks_fact": 0.0, "query_indefinite": 0.25, "query_link": 0.0}


@dataclass(frozen=True, slots=True)
class Judged:
    text: str
    kind: str
    group: str


@dataclass(frozen=True, slots=True)
class Decision:
    kind: str  # what it is taken for
    released: bool
    released_otherwise: bool  # if its confidence did not ask for refusals


def decided(text: str, policy: Policy) -> Decision:
    use_case = policy.use_cases[USE_CASE]
    raw = {
        "Output": {"Message": {"Content": [{"Text": text}]}},
        "StopReason": "end_turn",
        "Usage": {"InputTokens": 1, "OutputTokens": 1},
        "Trace": {"Guardrail": {}},
    }
    answer = Answer.from_converse(raw)
    if answer.fault:
        return Decision("blank", False, False)
    if answer.refuses(LANGUAGES):
        return Decision("refusal", False, False)
    signals = signals_of(answer, (), SUREST)
    released = [
        judge(answer, confidence_of(each, use_case.confidence), use_case, use_case.confidence_threshold).status
        is Status.COMPLETED
        for each in (signals, signals | {"refusal": 0.0})
    ]
    return Decision("answer", *released)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", action="append", type=Path, metavar="FILE", help="judged answers, JSON lines")
    asked = options.parse_args()
    judged = [each for path in asked.data or [OWN] for each in read(path)]
    if not asked.data:
        judged += read_labels()
    policy = Policy.from_json(json.loads(POLICY.read_text(encoding="utf-8")))
    taken = [decided(each.text, policy) for each in judged]
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


def print_table(judged: list[Judged], taken: list[Decision]) -> None:
    counted = Counter((each.group, each.kind, one.kind) for each, one in zip(judged, taken, strict=True))
    released = Counter((each.group, each.kind) for each, one in zip(judged, taken, strict=True) if one.released)
    print(f"{'':22}{'kind':10}{'':>4}taken for" + "".join(f"{kind:>10}" for kind in KINDS) + f"{'released':>10}")
    for group, kind in sorted({(group, kind) for group, kind, _ in counted}):
        cells = [*(counted[group, kind, as_what] for as_what in KINDS), released[group, kind]]
        print(f"{group:22}{kind:23}" + "".join(f"{cell:10}" for cell in cells))


def print_worst(judged: list[Judged], taken: list[Decision]) -> None:
    missed = [(each, one) for each, one in zip(judged, taken, strict=True) if each.kind != one.kind]
    missed.sort(
        key=lambda pair: (not pair[1].released, -abs(refusal_score(pair[0].text) - (pair[0].kind == "refusal")))
    )
    for each, one in missed[:WORST]:
        end = "released" if one.released else "not released"
        print(
            f"{each.group} {each.kind} taken for {one.kind}, {end}, {refusal_score(each.text):.2f}: {each.text[:120]!r}"
        )


def figures(judged: list[Judged], taken: list[Decision]) -> dict:
    of_kind = {kind: [one for each, one in zip(judged, taken, strict=True) if each.kind == kind] for kind in KINDS}

    def share(kind: str, counts: Callable[[Decision], bool]) -> float:
        return round(sum(map(counts, of_kind[kind])) / (len(of_kind[kind]) or 1), 4)

    return {
        "blank_released": sum(one.kind != "blank" for one in of_kind["blank"]),
        "refusal_released": share("refusal", lambda one: one.released),
        "answer_lost": share("answer", lambda one: one.kind != "answer"),
        "refusal_unknown": share("refusal", lambda one: one.kind == "answer"),
        "answer_held": share("answer", lambda one: one.released_otherwise and not one.released),
    }


if __name__ == "__main__":
    main()
