"""The HTTP API's front: what a function is sent, who is let through, and what the caller gets."""

import base64
import http.client
import json
import socket
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from bulwark.local import http_api

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:reviews"
ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_pool"
KEY = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
STRANGER = RSAKey.generate_key(2048, {"kid": "one"}, private=True)


def operation(scheme="Cognito", scopes=()):
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"
    return {
        "x-amazon-apigateway-integration": {
            "type": "aws_proxy",
            "httpMethod": "POST",
            "payloadFormatVersion": "2.0",
            "uri": uri,
        },
        "security": [{scheme: list(scopes)}],
    }


BODY = {
    "openapi": "3.0.1",
    "components": {
        "securitySchemes": {
            "Cognito": {
                "type": "oauth2",
                "x-amazon-apigateway-authorizer": {
                    "type": "jwt",
                    "identitySource": "$request.header.Authorization",
                    "jwtConfiguration": {"issuer": ISSUER, "audience": ["client-1"]},
                },
            }
        }
    },
    "x-amazon-apigateway-cors": {
        "allowOrigins": ["https://desk.example"],
        "allowMethods": ["GET", "POST"],
        "allowHeaders": ["authorization"],
        "exposeHeaders": ["etag", "retry-after"],
        "maxAge": 600,
    },
    "paths": {
        "/reviews": {"get": operation(), "post": operation()},
        "/reviews/next": {"get": operation("NONE")},
        "/reviews/{review_id}": {"get": operation("NONE")},
        "/reviews/{review_id}/decision": {"post": operation()},
        "/scoped-post": {"post": operation(scopes=["desk/write"])},
        "/scoped": {"get": operation(scopes=["desk/read", "desk/write"])},
        "/open/{proxy+}": {"x-amazon-apigateway-any-method": operation("NONE")},
    },
}


@pytest.fixture(scope="module")
def served():
    """The API before a function that answers as it is told and keeps the events it got."""
    told = SimpleNamespace(events=[], answer={"statusCode": 200, "body": "fine"}, error=None, seconds=0, fetched=0)

    def invoke(function_arn, payload):
        assert function_arn == FUNCTION
        told.events.append(json.loads(payload))
        time.sleep(told.seconds)
        if isinstance(told.answer, Exception):
            raise told.answer
        return json.dumps(told.answer).encode(), told.error

    def keys(issuer):
        told.fetched += 1
        assert issuer == ISSUER
        return {"keys": [KEY.as_dict(private=False)]}

    api = http_api.serve(BODY, keys, invoke, api_id="api123", timeout_seconds=0.5)
    told.url = api.url
    yield told
    api.close()


@pytest.fixture
def function(served):
    served.events.clear()
    served.answer, served.error, served.seconds = {"statusCode": 200, "body": "fine"}, None, 0
    return served


@pytest.fixture
def call(function):
    def send(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(urlsplit(function.url).netloc, timeout=60)
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}

    return send


def token(key=KEY, **changed):
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "client_id": "client-1",
        "sub": "user-1",
        "token_use": "access",
        "cognito:groups": ["callers", "tenant-acme"],
        "iat": now - 5,
        "exp": now + 7200,
        **changed,
    }
    return jwt.encode({"alg": "RS256", "kid": "one"}, {k: v for k, v in claims.items() if v is not None}, key)


def bearer(**changed):
    return {"Authorization": f"Bearer {token(**changed)}"}


def test_a_function_is_sent_payload_format_2_0(function, call):
    headers = {
        **bearer(),
        "Content-Type": "application/json",
        "X-Two": "a",
        "Cookie": "k=v; l=w",
        "User-Agent": "t",
    }

    status, text, _ = call("POST", "/reviews/R%2F1%20x/decision?a=1&b=&a=2%203", '{"decision":"APPROVE"}', headers)

    (event,) = function.events
    assert (status, text) == (200, "fine")
    assert event["version"] == "2.0"
    assert event["routeKey"] == "POST /reviews/{review_id}/decision"
    assert event["rawPath"] == "/reviews/R/1 x/decision"
    assert event["rawQueryString"] == "a=1&b=&a=2%203"
    assert event["queryStringParameters"] == {"a": "1,2 3", "b": ""}
    assert event["pathParameters"] == {"review_id": "R/1 x"}
    assert event["cookies"] == ["k=v", "l=w"]
    assert event["headers"]["x-two"] == "a" and event["headers"]["content-type"] == "application/json"
    assert all(name == name.lower() for name in event["headers"])
    assert (event["body"], event["isBase64Encoded"]) == ('{"decision":"APPROVE"}', False)
    context = event["requestContext"]
    assert context["http"]["method"] == "POST" and context["http"]["userAgent"] == "t"
    assert (context["accountId"], context["apiId"], context["stage"]) == (
        "123456789012",
        "api123",
        "$default",
    )
    assert abs(context["timeEpoch"] / 1000 - time.time()) < 5


