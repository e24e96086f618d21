"""adapters/http.py: a body that cannot be read is the caller's to mend, and is never quoted."""

import base64
import json

import pytest

from adapters.http import Refused, answers, body_of, respond
from domain.callers import Forbidden
from domain.requests import MAX_BODY_BYTES, RequestRefused, invalid

CLAIMS = {"requestContext": {"authorizer": {"jwt": {"claims": {"sub": "u", "cognito:groups": "[callers]"}}}}}


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("", "not JSON at line 1, column 1"),
        ("{", "not JSON at line 1"),
        ('{"query": "secret"', "not JSON at line 1"),
        ('{"query":\n secret}', "not JSON at line 2, column 2"),
        ('{"a": NaN}', "holds NaN"),
        ('{"a": -Infinity}', "holds -Infinity"),
        ('{"a": ' + "1" * 5000 + "}", "more digits than can be read"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_is_told_where(raw, what):
    with pytest.raises(RequestRefused, match=what) as refused:
        body_of({"body": raw})

    assert refused.value.field == "body"
    assert "secret" not in refused.value.message


def test_a_body_that_is_no_utf_8_is_told_where():
    with pytest.raises(RequestRefused, match="not UTF-8 at byte 2"):
        body_of({"body": base64.b64encode(b'{"\xff": 1}').decode(), "isBase64Encoded": True})


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_is_read_in_either_form(encoded):
    text = '{"query": "na\u00efve"}'
    body = base64.b64encode(text.encode()).decode() if encoded else text

    assert body_of({"body": body, "isBase64Encoded": encoded}) == {"query": "na\u00efve"}


@pytest.mark.parametrize(("character", "bytes_each"), [("x", 1), ("\u00e9", 2)])
def test_a_body_is_measured_in_bytes(character, bytes_each):
    fitting = json.dumps(character * ((MAX_BODY_BYTES - 2) // bytes_each), ensure_ascii=False)
    assert body_of({"body": fitting})

    with pytest.raises(Refused) as refused:
        body_of({"body": fitting + " " * 3})

    assert (refused.value.status, refused.value.error["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Forbidden("This needs membership in leads."), 403, "FORBIDDEN"),
        (invalid("query", "is missing"), 400, "INVALID_REQUEST"),
        (Refused(409, "ALREADY_DECIDED", "Decided."), 409, "ALREADY_DECIDED"),
    ],
)
def test_each_refusal_has_its_status(error, status, code):
    @answers
    def refusing(event, caller):
        raise error

    response = refusing(CLAIMS, None)

    assert response["statusCode"] == status
    assert json.loads(response["body"])["error"]["code"] == code


def test_when_to_come_back_is_a_header_too():
    @answers
    def busy(event, caller):
        raise Refused(429, "RATE_LIMITED", "Wait.", retry_after_seconds=7)

    assert busy(CLAIMS, None)["headers"]["retry-after"] == "7"


def test_what_nobody_foresaw_is_not_dressed_as_a_refusal():
    @answers
    def broken(event, caller):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken(CLAIMS, None)


def test_nobody_is_let_in_without_the_authoriser_s_claims():
    with pytest.raises(KeyError):
        answers(lambda event, caller: respond(200, {}))({"requestContext": {}}, None)


def test_an_answer_is_not_cached():
    assert respond(200, {})["headers"]["cache-control"] == "no-store"
