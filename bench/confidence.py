"""Fits the confidence of open questions on judged answers, and measures what its threshold promises.

python bench/confidence.py [--target 0.12] [--splits 200] [--write]

Rows are split by a hash of their id: 40 % fit the weights, 40 % choose the threshold, 20 % are only measured.
Every row the demo replays is kept out of all three. The threshold is found by walking down a ladder while the
exact binomial test rules out, at 5 % risk, that more than --target of the released answers are wrong (Learn
then Test with fixed-sequence testing, https://arxiv.org/abs/2110.01052).

Know what it cannot say: the signals were picked by looking at the fitting rows of this very data, the answers
are ChatGPT's of 2023 and not those of the models in policies/runtime.json, and the promise covers only
answers like these (held_out_blocks shows how it fares on stretches of the file with an origin of their own).
"""

import argparse
import hashlib
import itertools
import json
import math
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "functions"))

from domain.inference.answers import Answer
from domain.inference.confidence import NEUTRAL, confidence_of, query_signals, signals_of
from domain.policy import ConfidenceScore
from domain.reviews.review_quality import binomial_at_most

DATA = ROOT / "../shared/data/halueval/general.jsonl"
POLICY = ROOT / "policies/runtime.json"
DEMO_ROWS = 200
FIT_SHARE, CHOOSE_SHARE = 0.4, 0.4
RISK = 0.05
# Shares of the fitting rows to release, each tried only while the ones before it held. The strictest still
# releases enough for a proof.
LADDER = [step / 20 for step in range(6, 21)]
TARGETS = (0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15)
RIDGE = 2.0
BLOCK_ROWS = 500
ANSWER_SIGNALS = ["hedging", "speaks_as_ai", "asks_back", "figures", "tentative", "superlatives", "operators"]
QUERY_SIGNALS = ["query_asks_fact", "query_indefinite", "query_link"]


@dataclass(frozen=True, slots=True)
class Row:
    signals: dict[str, float]
    right: bool


@dataclass(frozen=True, slots=True)
class Split:
    fit: list[Row]
    choose: list[Row]
    test: list[Row]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--target", type=float, default=0.12, help="largest wrong share among the released")
    options.add_argument("--splits", type=int, default=200)
    options.add_argument("--write", action="store_true", help="put weights and threshold into policies/runtime.json")
    asked = options.parse_args()
    if not DATA.exists():
        say("skipped: there is no ../shared/data/halueval/general.jsonl to learn from")
        print(json.dumps({"bench": "confidence", "skipped": True}))
        return

    rows, ids = read_rows()
    demo_at = {i * len(rows) // DEMO_ROWS for i in range(DEMO_ROWS)}
    demo = [rows[i] for i in sorted(demo_at)]
    free = [i for i in range(len(rows)) if i not in demo_at]
    split = split_by([(place_of(ids[i]), rows[i]) for i in free])
    names = ANSWER_SIGNALS + QUERY_SIGNALS
    say(f"{len(rows)} judged answers, {share(wrong(rows), len(rows)):.1%} of them wrong")
    score = fit(split.fit, names)
    say(f"score: intercept {score.intercept}, weights {score.weights}")

    tested = confidences(split.test, score)
    curve = []
    for target in TARGETS:
        threshold = choose_threshold(split, score, target)
        curve.append({"target": target, "threshold": threshold} | released(split.test, tested, threshold))
        say(f"at most {target:.0%} wrong: {curve[-1]}")
    threshold = choose_threshold(split, score, asked.target)
    result = {
        "bench": "confidence",
        "rows": {
            "fit": len(split.fit),
            "choose": len(split.choose),
            "test": len(split.test),
            "demo": len(demo),
        },
        "target": asked.target,
        "threshold": threshold,
        "test": released(split.test, tested, threshold) | quality(split.test, tested),
        "test_auc_without_query": auc(split.test, confidences(split.test, fit(split.fit, ANSWER_SIGNALS))),
        "demo": released(demo, confidences(demo, score), threshold),
        "curve": curve,
        "random_splits": try_splits([rows[i] for i in free], names, asked.target, asked.splits),
        "held_out_blocks": try_blocks(rows, demo_at, names, asked.target),
        "policy_is_this": policy_is(score, threshold),
    }
    if asked.write and threshold <= 1:
        write_policy(score, threshold)
        result["policy_is_this"] = True
        say("policies/runtime.json written")
    print(json.dumps(result))


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def read_rows() -> tuple[list[Row], list[str]]:
    rows, ids = [], []
    for line in DATA.read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)
        answer = Answer(raw["chatgpt_response"].strip(), "end_turn", 0, 0, None, None, None, ())
        signals = signals_of(answer, query=query_signals(raw["user_query"]))
        rows.append(Row(signals, raw["hallucination"] == "no"))
        ids.append(raw["ID"])
    return rows, ids


def place_of(row_id: str) -> float:
    """Where in 0..1 a row falls, whatever the order of the file."""
    return int(hashlib.sha256(row_id.encode()).hexdigest()[:12], 16) / 16**12