def test_claims_reach_the_function_as_strings_and_lists_in_brackets(function, call):
    call("GET", "/reviews", headers=bearer(email_verified=True, nothing=[]))

    authorizer = function.events[0]["requestContext"]["authorizer"]["jwt"]
    assert authorizer["claims"]["cognito:groups"] == "[callers tenant-acme]"
    assert authorizer["claims"]["exp"].isdigit()
    assert (authorizer["claims"]["sub"], authorizer["claims"]["email_verified"]) == ("user-1", "true")
    assert authorizer["claims"]["nothing"] == "[]"
    assert authorizer["scopes"] is None


@pytest.mark.parametrize(
    ("group", "status"), [("a,b", 200), ("[x]", 200), ("x callers", 401), ("x\tleads", 401), ("", 401)]
)
def test_no_group_becomes_two(function, call, group, status):
    answered, _, _ = call("GET", "/reviews", headers=bearer(**{"cognito:groups": [group, "tenant-acme"]}))

    assert answered == status and len(function.events) == (status == 200)
    for event in function.events:
        claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
        assert claims["cognito:groups"] == f"[{group} tenant-acme]"


def test_what_is_empty_is_left_out_of_the_event(function, call):
    call("GET", "/reviews/next")

    absent = {"body", "cookies", "queryStringParameters", "pathParameters", "stageVariables"}
    assert not absent & set(function.events[0])
    assert "authorizer" not in function.events[0]["requestContext"]
    assert function.events[0]["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json", b'{"a": "\xc3\xa9"}', False),
        ("text/plain; charset=utf-8", b"plain", False),
        ("application/octet-stream", b"plain", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("application/json", b"\xff\xfe", True),
    ],
)
def test_a_body_that_is_no_text_is_base64(function, call, content_type, body, encoded):
    call("POST", "/open/x", body, {"Content-Type": content_type})

    event = function.events[0]
    assert event["isBase64Encoded"] is encoded
    assert encoded or event["body"] == body.decode()


@pytest.mark.parametrize(
    ("method", "path", "route_key"),
    [
        ("GET", "/reviews/next", "GET /reviews/next"),
        ("GET", "/reviews/R-1", "GET /reviews/{review_id}"),
        ("DELETE", "/open/a/b/c", "ANY /open/{proxy+}"),
    ],
)
def test_the_most_specific_route_answers(function, call, method, path, route_key):
    call(method, path)

    assert function.events[0]["routeKey"] == route_key


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("PUT", "/reviews"), ("GET", "/reviews/R-1/more")])
def test_what_no_route_takes_is_not_found(function, call, method, path):
    status, text, _ = call(method, path, headers=bearer())

    assert (status, json.loads(text)) == (404, {"message": "Not Found"})
    assert function.events == []


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer not.a.token",
        "Basic dXNlcjpwYXNz",
        f"Bearer {token(key=STRANGER)}",
        f"Bearer {token(iss='https://elsewhere.example')}",
        f"Bearer {token(client_id='client-2')}",
        f"Bearer {token(client_id=None)}",
        f"Bearer {token(aud='client-2')}",
        f"Bearer {token(exp=int(time.time()) - 1)}",
        f"Bearer {token(exp=None)}",
        f"Bearer {token(exp='soon')}",
        f"Bearer {token(nbf=int(time.time()) + 3600)}",
        f"Bearer {token(iat=int(time.time()) + 3600)}",
        f"Bearer {token().rsplit('.', 1)[0]}.",
    ],
)
def test_a_token_that_is_not_good_is_unauthorized(function, call, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}

    status, text, _ = call("GET", "/reviews", headers=headers)

    assert (status, json.loads(text)) == (401, {"message": "Unauthorized"})
    assert function.events == []


