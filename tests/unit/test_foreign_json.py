"""domain/foreign_json.py: whatever is written is read, or refused in one line that quotes none of it."""

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.foreign_json import MAX_LEVELS, NotJson, read_json, text_of
from domain.requests import MAX_DEPTH

VALUE = {"query": "Grüße, 😀", "n": [1, 2.5, None, True]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_what_encoding_is_plain_is_read(encoding):
    assert read_json(json.dumps(VALUE, ensure_ascii=False).encode(encoding)) == VALUE


def test_a_byte_order_mark_in_a_text_is_none_of_it():
    assert read_json("\ufeff[1]") == [1]


def test_half_a_surrogate_pair_stays_to_be_refused_by_its_field():
    assert read_json('{"query": "\\ud83d"}') == read_json('{"query": "\ud83d"}'.encode(errors="surrogatepass"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON at line 1, column 1"),
        ('{"a":\n secret}', "is not JSON at line 2, column 2"),
        ("[1] 2", "is not JSON at line 1, column 5"),
        (b"\xff\xff", "is not UTF-8 at byte 0"),
        (b"\xff\xfe[\x00\x00", "is not UTF-16 at byte 4"),
        ("[NaN]", "holds what is no number of JSON at line 1, column 2"),
        ('["NaN 1e999",\n 1, -Infinity]', "holds what is no number of JSON at line 2, column 5"),
        ("[0, 1e400]", "holds a number that is too large to be read at line 1, column 5"),
        ("[-1e400]", "holds a number that is too large to be read at line 1, column 2"),
        ("[-" + "1" * 5000 + "]", "holds a number that is too large to be read at line 1, column 2"),
    ],
)
def test_what_is_no_json_is_refused_in_words_of_ours(text, said):
    with pytest.raises(NotJson) as refused:
        read_json(text)

    assert said in str(refused.value)
    assert "\n" not in str(refused.value) and "secret" not in str(refused.value)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("depth", [MAX_LEVELS + 1, 5_000, 100_000])
def test_what_is_too_deep_is_refused_and_never_recursed_into(opening, depth):
    with pytest.raises(NotJson, match=f"deeper than {MAX_LEVELS} levels"):
        read_json(opening * depth)


def test_as_deep_as_is_said_is_read_and_deeper_than_a_request_may_be():
    assert read_json("[" * MAX_LEVELS + "]" * MAX_LEVELS)
    assert MAX_LEVELS > MAX_DEPTH


@pytest.mark.parametrize(
    "text", ['"' + '[{\\"' * 5_000 + '"', "[" + "[]," * 5_000 + "1]", '["\\\\",' + "[]," * 500 + "1]"]
)
def test_brackets_in_strings_and_side_by_side_are_no_depth(text):
    assert read_json(text) == json.loads(text)


@pytest.mark.parametrize("text", ['"\\' * 300_000, '"' + '\\"[' * 300_000, "[" * 101 + '"\\' * 200_000, "[]" * 400_000])
def test_no_text_takes_long_to_be_refused(text):
    started = time.process_time()

    with pytest.raises(NotJson):
        read_json(text)

    assert time.process_time() - started < 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_whatever_json_is_finite_comes_back(value):
    text = json.dumps(value)
    try:
        finite = json.loads(json.dumps(value, allow_nan=False))
    except ValueError:
        with pytest.raises(NotJson):
            read_json(text)
    else:
        assert read_json(text) == finite


def test_two_thousand_random_bytes_are_read_or_refused():
    chance = random.Random(8)
    pieces = [b"[", b"{", b"]", b"}", b'"', b"\\", b",", b":", b"1e999", b"NaN", b"null", b"\xff\xfe", b"\xef\xbb\xbf"]
    for _ in range(2_000):
        data = b"".join(chance.choice(pieces) * chance.choice((1, 1, 1, 200)) for _ in range(chance.randrange(12)))
        data += chance.randbytes(chance.randrange(8))
        try:
            read_json(data)
            text_of(data)
        except NotJson as error:
            assert str(error).isascii() and "\n" not in str(error)
