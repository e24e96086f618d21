"""Where to look twice: the sentences of a draft whose words no passage holds.

A help for the reviewer's eye, not a verdict: it costs nothing, it can say why it marks a sentence, and it is wrong
where a sentence says the same in other words. Whether an answer is grounded is the guardrail's to judge.
"""

import re
from collections.abc import Iterable

# A sentence is marked when more of its telling words than this are in no passage, or a number is.
MAX_MISSING_SHARE = 0.4
MAX_CHARACTERS = 20_000
MAX_MISSING_SHOWN = 8

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
# fmt: off
_COMMON = frozenset("""
a about after all also an and any are as at be because been before being but by can could did do does for from had has
have he her his how i if in into is it its may might more most must no not of on one only or other our out over she
should so some such than that the their them then there these they this those to up us was we were what when where
which while who will with would you your yes
""".split())
# fmt: on


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, with what stands between them: joined they are the text again."""
    pieces, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        pieces.append(text[start : end.end()])
        start = end.end()
    return [*pieces, text[start:]] if start < len(text) else pieces


def marked_sentences(draft: str, passages: Iterable[str]) -> list[dict]:
    """Each sentence with the words that no passage holds; nothing where there is no passage to check against."""
    held: set[str] = set()
    for passage in passages:
        held |= set(map(_stem, _words(passage)))
    if not held:
        return []
    return [{"text": sentence, **_check(sentence, held)} for sentence in sentences_of(draft)]


def _check(sentence: str, held: set[str]) -> dict:
    telling = [word for word in _words(sentence[:MAX_CHARACTERS]) if word not in _COMMON]
    missing = list(dict.fromkeys(word for word in telling if _stem(word) not in held))
    number_missing = any(any(map(str.isdigit, word)) for word in missing)
    marked = bool(missing) and (number_missing or len(missing) > MAX_MISSING_SHARE * len(set(telling)))
    return {"marked": marked, "missing": missing[:MAX_MISSING_SHOWN] if marked else []}


def _words(text: str) -> list[str]:
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


def _stem(word: str) -> str:
    """A word without the endings that grammar puts on it; a number is itself."""
    if any(map(str.isdigit, word)):
        return word.replace(",", "")
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            return word[: -len(ending)]
    return word