def split_by(placed: list[tuple[float, Row]]) -> Split:
    until = FIT_SHARE + CHOOSE_SHARE
    return Split(
        [row for place, row in placed if place < FIT_SHARE],
        [row for place, row in placed if FIT_SHARE <= place < until],
        [row for place, row in placed if place >= until],
    )


def fit(rows: list[Row], names: list[str]) -> ConfidenceScore:
    """Logistic regression by Newton's method on standardised signals, with a light ridge."""
    columns = [[row.signals.get(name, NEUTRAL.get(name, 0.0)) for row in rows] for name in names]
    means = [math.fsum(column) / len(rows) for column in columns]
    spreads = [
        math.sqrt(math.fsum((value - mean) ** 2 for value in column) / len(rows)) or 1.0
        for column, mean in zip(columns, means, strict=True)
    ]
    points = [
        (1.0, *((value - mean) / spread for value, mean, spread in zip(values, means, spreads, strict=True)))
        for values in zip(*columns, strict=True)
    ]
    size = len(names) + 1
    weights = [0.0] * size
    for _ in range(25):
        slope = [0.0] + [-RIDGE * weight for weight in weights[1:]]
        bend = [[RIDGE if i == j > 0 else 0.0 for j in range(size)] for i in range(size)]
        for point, row in zip(points, rows, strict=True):
            chance = 1 / (1 + math.exp(-sum(map(float.__mul__, weights, point))))
            miss, spread = row.right - chance, chance * (1 - chance)
            for i, value in enumerate(point):
                slope[i] += miss * value
                scaled, line = spread * value, bend[i]
                for j in range(i + 1):
                    line[j] += scaled * point[j]
        step = solve(bend, slope)
        weights = [weight + change for weight, change in zip(weights, step, strict=True)]
        if max(map(abs, step)) < 1e-6:
            break
    plain = [weight / spread for weight, spread in zip(weights[1:], spreads, strict=True)]
    intercept = weights[0] - sum(map(float.__mul__, plain, means))
    return ConfidenceScore(
        round(intercept, 4), {name: round(weight, 4) for name, weight in zip(names, plain, strict=True)}
    )


def solve(lower: list[list[float]], right: list[float]) -> list[float]:
    """Solve a symmetric positive system, given by its lower half, through Cholesky's factors."""
    size = len(right)
    factor = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = lower[i][j] - sum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = math.sqrt(rest) if i == j else rest / factor[j][j]
    half: list[float] = []
    for i in range(size):
        half.append((right[i] - sum(factor[i][k] * half[k] for k in range(i))) / factor[i][i])
    whole = [0.0] * size
    for i in reversed(range(size)):
        rest = half[i] - sum(factor[k][i] * whole[k] for k in range(i + 1, size))
        whole[i] = rest / factor[i][i]
    return whole


def confidences(rows: list[Row], score: ConfidenceScore) -> list[float]:
    return [confidence_of(row.signals, score) for row in rows]


def choose_threshold(split: Split, score: ConfidenceScore, target: float) -> float:
    """The lowest threshold whose promise the choosing rows prove; above 1 where they prove none."""
    best_first = sorted(confidences(split.fit, score), reverse=True)
    chosen = confidences(split.choose, score)
    proven = 2.0
    for part in LADDER:
        threshold = round(best_first[math.ceil(len(best_first) * part) - 1], 4)
        if chance_of_luck(split.choose, chosen, threshold, target) > RISK:
            break
        proven = threshold
    return proven


def chance_of_luck(rows: list[Row], scores: list[float], threshold: float, target: float) -> float:
    """How likely so few wrong answers would be if the released were wrong as often as target allows."""
    count = sum(at >= threshold for at in scores)
    return binomial_at_most(
        sum(not row.right and at >= threshold for row, at in zip(rows, scores, strict=True)), count, target
    )


def wrong(rows: Sequence[Row]) -> int:
    return sum(not row.right for row in rows)


