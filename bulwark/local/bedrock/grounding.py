"""Contextual grounding by words alone: a local stand-in for Bedrock's check, which is a model.

A sentence counts as supported when a source holds most of its content words and every number in it.
It sees no paraphrase and no contradiction; it is meant to move the same way, not to be as good.
"""

import re
from collections.abc import Sequence

from bulwark.local.bedrock.lexical import content_words, sentences

SUPPORTING_SHARE = 0.6
_STATED_CONFIDENCE = re.compile(r"^\W*confidence\W*[:=]\W*[\d.]+%?\W*$", re.IGNORECASE)


def grounding_score(answer: str, sources: Sequence[str]) -> float:
    """The share of the answer's sentences that a source supports."""
    known = [content_words(source) for source in sources]
    judged = [content_words(sentence) for sentence in _claims(answer)]
    judged = [words for words in judged if words]
    if not judged:
        return 0.0
    return round(sum(any(_supports(source, words) for source in known) for words in judged) / len(judged), 4)


def relevance_score(query: str, answer: str) -> float:
    """The share of the query's content words that come back in the answer."""
    asked = content_words(query)
    if not asked:
        return 1.0
    return round(len(asked & content_words("\n".join(_claims(answer)))) / len(asked), 4)


def _claims(answer: str) -> list[str]:
    return [sentence for sentence in sentences(answer) if not _STATED_CONFIDENCE.match(sentence)]


def _supports(source: set[str], sentence: set[str]) -> bool:
    numbers = {word for word in sentence if word[0].isdigit()}
    return numbers <= source and len(sentence & source) >= SUPPORTING_SHARE * len(sentence)
