"""Learns from our own sentences which clauses refuse, and from their combinations which answers do.

python bench/refusal_training.py [--write] [--folds 5]

bench/refusals/LANGUAGE.jsonl holds {"answer", "kind", "language"}. In an answer {one|two} is either and {topic} a line
of kind topic; {refusal} is one of the refusals. The kinds: refusal, what says no by itself; limit, what says no and may
go on to an answer; opening, what stands before either; courtesy, a sentence that goes with either; reason, the tail of
a refusal; turn, what leads from a limit to an answer; answer, a right one; quoted, one that shows a refusal.

Of HaluEval's answers (../shared/data) those that name no inability, and that bench/answers/ does not hold out, are
ordinary English; only words of our own sentences get a weight.

Each fold leaves whole lines out, which its weights never saw in any combination, and is measured on them alone. Prints
one JSON line last: {"features", "bytes", "left_out": {"refusal_released", "answer_lost"}}.
"""

import argparse
import json
import math
import random
import re
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

from bench.confidence import DATA, solve
from domain.inference import refusals
from domain.inference.refusals import (
    SCALE,
    THRESHOLD,
    UNKNOWN,
    WORTH_READING_ON,
    Weights,
    clauses_of,
    features_of,
    packed,
    refusal_score,
    said,
    signs_of,
)

