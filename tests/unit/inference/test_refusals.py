"""Refusals: what declines is told from what answers, in each language that was taught, and in no time."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear import assert_linear

from bench import refusal_training
from domain.inference.refusals import (
    LANGUAGES,
    THRESHOLD,
    WEIGHTS,
    is_refusal,
    packed,
    refusal_score,
    unpacked,
)


def declines(text: str, languages: Collection[str] = LANGUAGES) -> bool:
    return is_refusal(refusal_score(text), languages)


REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I can't assist you with this request.",
    "I am unable to provide medical advice. Please consult a doctor.",
    "As an AI language model, I don't have personal opinions.",
    "I can only answer questions about our products.",
    "We are unable to process this request.",
    "I don't have access to your account.",
    "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
    "Diese Frage kann ich leider nicht beantworten.",
    "Je suis désolé, mais je ne peux pas vous aider avec cela.",
    "Je ne suis pas en mesure de répondre à cette question.",
    "Lo siento, pero no puedo ayudarte con esa solicitud.",
    "No puedo ayudar con eso.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Non sono in grado di rispondere a questa domanda.",
    "Desculpe, mas não posso ajudar com isso.",
    "Não tenho informações sobre isso.",
]
ANSWERS = [
    "You cannot return the kettle after 30 days.",
    "I'm sorry to hear that your parcel is late. It will arrive on Friday.",
    "I don't have live data, but a litre of milk usually costs about one euro.",
    'In French you would say: "Je suis désolé, mais je ne peux pas vous aider."',
    '"I can\'t help with that" was the whole reply.',
    "Sorry for the mix-up: the meeting is at three.",
    "The printer cannot print in colour.",
    "Sie können das Buch nach 30 Tagen nicht zurückgeben.",
    "Leider ist die Bibliothek heute geschlossen.",
    "Vous ne pouvez pas annuler le billet après le départ.",
    "Los clientes no pueden cancelar después de la llegada.",
    "I clienti non possono fumare in sala.",
    "Os visitantes não podem tirar fotos na sala.",
    "Paris is the capital of France.",
    "42",
    "No.",
    "Yes.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_what_declines_is_a_refusal(text):
    assert declines(text, {"en"})


@pytest.mark.parametrize("text", ANSWERS)
def test_what_says_something_is_an_answer(text):
    assert not declines(text, {"en", "de", "fr", "es", "it", "pt"})


@pytest.mark.parametrize("text", ["", "\u200b", "...", "```\n```", "<think>I will not.</think>"])
def test_what_says_nothing_is_no_refusal(text):
    assert not declines(text, LANGUAGES)


@pytest.mark.parametrize("text", [*REFUSALS, *ANSWERS])
@pytest.mark.parametrize(
    "dressed",
    [
        lambda text: text.replace("'", "\u2019"),
        lambda text: text.replace('"', "\u201d"),
        lambda text: f"\n \t{text}\n",
        lambda text: f"**{text}**",
        lambda text: " ".join(f"**{word}**" if len(word) > 5 else word for word in text.split(" ")),
        lambda text: text.upper() if text.isascii() else text,
        lambda text: f"<think>What do they want?</think>{text}",
    ],
)
def test_how_it_is_dressed_changes_nothing(text, dressed):
    assert refusal_score(dressed(text)) == refusal_score(text)


def test_an_answer_after_a_refusal_counts_and_reasoning_does_not():
    refusal = "I can't see your screen."
    answer = "However, the light usually means that the cable is loose: push it in and restart the router."

    assert declines(refusal)
    assert not declines(f"{refusal} {answer}")
    assert declines(f"<think>{answer}</think>{refusal}")


def test_only_what_is_plain_is_a_refusal_where_a_language_was_not_taught():
    plain = "I'm sorry, but I can't help with that request."
    unsure = next(text for text in REFUSALS if THRESHOLD <= refusal_score(text) < refusal_score(plain))

    assert "sv" not in LANGUAGES
    assert declines(plain, {"sv"}) and declines(unsure, {"en"})
    assert not declines("Du kan inte lämna tillbaka varan efter trettio dagar.", {"sv"})


@given(st.text())
def test_any_text_has_a_score(text):
    assert 0 <= refusal_score(text) <= 1


@pytest.mark.parametrize("run", ["I can't. ", "<think>", '"', "```", "a, ", "\u0301", "**"])
def test_long_texts_are_read_in_no_time(run):
    assert_linear(lambda size: refusal_score(run * (size // len(run))), 100_000)


def test_weights_are_kept_without_loss_and_small():
    text = packed(WEIGHTS, LANGUAGES)

    assert unpacked(text) == (WEIGHTS, LANGUAGES)
    assert len(text) <= 128 * 1024


def test_no_held_out_answer_is_taught():
    """Neither an answer of bench/answers/own.jsonl nor one of the data that it is measured on is in bench/refusals/."""
    taught = {line.text.casefold() for line in refusal_training.read_lines()}
    held_out = {each["answer"].casefold() for each in refusal_training.rows_of(refusal_training.OWN)}

    assert len(held_out) >= 300
    assert not taught & held_out
