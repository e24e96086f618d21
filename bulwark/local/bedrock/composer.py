"""Answers for questions nobody recorded: sentences of the sources, or a plain one where there are none."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from bulwark.local.bedrock.lexical import content_words, count_tokens, sentences
from bulwark.local.bedrock.scenarios import Model

REFUSAL = "I'm sorry, but I can't help with that request."
LONGEST_SENTENCE = 400  # A source without full stops is not answered with all of itself.
_SENTENCES = {"terse": 1, "plain": 2, "verbose": 4}
_OPENINGS = {"terse": "", "plain": "", "verbose": "Here is what the material says. "}
_INVENTIONS = (
    "A 2017 review by the Halden Institute put the figure at 43.7 percent across nineteen regions.",
    "This was confirmed in a ruling of March 1988, which still binds every later decision.",
    "Professor Imre Castellan first described the effect while stationed in Tromsø.",
    "The exception covers orders above 12,450 units, provided that form K-88 was filed beforehand.",
    "Most experts now attribute this to the Verlinde amendment, adopted unanimously in 2003.",
)


@dataclass(frozen=True)
class Draft:
    """An answer and how sure the model says it is."""

    text: str
    confidence: float


def compose(model: Model, query: str, sources: Sequence[str], rng: random.Random) -> Draft:
    """An answer that keeps to its sources as often as the model is able, and otherwise makes something up."""
    able = rng.random() < model.skill
    grounded = _extract(model, query, sources) if sources else _plain(query)
    if able:
        return Draft(grounded, _stated(model, True, rng))
    return Draft(f"{grounded} {rng.choice(_INVENTIONS)}", _stated(model, False, rng))


def ungrounded(query: str, rng: random.Random) -> Draft:
    """An answer that owes nothing to any source, stated with confidence."""
    about = ", ".join(sorted(content_words(query))[:3]) or "this"
    invented = " ".join(rng.sample(_INVENTIONS, 2))
    return Draft(f"Regarding {about}: {invented}", round(rng.uniform(0.7, 0.95), 2))


def recorded(model: Model, answer: str, rng: random.Random) -> Draft:
    """A recorded answer; how sure the model says it is knows nothing of whether it is right."""
    return Draft(answer, _stated(model, rng.random() < model.skill, rng))


def swollen(text: str, factor: float, max_tokens: int) -> str:
    """The same answer said over and over, as far as the token limit lets it end by itself."""
    wanted = min(int(count_tokens(text) * factor), max_tokens - 1)
    repeats = wanted // max(1, count_tokens(text + " "))
    return " ".join([text] * max(1, repeats))


def _stated(model: Model, able: bool, rng: random.Random) -> float:
    """Models are surer when they are right, though not by as much as they should be."""
    middle = 0.6 + 0.35 * model.skill if able else 0.35 + 0.35 * model.skill
    return round(min(0.99, max(0.05, rng.gauss(middle, 0.08))), 2)


def _extract(model: Model, query: str, sources: Sequence[str]) -> str:
    asked = content_words(query)
    candidates = [
        (len(asked & content_words(sentence)), -order, sentence)
        for order, sentence in enumerate(
            sentence for source in sources for sentence in sentences(source) if not sentence.startswith("#")
        )
    ]
    best = sorted(candidates, reverse=True)[: _SENTENCES[model.style]]
    in_order = sorted(best, key=lambda candidate: -candidate[1])
    return _OPENINGS[model.style] + " ".join(_ended(sentence) for _, _, sentence in in_order)


def _ended(sentence: str) -> str:
    if len(sentence) > LONGEST_SENTENCE:
        return f"{sentence[:LONGEST_SENTENCE].rpartition(' ')[0] or sentence[:LONGEST_SENTENCE]}."
    return sentence if sentence[-1] in ".!?" else f"{sentence}."


def _plain(query: str) -> str:
    subject = " ".join(query.split())[:120].rstrip("?!. ") or "that"
    return f"On the question of {subject}: it depends on the details, and the common case is the simple one."