def test_a_token_without_a_signature_is_unauthorized(call):
    def part(value):

        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": ISSUER, "client_id": "client-1", "exp": int(time.time()) + 60}
    unsigned = f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims)}."

    assert call("GET", "/reviews", headers={"Authorization": f"Bearer {unsigned}"})[0] == 401


@pytest.mark.parametrize("headers", [bearer(), {"authorization": token()}, bearer(aud=["client-1"], client_id=None)])
def test_a_good_token_passes_with_or_without_bearer_and_by_either_audience(call, headers):
    assert call("GET", "/reviews", headers=headers)[0] == 200


def test_a_route_with_scopes_wants_one_of_them(function, call):
    status, text, _ = call("GET", "/scoped", headers=bearer(scope="desk/list"))
    assert (status, json.loads(text)) == (403, {"message": "Forbidden"})

    assert call("GET", "/scoped", headers=bearer(scope="desk/list desk/read"))[0] == 200
    assert function.events[0]["requestContext"]["authorizer"]["jwt"]["scopes"] == ["desk/read", "desk/write"]


def test_the_issuers_keys_are_fetched_once(served, call):
    call("GET", "/reviews", headers=bearer())
    fetched = served.fetched

    for _ in range(5):
        call("GET", "/reviews", headers=bearer())

    assert served.fetched == fetched


def test_a_response_keeps_its_status_headers_cookies_and_bytes(function, call):
    function.answer = {
        "statusCode": 202,
        "headers": {"X-Kind": "held", "retry-after": 3},
        "cookies": ["a=1"],
        "body": "aGVsZA==",
        "isBase64Encoded": True,
    }

    status, text, headers = call("GET", "/reviews/next")

    assert (status, text) == (202, "held")
    assert (headers["x-kind"], headers["retry-after"], headers["set-cookie"]) == ("held", "3", "a=1")
    assert headers["apigw-requestid"]


def test_an_answer_without_a_status_is_the_body_of_a_200(function, call):
    function.answer = {"status": "COMPLETED"}

    status, text, headers = call("GET", "/reviews/next")

    assert (status, json.loads(text), headers["content-type"]) == (
        200,
        {"status": "COMPLETED"},
        "application/json",
    )


def test_a_text_without_a_status_is_the_body_as_it_is(function, call):
    function.answer = "Hello"

    assert call("GET", "/reviews/next")[:2] == (200, "Hello")


@pytest.mark.parametrize("broken", ["error", "exception", "status"])
def test_a_function_that_fails_is_an_internal_server_error(function, call, broken):
    if broken == "error":
        function.error, function.answer = "Unhandled", {"errorMessage": "a secret"}
    elif broken == "exception":
        function.answer = RuntimeError("a secret")
    else:
        function.answer = {"statusCode": 7, "body": "a secret"}

    status, text, _ = call("GET", "/reviews/next")

    assert (status, json.loads(text)) == (500, {"message": "Internal Server Error"})


def test_a_function_that_takes_too_long_is_unavailable(function, call):
    function.seconds = 0.8

    status, text, _ = call("GET", "/reviews/next")

    assert (status, json.loads(text)) == (503, {"message": "Service Unavailable"})


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_ten_megabytes_is_refused_unread_by_the_function(function, call, chunked):
    body = b"x" * (10 * 1024 * 1024 + 1)

    status, text, _ = call("POST", "/open/x", iter([body]) if chunked else body, {"Content-Type": "text/plain"})

    assert (status, json.loads(text)) == (413, {"message": "Request Entity Too Large"})
    assert function.events == []


def test_a_body_that_lambda_would_not_take_is_refused_and_a_megabyte_passes(function, call):
    assert call("POST", "/open/x", b"x" * 1_000_000, {"Content-Type": "text/plain"})[0] == 200
    assert call("POST", "/open/x", b"x" * (6 * 1024 * 1024), {"Content-Type": "text/plain"})[0] == 413
    assert len(function.events) == 1


