"""Characters: what a text may hold, what of it is shown, and when it says nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from linear import assert_linear

from domain.characters import cleaned, holds_control, is_blank, is_broken, visible


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\r\n",
        "\u00a0\u3000\u2003",
        "\u200b\u2060\u200d\ufeff",
        "\u2800\u2800",
        "\u3164\u115f\uffa0",
        "\ufffd\ufffc",
        "\U000e0041\U000e0042",  # tag characters, which spell words that nobody sees
        "...",
        "\u2026",
        '""',
        "\u00ab \u00bb",
        "{}",
        "[ ]",
        "**",
        "- \n- \n",
        "?!",
        "```json\n```",
        "~~~\n\n~~~",
        "```\n...\n```",
        "<think>They ask for a tip. I could say something.</think>",
        "<thinking>\nHm.\n</thinking>\n\n",
        "<think>They ask for a tip, and there the model was cut o",
        "<reasoning>a</reasoning><reflection>b</reflection> ...",
    ],
)
def test_what_says_nothing_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "No.",
        "\u00bd",
        "\U0001f44d",
        "\u2713",
        "+",
        "\u20ac",
        "\u5426",
        "\u0646\u0639\u0645",
        "```python\nx = 1\n```",
        "```yes```",
        "<think>They ask.</think> Eleven hours.",
        "a < b",
        "\u200bEleven hours",
    ],
)
def test_what_says_something_is_not(text):
    assert not is_blank(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The battery\x00 lasts", "The battery lasts"),
        ("Done.\x1b]0;owned\x07\x1b[2J\x1b[1;1H", "Done."),
        ("Done.\x9d0;owned\x9c \x9b31mRed\x9b0m", "Done. Red"),
        ("\x1bPq#0;2;0;0;0\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("\x1b]0;no end\nThe words stay.", "0;no end\nThe words stay."),
        ("a\u202eb\u2066c\u2069", "abc"),
        ("half \ud83d of it", "half  of it"),
        ("tab\tline\r\nfamily \U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),
    ],
)
def test_the_words_stay_and_the_orders_go(text, words):
    assert cleaned(text) == (text if words is None else words)


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_that_is_obeyed_is_left(text):
    left = cleaned(text)

    assert not holds_control(left) and not is_broken(left)
    assert cleaned(left) == left
    shown = visible(text)
    assert not holds_control(shown) and not is_broken(shown)
    shown.encode()


@pytest.mark.parametrize("run", ["\x1b]", "\x9d", "\x1b[", "\x9b0", "\x1bP\x1b", "<think>", "```\n"])
def test_long_runs_are_read_in_no_time(run):
    for read in (cleaned, visible, is_blank):
        assert_linear(lambda size, read=read: read(run * (size // len(run))), 100_000)


def test_what_would_be_obeyed_is_spelled_out_where_it_is_shown():
    assert visible("a\x1b[2J\u202eb\nc") == "a\\u{1b}[2J\\u{202e}b\nc"