WRITTEN = sorted((ROOT / "bench/refusals").glob("*.jsonl"))
TO = Path(refusals.__file__).with_name("refusal_weights.txt")
# Of a line's clauses; -1 is substance. What follows a refusal's first clause goes with it.
REFUSES, COURTEOUS, TURNS, SAYS = 0, 1, 2, -1
CLASS = {
    "refusal": REFUSES,
    "limit": REFUSES,
    "opening": COURTEOUS,
    "courtesy": COURTEOUS,
    "reason": COURTEOUS,
    "turn": TURNS,
    "answer": SAYS,
    "quoted": SAYS,
}
OPENED = {"refusal": 0.5, "limit": 0.5, "answer": 0.25}
# And of the clauses after a line's first.
FOLLOWS = CLASS | {"refusal": COURTEOUS, "limit": COURTEOUS, "turn": SAYS}
# The others have too few lines to do without some.
LEFT_OUT = ("refusal", "limit", "courtesy", "turn", "answer")
# Lines of substance that have to hold a word before it is known.
ENOUGH = 3
EXPANSIONS = 7
ANSWERS_A_LANGUAGE = 1500
ROUNDS, AVERAGED, RATE, RIDGE = 26, 16, 0.3, 0.001
UNKNOWN_SHARE = 0.08
MOST_FEATURES, MOST = 7000, 4.5
ORDINARY, ORDINARY_CLAUSES = 1200, 3
OWN, HELD_OUT = ROOT / "bench/answers/own.jsonl", ROOT / "bench/answers/halueval_labels.jsonl"
_INABILITY = re.compile(
    r"\b(?:can ?not|can['\u2019]t|unable|sorry|apolog|language model|not (?:able|possible|have)|without)",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    kind: str
    language: str


Written = dict[str, dict[str, list[Line]]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--write", action="store_true", help=f"write {TO.relative_to(ROOT)}")
    options.add_argument("--folds", type=int, default=5)
    asked = options.parse_args()
    if not DATA.exists():
        print("skipped: there is no ../shared/data/halueval/general.jsonl to learn from", file=sys.stderr)
        print(json.dumps({"bench": "refusal_training", "skipped": True}))
        return
    lines = read_lines()
    left_out = try_folds(lines, asked.folds) if asked.folds else {}
    weights = learn(lines, random.Random(0))
    text = packed(weights, sorted({line.language for line in lines}))
    if asked.write:
        TO.write_text(text, encoding="ascii")
    same = TO.exists() and TO.read_text(encoding="ascii") == text
    print(
        json.dumps(
            {
                "bench": "refusal_training",
                "features": len(weights.clauses),
                "bytes": len(text),
                "left_out": left_out,
                "weights_are_these": same,
            }
        )
    )


def rows_of(path: Path) -> list[dict]:
    return [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()]


def read_lines() -> list[Line]:
    return [Line(row["answer"], row["kind"], row["language"]) for path in WRITTEN for row in rows_of(path)]


def learn(lines: list[Line], chance: random.Random) -> Weights:
    written = by_language(lines)
    known = known_words(lines)
    ordinary = ordinary_answers()
    others = [stems for text in ordinary for stems in clauses_of(said(text)[:300])[:ORDINARY_CLAUSES]]

    def draw() -> list[tuple[list[str], int]]:
        some = chance.sample(others, len(others) // 2)
        return [*clause_samples(lines, written, known, some, chance), *((stems, SAYS) for stems in some)]

    clauses = learn_clauses(draw, known, chance)
    draft = Weights(clauses, ())
    rows = [(signs_of(text, draft), refuses) for text, refuses in combined(written, chance)]
    rows += [(signs_of(text, draft), False) for text in ordinary]
    return Weights(clauses, fit([(signs, refuses) for signs, refuses in rows if signs[1] > WORTH_READING_ON]))


def by_language(lines: list[Line]) -> Written:
    written: Written = defaultdict(lambda: defaultdict(list))
    for line in lines:
        written[line.language][line.kind].append(line)
    return written


def expanded(text: str, kinds: dict[str, list[Line]], chance: random.Random) -> str:
    """One of the texts that a line stands for."""

    def chosen(found: re.Match) -> str:
        name = found[1]
        if name in ("topic", "refusal"):
            return chance.choice(kinds[name]).text if kinds[name] else "that"
        return chance.choice(name.split("|"))

    while _CHOICE.search(text):
        text = _CHOICE.sub(chosen, text)
    return " ".join(text.split()).replace(" ,", ",").replace(" .", ".").replace(" ?", "?")


def known_words(lines: list[Line]) -> frozenset[str]:
    """The words of whatever is not substance; of substance, which has no end, only what many lines have."""
    found: Counter[str] = Counter()
    for line in lines:
        if line.kind == "topic":
            continue
        bare = line.text.replace("{topic}", "").replace("{refusal}", "")
        stems = {
            stem for clause in clauses_of(_CHOICE.sub(lambda each: each[1].replace("|", " "), bare)) for stem in clause
        }
        found.update({stem: 1 if CLASS[line.kind] == SAYS else 3 for stem in stems})
    return frozenset(stem for stem, count in found.items() if count >= ENOUGH)


def clause_samples(
    lines: list[Line], written: Written, known: frozenset[str], ordinary: list[list[str]], chance: random.Random
) -> list[tuple[list[str], int]]:
    words = sorted(known)
    matters: dict[str, list[list[str]]] = defaultdict(list)
    for line in lines:
        if line.kind == "answer":
            matters[line.language] += [stems[:-1] for stems in clauses_of(expanded(line.text, {}, chance))]
    samples = []
    matters["en"] += ordinary[::8]
    for line in lines:
        if line.kind == "topic":
            continue
        kinds = written[line.language]
        texts = {opened_by(expanded(line.text, kinds, chance), line, kinds, chance) for _ in range(EXPANSIONS)}
        for text, opened in sorted(texts):
            clauses = clauses_of(text)
            if line.kind == "opening" and text[-1] not in ",:":
                clauses = clauses[:-1]  # which a refusal's first clause goes on with
            for place, stems in enumerate(clauses):
                kind = CLASS[line.kind] if place == opened else COURTEOUS if place < opened else FOLLOWS[line.kind]
                if line.kind in ("reason", "turn", "refusal", "limit") and not place and chance.random() < 0.5:
                    stems = ["^,", *stems[1:]]
                samples.append((stems, kind))
                for _ in range(0 if line.kind == "opening" else chance.random() < 0.4 if kind == SAYS else 2):
                    # Whatever it is about, and however long that takes to say.
                    tail = chance.choice(matters[line.language])[1 : 1 + chance.randint(1, 12)]
                    samples.append(([*stems[:-1], *tail, stems[-1]], kind))
                if kind == SAYS and chance.random() < 0.3:
                    # What is said may hold any word.
                    tail = [chance.choice(words) if chance.random() < 0.4 else UNKNOWN for _ in range(12)]
                    samples.append(([stems[0], *tail, *stems[1:-1], stems[-1]], kind))
    return samples


def opened_by(text: str, line: Line, kinds: dict[str, list[Line]], chance: random.Random) -> tuple[str, int]:
    """The text, now and then after an opening, and which of its clauses is its own first."""
    if chance.random() >= OPENED.get(line.kind, 0.0):
        return text, 0
    opening = expanded(chance.choice(kinds["opening"]).text, kinds, chance)
    if chance.random() < 0.3:
        opening = opening.rstrip(",:")
    return f"{opening} {text}", len(clauses_of(opening)) - (opening[-1] not in ",:")


def ordinary_answers() -> list[str]:
    held_out = {row["line"] for row in rows_of(HELD_OUT)}
    answers = [row["chatgpt_response"].strip() for row in rows_of(DATA)]
    free = [text for i, text in enumerate(answers) if i not in held_out and not _INABILITY.search(text[:400])]
    return random.Random(0).sample(free, ORDINARY)


def learn_clauses(
    draw: Callable[[], list[tuple[list[str], int]]], known: frozenset[str], chance: random.Random
) -> dict[str, tuple[float, float, float]]:
    """Multinomial logistic regression by stochastic steps, each weight's own as small as it has moved."""
    names = dict.fromkeys((*known, UNKNOWN, "0"))
    weights: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    moved: dict[str, list[float]] = defaultdict(lambda: [1e-3, 1e-3, 1e-3])
    means: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for turn in range(ROUNDS):
        samples = draw()
        chance.shuffle(samples)
        for stems, kind in samples:
            stems = [
                UNKNOWN if chance.random() < UNKNOWN_SHARE and i and i < len(stems) - 1 else each
                for i, each in enumerate(stems)
            ]
            features = features_of(stems, names)
            logits = [math.fsum(weights[name][k] for name in features) for k in range(3)]
            top = max(0.0, *logits)
            powers = [math.exp(logit - top) for logit in logits]
            whole = sum(powers) + math.exp(-top)
            for k in range(3):
                miss = (kind == k) - powers[k] / whole
                for name in features:
                    slope = miss - RIDGE * weights[name][k]
                    moved[name][k] += slope * slope
                    weights[name][k] += RATE * slope / math.sqrt(moved[name][k])
        if turn >= ROUNDS - AVERAGED:
            for name, three in weights.items():
                means[name] = [mean + weight / AVERAGED for mean, weight in zip(means[name], three, strict=True)]
    ranked = sorted(means, key=lambda name: (-max(map(abs, means[name])), str(name)))
    kept = {*ranked[:MOST_FEATURES], *names}
    return {
        name: tuple(round(max(-MOST, min(MOST, w)) * SCALE) / SCALE for w in means[name])
        for name in sorted(kept, key=str)
    }


def combined(written: Written, chance: random.Random, count: int = ANSWERS_A_LANGUAGE) -> Iterator[tuple[str, bool]]:
    """Answers made of the lines, and whether each refuses; half of them do."""
    for language in sorted(written):
        kinds = written[language]

        def say(kind: str, kinds: dict = kinds) -> str:
            return expanded(chance.choice(kinds[kind]).text, kinds, chance) if kinds[kind] else ""

        for number in range(count):
            yield (refusing if number % 2 else answering)(say, chance), bool(number % 2)


def refusing(say: Callable[[str], str], chance: random.Random) -> str:
    parts = [say("courtesy")] if chance.random() < 0.2 else []
    core = about(say("limit" if chance.random() < 0.15 else "refusal"), say, chance)
    if chance.random() < 0.5:
        core = f"{say('opening')} {core}"
    elif chance.random() < 0.06:
        core = f"{' '.join(say('answer').rstrip('.').split()[:9])}, {core}"
    if chance.random() < 0.2:
        core = f"{core}, {about(say('reason'), say, chance)}"
    parts.append(f"{core}.")
    if chance.random() < 0.2:
        parts.append(f"{about(say('refusal'), say, chance)}.")
    parts += [about(say("courtesy"), say, chance) for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))]
    return joined(parts, chance)


def about(text: str, say: Callable[[str], str], chance: random.Random) -> str:
    """The text, going on with some words of another matter now and then."""
    if chance.random() < 0.75:
        return text
    end = text[-1] if text[-1] in ".?" else ""
    return " ".join([text.rstrip(".?"), *re.findall(r"[^\W\d_]+", say("answer"))[: chance.randint(2, 8)]]) + end


def answering(say: Callable[[str], str], chance: random.Random) -> str:
    draw = chance.random()
    told = [about(say("answer"), say, chance) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    if draw < 0.25:
        core = say("limit" if chance.random() < 0.7 else "refusal")
        if chance.random() < 0.4:
            core = f"{say('opening')} {core}"
        core += chance.choice((", ", ". "))
        return joined([f"{core}{say('turn')} {told[0]}", *told[1:], say("answer")], chance)
    if draw < 0.32:
        return joined([f"{say('limit')}.", *told, say("answer"), say("answer")], chance)
    if draw < 0.37:
        return joined([say("quoted"), *told[1:]], chance)
    if draw < 0.46:
        return joined([f"{say('opening')} {told[0]}", *told[1:]], chance)
    if draw < 0.55:
        return joined([*told, say("answer"), f"{say('opening')} {say('limit')}.", say("courtesy")], chance)
    if draw < 0.65:
        return joined([say("courtesy"), *told], chance)
    if draw < 0.8:
        return joined([*told, say("courtesy")], chance)
    return joined(told, chance)


def joined(parts: list[str], chance: random.Random) -> str:
    return chance.choice((" ", " ", " ", "\n\n")).join(part for part in parts if part)


def fit(rows: list[tuple[tuple[float, ...], bool]]) -> tuple[float, ...]:
    """Logistic regression by Newton's method, with a light ridge."""
    size = len(rows[0][0])
    weights = [0.0] * size
    for _ in range(30):
        slope = [-0.5 * weight for weight in weights]
        bend = [[0.5 if i == j else 0.0 for j in range(size)] for i in range(size)]
        for point, refuses in rows:
            logit = sum(map(float.__mul__, weights, point))
            likely = 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
            for i, value in enumerate(point):
                slope[i] += (refuses - likely) * value
                for j in range(i + 1):
                    bend[i][j] += likely * (1 - likely) * value * point[j]
        step = solve(bend, slope)
        weights = [weight + change for weight, change in zip(weights, step, strict=True)]
        if max(map(abs, step)) < 1e-6:
            break
    return tuple(round(weight, 3) for weight in weights)


def try_folds(lines: list[Line], folds: int) -> dict:
    missed: Counter[tuple[str, bool]] = Counter()
    seen: Counter[tuple[str, bool]] = Counter()
    everything = by_language(lines)
    for fold in range(folds):
        held = [line for line in lines if line.kind in LEFT_OUT and place_of(line) % folds == fold]
        weights = learn([line for line in lines if line not in held], random.Random(fold))
        for language, kinds in by_language(held).items():
            kinds |= {kind: some for kind, some in everything[language].items() if not kinds.get(kind)}
            for text, refuses in combined({language: kinds}, random.Random(fold), 400):
                seen[language, refuses] += 1
                score = refusal_score(text, weights)
                if (score >= THRESHOLD) != refuses:
                    missed[language, refuses] += 1
                    if missed[language, refuses] <= 8:
                        print(
                            f"{language} {'refusal' if refuses else 'answer'} {score:.2f} {text[:180]!r}",
                            file=sys.stderr,
                        )
    shares = {key: round(missed[key] / seen[key], 4) for key in sorted(seen)}
    return {
        "refusal_released": {language: share for (language, refuses), share in shares.items() if refuses},
        "answer_lost": {language: share for (language, refuses), share in shares.items() if not refuses},
    }


def place_of(line: Line) -> int:
    return zlib.crc32(line.text.encode())


if __name__ == "__main__":
    main()
