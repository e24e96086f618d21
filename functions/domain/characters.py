"""Characters: what a text may hold, and when it says nothing; the one definition for whoever reads or writes words."""

import re
import unicodedata

# Neither text nor layout: C0 but tab, line feed and carriage return; DEL and C1, which terminals obey like escapes; and
# halves of surrogate pairs, which no UTF-8 can hold. What turns the direction of writing for whatever follows is text
# where people quote it, and no part of an answer.
_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_DIRECTIONS = "\u202a-\u202e\u2066-\u2069"
_SURROGATES = "\ud800-\udfff"
_CONTROL, _SURROGATE = re.compile(f"[{_CONTROLS}]"), re.compile(f"[{_SURROGATES}]")
_UNWANTED = re.compile(f"[{_CONTROLS}{_DIRECTIONS}{_SURROGATES}]")
# What a terminal or a page would not show, or show as something else.
_HIDDEN = re.compile(
    f"[{_CONTROLS}{_DIRECTIONS}{_SURROGATES}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# An escape sequence with its parameters, and an OSC, DCS, APC, PM or SOS string with its end (ECMA-48, 5.4 and 5.6):
# without its first character the rest would be read as words.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[P\\]X^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]*[0-~]"
)
# Letters, numbers and symbols by their category, which nobody sees all the same.
_FILLERS = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\ufffd")
# What a model thinks before it answers, ended or cut off, and a fence with the name of its language.
REASONING = re.compile(r"<(think|thinking|reasoning|reflection)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:```+|~~~+)[^\n`]*$", re.MULTILINE)


def is_broken(text: str) -> bool:
    """Whether it holds half of a surrogate pair, so that nothing can store or send it."""
    return not text.isprintable() and bool(_SURROGATE.search(text))


def holds_control(text: str) -> bool:
    """Whether it holds a character that is an order to whoever shows it, and no text."""
    return not text.isprintable() and bool(_CONTROL.search(text))


def cleaned(text: str) -> str:
    """The text without control characters, escape sequences and overrides of direction; the words stay."""
    return text if text.isprintable() else _UNWANTED.sub("", _SEQUENCE.sub("", text))


def visible(text: str) -> str:
    """The text with whatever would be obeyed or hidden spelled out, for a terminal or a log."""
    if text.isprintable():
        return text
    return _HIDDEN.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)


def is_blank(text: str) -> bool:
    """Whether it says nothing: no letter, number or symbol outside of reasoning and the lines of fences."""
    # Most texts begin with a word.
    if text[:1].isascii() and text[:1].isalnum():
        return False
    if "<" in text:
        text = REASONING.sub("", text)
    if "```" in text or "~~~" in text:
        text = _FENCE.sub("", text)
    return not any(unicodedata.category(each)[0] in "LNS" and each not in _FILLERS for each in text)
