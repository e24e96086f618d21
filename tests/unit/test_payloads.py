"""adapters/payloads.py: small texts stay in their record, large ones go to the bucket."""

import pytest
from botocore.exceptions import ClientError

from adapters import payloads
from adapters.payloads import INLINE_BYTES, keep, text_of
from adapters.sealing import SubjectKey
from domain.errors import PayloadGone, SubjectErased

KEY, OTHER = SubjectKey("ana", b"a" * 32), SubjectKey("ben", b"b" * 32)
EXPIRES_AT = 1_800_000_000.0  # 2027-01-15T08:00:00Z


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
    kept = keep("answer", "acme#r-1", text, KEY, EXPIRES_AT)

    assert list(kept) == [where]
    assert text_of(kept | {"request_key": "acme#r-1"}, "answer", KEY) == text
    assert text_of(kept, "answer", KEY, "acme#r-1") == text


def test_a_repeat_writes_the_same_object_and_no_id_stands_in_its_key(bucket):
    text = "x" * (INLINE_BYTES + 1)

    ref = keep("payload", "acme#../secret", text, KEY, EXPIRES_AT)["payload_ref"]

    assert keep("payload", "acme#../secret", text, KEY, EXPIRES_AT)["payload_ref"] == ref
    assert keep("payload", "acme#other", text, KEY, EXPIRES_AT)["payload_ref"] != ref
    assert keep("payload", "acme#../secret", text, OTHER, EXPIRES_AT)["payload_ref"] != ref, (
        "the text cannot be guessed"
    )
    assert "secret" not in ref
    assert len(list(bucket.objects.all())) == 3


@pytest.mark.parametrize(
    ("expires_at", "day"), [(EXPIRES_AT, "2027-01-15"), (1_800_057_599, "2027-01-15"), (1_800_057_600, "2027-01-16")]
)
def test_an_object_s_name_begins_with_the_day_it_expires_on(bucket, expires_at, day):
    ref = keep("answer", "acme#r-1", "x" * (INLINE_BYTES + 1), KEY, expires_at)["answer_ref"]

    assert ref.startswith(f"requests/{day}/")


@pytest.mark.parametrize("length", [10, INLINE_BYTES + 1])
def test_what_is_stored_tells_nothing_and_opens_in_its_own_place_under_its_own_key_alone(bucket, length):
    kept = keep("answer", "acme#r-1", "secret" * length, KEY, EXPIRES_AT)

    stored = [*kept.values(), *(each.get()["Body"].read().decode() for each in bucket.objects.all())]
    assert not any("secret" in each for each in stored)
    for key, request_key, name in ((OTHER, "acme#r-1", "answer"), (KEY, "acme#r-2", "answer")):
        with pytest.raises(SubjectErased):
            text_of(kept, name, key, request_key)
    with pytest.raises(SubjectErased):
        text_of({name.replace("answer", "payload"): value for name, value in kept.items()}, "payload", KEY, "acme#r-1")


def test_a_draft_is_the_answer_that_it_was(bucket):
    kept = keep("answer", "acme#r-1", "Eleven hours.", KEY, EXPIRES_AT)

    assert text_of({"draft": kept["answer"], "request_key": "acme#r-1"}, "draft", KEY) == "Eleven hours."


def test_a_text_that_was_never_kept_is_none():
    assert text_of({}, "answer", KEY) is None


def test_events_too_large_for_an_execution_are_kept_apart(bucket):
    ref = payloads.put_event(b"{}")

    assert ref.startswith("events/")
    assert payloads.get(ref) == b"{}"


def test_what_is_not_there_is_gone(bucket):
    assert not payloads.exists("held/a.json") and not payloads.copy("held/a.json", "requests/a.json")
    with pytest.raises(PayloadGone):
        payloads.get("held/a.json")


@pytest.mark.parametrize(
    "read",
    [
        lambda: payloads.get("held/a.json"),
        lambda: payloads.exists("held/a.json"),
        lambda: payloads.copy("held/a.json", "requests/a.json"),
    ],
    ids=["get", "exists", "copy"],
)
def test_what_is_forbidden_is_an_error_and_not_gone(bucket, forbidden, read):
    payloads.put("held/a.json", b"words")
    with forbidden(), pytest.raises(ClientError):
        read()
