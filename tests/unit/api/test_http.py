"""adapters/api/http.py: a body that cannot be read is the caller's to mend, and is never quoted."""

import base64
import json

import pytest

from adapters.api.http import Refused, answers, body_of, limit_of, position_of, respond
from domain.api.callers import Forbidden
from domain.errors import PayloadGone
from domain.requests import MAX_BODY_BYTES, RequestRefused, invalid

CLAIMS = {
    "requestContext": {
        "authorizer": {"jwt": {"claims": {"sub": "u", "token_use": "access", "cognito:groups": "[callers]"}}}
    }
}


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("", "not JSON at line 1, column 1"),
        ("{", "not JSON at line 1"),
        ('{"query": "secret"', "not JSON at line 1"),
        ('{"query":\n secret}', "not JSON at line 2, column 2"),
        ('{"a": NaN}', "no number of JSON at line 1, column 7"),
        ('{"a": -Infinity}', "no number of JSON"),
        ('{"a": ' + "1" * 5000 + "}", "too large to be read"),
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper"),
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
        (PayloadGone("requests/x/answer-y.json"), 410, "GONE"),
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


def asked(method: str, **headers: str) -> dict:
    context = CLAIMS["requestContext"] | {"http": {"method": method}}
    return {"requestContext": context, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}


@answers
def telling(event, caller):
    return respond(event.get("status", 200), {"news": event.get("news", "none")})


def test_who_knows_it_is_told_that_nothing_changed():
    first = telling(asked("GET"), None)
    etag = first["headers"]["etag"]

    again = telling(asked("GET", if_none_match=etag), None)

    assert again == {"statusCode": 304, "headers": {"etag": etag, "cache-control": "no-store"}}
    assert json.loads(first["body"]) == {"news": "none"}


@pytest.mark.parametrize("known", ["", "*", '"another"', "W/"])
def test_who_knows_something_else_is_told_all(known):
    assert telling(asked("GET", if_none_match=known), None)["statusCode"] == 200


def test_news_are_told():
    etag = telling(asked("GET"), None)["headers"]["etag"]

    news = telling(asked("GET", if_none_match=etag) | {"news": "a lot"}, None)

    assert (news["statusCode"], news["headers"]["etag"] != etag) == (200, True)


@pytest.mark.parametrize(("method", "status"), [("POST", 200), ("DELETE", 200), ("GET", 201), ("GET", 404)])
def test_only_what_was_read_can_be_known(method, status):
    response = telling(
        asked(method, if_none_match=telling(asked("GET"), None)["headers"]["etag"]) | {"status": status}, None
    )

    assert (response["statusCode"], "etag" in response["headers"]) == (status, False)


@pytest.mark.parametrize(("given", "limit"), [({}, 25), ({"limit": "1"}, 1), ({"limit": "100"}, 100)])
def test_a_page_has_a_limit(given, limit):
    assert limit_of(given) == limit


@pytest.mark.parametrize("limit", ["0", "101", "-1", "+1", " 1", "1 ", "01", "1.0", "", "x", "\u0661", "9" * 5000])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(RequestRefused) as refused:
        limit_of({"limit": limit})

    assert refused.value.field == "limit"


@pytest.mark.parametrize(
    "position",
    ["", "2027-01-15T08:00:00.000Z", "2027-01-15T08:00:00.000Z#r-1", "2027-01-15T08:00:00.000Z#" + "x" * 300],
)
def test_a_position_is_one_that_a_page_gave(position):
    assert position_of({"next": position} if position else {}) == position


@pytest.mark.parametrize(
    "position",
    [
        "~",
        "x",
        "#",
        "2027",
        "2027-01-15T08:00:00.000Z#",
        "2027-01-15T08:00:00.000Z# ",
        "2027-01-15T08:00:00.000Z\n",
        "\u0662027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00.000Z#" + "x" * 301,
        "2027-01-15T08:00:00.000Z#\u00e9",
    ],
)
def test_a_position_that_no_page_gave_is_refused(position):
    with pytest.raises(RequestRefused) as refused:
        position_of({"next": position})

    assert refused.value.field == "next"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"comment": "bell \x07"}, "comment"),
        ({"answer": ["half \ud83d"]}, "answer[0]"),
        ([[[[[[[[[1]]]]]]]]], "[0]" * 8),
    ],
)
def test_what_no_schema_sees_is_refused_where_every_body_enters(body, field):
    with pytest.raises(RequestRefused) as refused:
        body_of({"body": json.dumps(body)})

    assert refused.value.field == field