def share(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else 0.0


def released(rows: list[Row], scores: list[float], threshold: float) -> dict:
    out = [row for row, at in zip(rows, scores, strict=True) if at >= threshold]
    return {
        "released": share(len(out), len(rows)),
        "wrong_among_released": share(wrong(out), len(out)),
        "wrong_if_all_released": share(wrong(rows), len(rows)),
    }


def quality(rows: list[Row], scores: list[float]) -> dict:
    base = 1 - wrong(rows) / len(rows)
    brier = math.fsum((at - row.right) ** 2 for row, at in zip(rows, scores, strict=True)) / len(rows)
    return {
        "auc": auc(rows, scores),
        "brier": round(brier, 4),
        "brier_of_a_constant": round(base * (1 - base), 4),
        "ece": calibration_error(rows, scores),
    }


def auc(rows: list[Row], scores: list[float]) -> float:
    """How often a right answer scores above a wrong one, ties counted half."""
    by_score: dict[float, list[int]] = {}
    for row, at in zip(rows, scores, strict=True):
        by_score.setdefault(at, [0, 0])[row.right] += 1
    won, wrong_below = 0.0, 0
    for at in sorted(by_score):
        bad, good = by_score[at]
        won += good * (wrong_below + bad / 2)
        wrong_below += bad
    return share(won, wrong_below * (len(rows) - wrong_below))


def calibration_error(rows: list[Row], scores: list[float], bins: int = 10) -> float:
    """The mean gap between stated and true share of right answers, over bins of equal size."""
    ranked = sorted(zip(scores, (row.right for row in rows), strict=True))
    edges = [len(ranked) * i // bins for i in range(bins + 1)]
    gap = 0.0
    for low, high in itertools.pairwise(edges):
        gap += abs(sum(at - right for at, right in ranked[low:high]))
    return share(gap, len(ranked))


def try_splits(rows: list[Row], names: list[str], target: float, splits: int) -> dict:
    """Fit, choose and measure again on random splits: how often does the promise hold on unseen rows?"""
    kept = refuted = silent = true = 0
    parts, wrongs, areas, gains = [], [], [], []
    for seed in range(splits):
        chance = random.Random(seed)
        split = split_by([(chance.random(), row) for row in rows])
        score = fit(split.fit, names)
        threshold = choose_threshold(split, score, target)
        scores = confidences(split.test, score)
        out = released(split.test, scores, threshold)
        if not out["released"]:
            silent += 1
        else:
            parts.append(out["released"])
            wrongs.append(out["wrong_among_released"])
        kept += out["wrong_among_released"] <= target
        count = sum(at >= threshold for at in scores)
        bad = round(out["wrong_among_released"] * count)
        # The measured rows are few: only so many wrong ones that luck cannot explain them refute the promise.
        refuted += 1 - binomial_at_most(bad - 1, count, target) <= RISK
        # Drawn with replacement, the choosing rows are a true sample, and the rows drawn from the whole truth.
        all_rows = split.choose + split.test
        drawn = Split(split.fit, chance.choices(all_rows, k=len(split.choose)), [])
        of_all = released(all_rows, confidences(all_rows, score), choose_threshold(drawn, score, target))
        true += of_all["wrong_among_released"] <= target
        if seed % 10 == 0:
            without = fit(split.fit, ANSWER_SIGNALS)
            areas.append(auc(split.test, scores))
            gains.append(areas[-1] - auc(split.test, confidences(split.test, without)))
            say(f"split {seed}: kept {kept} of {seed + 1}")
    return {
        "splits": splits,
        "kept": kept,
        "kept_against_known_truth": true,
        "refuted": refuted,
        "released_nothing": silent,
        "released_mean": share(sum(parts), len(parts)),
        "wrong_among_released_mean": share(sum(wrongs), len(wrongs)),
        "wrong_among_released_max": max(wrongs, default=0.0),
        "auc_mean": share(sum(areas), len(areas)),
        "auc_gain_of_query_mean": share(sum(gains), len(gains)),
    }


def try_blocks(rows: list[Row], demo_at: set[int], names: list[str], target: float) -> list[dict]:
    """Hold out each stretch of the file: its rows share an origin the others lack, so no promise covers them."""
    found = []
    for start in range(0, len(rows) - BLOCK_ROWS // 2, BLOCK_ROWS):
        block = range(start, start + BLOCK_ROWS if start + 1.5 * BLOCK_ROWS <= len(rows) else len(rows))
        chance = random.Random(start)
        others = [(chance.random() * 0.8, rows[i]) for i in range(len(rows)) if i not in block and i not in demo_at]
        split = split_by(others)
        score = fit(split.fit, names)
        held_out = rows[block.start : block.stop]
        out = released(held_out, confidences(held_out, score), choose_threshold(split, score, target))
        found.append({"first_row": start} | out)
    return found


def policy_is(score: ConfidenceScore, threshold: float) -> bool:
    policy = json.loads(POLICY.read_text(encoding="utf-8"))
    now = policy["confidence"]["open_question"]
    return (
        now["intercept"],
        now["weights"],
        policy["use_cases"]["general_question"]["confidence_threshold"],
    ) == (
        score.intercept,
        score.weights,
        threshold,
    )


def write_policy(score: ConfidenceScore, threshold: float) -> None:
    """Change the two values where they stand, and nothing of the file's layout."""
    text = POLICY.read_text(encoding="utf-8")
    weights = ",\n        ".join(f'"{name}": {weight}' for name, weight in score.weights.items())
    fitted = f'{{\n      "intercept": {score.intercept},\n      "weights": {{\n        {weights}\n      }}\n    }}'
    text, scores = re.subn(r'("open_question":\s*)\{[^{}]*\{[^{}]*\}\s*\}', lambda found: found[1] + fitted, text)
    text, thresholds = re.subn(
        r'("general_question":\s*\{[^{}]*?"confidence_threshold":\s*)[\d.]+',
        lambda found: f"{found[1]}{threshold}",
        text,
    )
    if (scores, thresholds) != (1, 1):
        raise SystemExit("policies/runtime.json is not laid out as expected: nothing written")
    POLICY.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
