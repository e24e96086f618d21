"""inference/admit/read_body.py: a body is what the event holds or refers to, if it is a JSON object at all."""

import json

import pytest

from adapters import payloads
from inference.admit.read_body import read_body


@pytest.mark.parametrize("body", ["text", 7, None, ["a"]])
def test_what_is_no_object_is_no_body(admission, body):
    assert read_body(admission("read_body")._replace(event={"detail": body})).detail is None


def test_a_body_by_reference_is_the_bucket_s(admission):
    ref = payloads.put_event(json.dumps({"query": "From the bucket?"}).encode())

    assert read_body(admission("read_body", detail_ref=ref)).detail == {"query": "From the bucket?"}


@pytest.mark.parametrize("text", ["", '{"a": NaN}', '{"metadata":' + "[" * 5_000 + "]" * 5_000 + "}"])
def test_a_body_by_reference_that_cannot_be_read_is_no_body(admission, text):
    ref = payloads.put_event(text.encode())

    assert read_body(admission("read_body", detail_ref=ref)).detail is None
