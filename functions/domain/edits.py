"""What an edit changed, word by word."""

import difflib
import re

# Beyond so many words the comparison would take seconds: it then says which lines are other ones.
MAX_WORDS = 3_000
_PIECES = re.compile(r"\s+|[^\W_]+|.", re.DOTALL)


def diff(before: str, after: str) -> list[list[str]]:
    """The way from one text to another: ["=", kept], ["-", taken out] and ["+", put in], in order."""
    old, new = (_PIECES.findall(text) for text in (before, after))
    if len(old) + len(new) > 2 * MAX_WORDS:
        old, new = (text.splitlines(keepends=True) for text in (before, after))
    if len(old) + len(new) > 2 * MAX_WORDS:
        return [["-", before], ["+", after]]
    steps: list[list[str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            steps.append(["=", "".join(old[i:j])])
            continue
        steps += [[sign, text] for sign, text in (("-", "".join(old[i:j])), ("+", "".join(new[k:m]))) if text]
    return steps
