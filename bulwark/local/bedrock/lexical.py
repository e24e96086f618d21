"""Words, sentences and token counts of a text, as the emulator's filters and composer see them."""

import re

# A tokenizer would need the model's own vocabulary; four characters is the usual rule of thumb.
CHARACTERS_PER_TOKEN = 4

_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a an and any are as at be been but by can could did do does for from had has have how i if in into
        is it its may me might must my no not of on or our shall should so some than that the their them then
        there these they this those to was we were what when where which who whom whose why
        will with would you your""",
    )
)
_WORD = re.compile(r"[^\W_]+(?:[.,']\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_SUFFIXES = (
    "ations",
    "ation",
    "ingly",
    "edly",
    "ings",
    "ing",
    "ies",
    "ied",
    "ers",
    "ed",
    "es",
    "er",
    "ly",
    "s",
)


def count_tokens(text: str) -> int:
    """Tokens of a text at about four characters each; none for an empty text."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def cut_to_tokens(text: str, tokens: int) -> str:
    return text[: tokens * CHARACTERS_PER_TOKEN]


def sentences(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in _SENTENCE_END.split(text)) if part]


def words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def content_words(text: str) -> set[str]:
    """The stems of a text's words that carry meaning."""
    return {_stem(word) for word in words(text) if word not in _STOP_WORDS}


def normalised(text: str) -> str:
    """A text with its case and white space evened out, to compare one with another."""
    return " ".join(text.casefold().split())


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word