def test_a_browser_of_an_allowed_origin_gets_cors_headers(function, call):
    preflight = {"Origin": "https://desk.example", "Access-Control-Request-Method": "POST"}

    status, _, headers = call("OPTIONS", "/reviews", headers=preflight)

    assert status == 204 and function.events == []
    assert headers["access-control-allow-origin"] == "https://desk.example"
    assert headers["access-control-allow-methods"] == "GET,POST"
    assert headers["access-control-max-age"] == "600"
    for path, expected in (("/reviews/next", 200), ("/reviews", 401), ("/absent", 404)):
        status, _, headers = call("GET", path, headers={"Origin": "https://desk.example"})
        assert (status, headers["access-control-allow-origin"]) == (expected, "https://desk.example")
        assert headers["access-control-expose-headers"] == "etag,retry-after"


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://desk.example.evil.example"])
def test_a_page_of_another_origin_reaches_no_function(function, call, method, origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}

    status, _, headers = call(method, "/reviews/next", headers=asked)

    assert (status, function.events) == (403, [])
    assert not [name for name in headers if name.startswith("access-control-")]


def test_an_options_request_that_is_no_preflight_finds_no_route(call):
    assert call("OPTIONS", "/reviews", headers={"Origin": "https://desk.example"})[0] == 404


def test_a_functions_own_cors_headers_give_way_to_the_apis(function, call):
    function.answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*", "x-kept": "1"}}

    _, _, headers = call("GET", "/reviews/next", headers={"Origin": "https://desk.example"})

    assert headers["access-control-allow-origin"] == "https://desk.example" and headers["x-kept"] == "1"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length_and_the_connection_goes_on(function, status):
    function.answer = {"statusCode": status, "headers": {"ETag": '"1"'}, "body": "never sent"}
    connection = http.client.HTTPConnection(urlsplit(function.url).netloc, timeout=60)
    connection.connect()
    used = connection.sock
    for _ in range(2):
        connection.request("GET", "/reviews/next")
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        assert (answer.status, answer.read(), headers["etag"]) == (status, b"", '"1"')
        assert not {"content-length", "content-type", "transfer-encoding"} & set(headers)
    assert connection.sock is used
    connection.close()


@pytest.mark.parametrize(
    ("headers", "expected"), [({}, 401), ({"Authorization": "Bearer x"}, 401), (bearer(scope="other"), 403)]
)
def test_the_token_is_checked_before_a_body_is_waited_for(function, headers, expected):
    path = "/scoped-post" if expected == 403 else "/reviews"
    with socket.create_connection(("127.0.0.1", urlsplit(function.url).port), timeout=20) as client:
        lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(function.url).netloc}", "Content-Length: 1000000"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        client.sendall("\r\n".join([*lines, "", "ab"]).encode())
        begun = time.monotonic()

        assert client.recv(100).startswith(f"HTTP/1.1 {expected} ".encode())
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("body", [b"the customer's words\r\n", b"3\r\nabcdef the customer's words"])
def test_a_malformed_chunk_is_a_bad_request_and_reaches_no_function(function, capfd, body):
    with socket.create_connection(("127.0.0.1", urlsplit(function.url).port), timeout=20) as client:
        lines = ["POST /reviews HTTP/1.1", f"Host: {urlsplit(function.url).netloc}", "Transfer-Encoding: chunked"]
        client.sendall("\r\n".join([*lines, f"Authorization: Bearer {token()}", "", ""]).encode() + body)

        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    said = "".join(capfd.readouterr())
    assert "words" not in said and "Traceback" not in said and function.events == []


def test_a_kept_connection_answers_again_and_again(function):
    connection = http.client.HTTPConnection(urlsplit(function.url).netloc, timeout=60)
    connection.connect()
    used = connection.sock
    for _ in range(3):
        connection.request("GET", "/reviews/next")
        assert connection.getresponse().read() == b"fine"
    assert connection.sock is used and isinstance(used, socket.socket)
    connection.close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda item: item["x-amazon-apigateway-integration"].update(payloadFormatVersion="1.0"),
            "payload format",
        ),
        (lambda item: item["x-amazon-apigateway-integration"].update(uri="https://a.example"), "Lambda"),
        (lambda item: item.update(security=[{"Unheard": []}]), "Unheard"),
    ],
)
def test_a_definition_that_cannot_be_served_stops_the_start(change, named):
    item = json.loads(json.dumps(operation()))
    change(item)

    with pytest.raises(ValueError, match=named):
        http_api.serve({**BODY, "paths": {"/": {"get": item}}}, lambda issuer: {}, lambda *_: (b"", None))
