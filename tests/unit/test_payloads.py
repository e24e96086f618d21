"""adapters/payloads.py: small texts stay in their record, large ones go to the bucket."""

import pytest

from adapters import payloads
from adapters.payloads import INLINE_BYTES, keep, text_of


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("x" * INLINE_BYTES, "answer"),
        ("x" * (INLINE_BYTES + 1), "answer_ref"),
        ("\u00e9" * (INLINE_BYTES // 2), "answer"),
        ("\u00e9" * (INLINE_BYTES // 2 + 1), "answer_ref"),
        ("", "answer"),
    ],
)
def test_size_decides_where_a_text_is_kept(bucket, text, where):
    kept = keep("answer", "acme#r-1", text)

    assert list(kept) == [where]
    assert text_of(kept, "answer") == text


def test_a_repeat_writes_the_same_object_and_no_id_stands_in_its_key(bucket):
    text = "x" * (INLINE_BYTES + 1)

    ref = keep("payload", "acme#../secret", text)["payload_ref"]

    assert keep("payload", "acme#../secret", text)["payload_ref"] == ref
    assert keep("payload", "acme#other", text)["payload_ref"] != ref
    assert ref.startswith("requests/")
    assert "secret" not in ref
    assert len(list(bucket.objects.all())) == 2


def test_a_text_that_was_never_kept_is_none():
    assert text_of({}, "answer") is None


def test_events_too_large_for_an_execution_are_kept_apart(bucket):
    ref = payloads.put_event(b"{}")

    assert ref.startswith("events/")
    assert payloads.get(ref) == b"{}"
