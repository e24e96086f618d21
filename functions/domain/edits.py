"""What an edit changed, word by word."""

import difflib
import re
from collections import Counter

# A comparison takes at most about so many steps, which is less than a second; what takes more is compared line by line.
MAX_STEPS = 40_000_000
# With the space before it: spaces of their own, all alike, would be compared with one another most of the time.
_WORD = re.compile(r"\s*(?:[^\W_]+|.)", re.DOTALL)


def diff(before: str, after: str) -> list[list[str]]:
    """The way from one text to another: ["=", kept], ["-", taken out] and ["+", put in], in order."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if _steps(old, new) > MAX_STEPS:
        old, new = (text.splitlines(keepends=True) for text in (before, after))
    if _steps(old, new) > MAX_STEPS:
        old, new = [before], [after]
    steps: list[list[str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            steps.append(["=", "".join(old[i:j])])
            continue
        steps += [[sign, text] for sign, text in (("-", "".join(old[i:j])), ("+", "".join(new[k:m]))) if text]
    return steps


def _steps(old: list[str], new: list[str]) -> int:
    """The most that difflib can take: for each block it finds, it looks at all pieces and all that are alike."""
    counts = Counter(new)
    alike = sum(counts[piece] for piece in old)
    return (len(old) + alike) * min(alike, len(old), len(new))
