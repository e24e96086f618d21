"""The hosted sign-in: who gets a code, who gets tokens for it, and what attackers get instead."""

import base64
import hashlib
import http.client
import json
import re
import time
from html import unescape
from types import SimpleNamespace
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import boto3
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from bulwark.local import hosted_sign_in
from bulwark.local.hosted_sign_in import HostedSignIn
from bulwark.local.json_web_tokens import JwtAuthorizer, user_pool_keys

DESK = "https://desk.example/"
PASSWORD = "correct-Horse-7"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
DESK_CLIENT = {
    "ClientName": "desk",
    "AllowedOAuthFlows": ["code"],
    "AllowedOAuthFlowsUserPoolClient": True,
    "AllowedOAuthScopes": ["openid"],
    "SupportedIdentityProviders": ["COGNITO"],
    "CallbackURLs": [DESK],
    "LogoutURLs": [DESK],
    "EnableTokenRevocation": True,
}


@pytest.fixture(scope="module")
def pool(endpoint):
    """A pool with a domain that is served, two reviewers, and the desk's client."""
    cognito = boto3.client(
        "cognito-idp",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    pool_id = cognito.create_user_pool(PoolName="bulwark")["UserPool"]["Id"]
    cognito.create_user_pool_domain(UserPoolId=pool_id, Domain="bulwark-local")
    for group in ("reviewers", "tenant-acme"):
        cognito.create_group(UserPoolId=pool_id, GroupName=group)
    for user in ("ann", "bob"):
        cognito.admin_create_user(UserPoolId=pool_id, Username=user, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=pool_id, Username=user, Password=PASSWORD, Permanent=True)
        for group in ("tenant-acme", "reviewers"):
            cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=user, GroupName=group)
    served = HostedSignIn("bulwark-local")
    yield SimpleNamespace(cognito=cognito, id=pool_id, url=served.url, endpoint=endpoint)
    served.close()


@pytest.fixture(scope="module")
def client_id(pool):
    return add_client(pool)


def add_client(pool, **changed):
    settings = {name: value for name, value in {**DESK_CLIENT, **changed}.items() if value is not None}
    return pool.cognito.create_user_pool_client(UserPoolId=pool.id, **settings)["UserPoolClient"]["ClientId"]


def call(pool, method, path, form=None, **headers):
    connection = http.client.HTTPConnection(urlsplit(pool.url).netloc, timeout=60)
    if form is not None:
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    if path.startswith("/oauth2/") and method == "POST":
        headers = {"Origin": DESK.rstrip("/"), **headers}
    connection.request(method, path, body=None if form is None else urlencode(form), headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    named = {name.lower(): value for name, value in answer.getheaders()}
    return SimpleNamespace(status=answer.status, text=text, headers=named, location=named.get("location", ""))


def asking(client_id, /, **changed):
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": DESK,
        "scope": "openid",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
    }
    return {name: value for name, value in asked.items() if value is not None}


def authorize(pool, client_id, **changed):
    return call(pool, "GET", f"/oauth2/authorize?{urlencode(asking(client_id, **changed))}")


class Form:
    """The form as a browser has it: where it goes, what is hidden in it, and its cookie."""

    def __init__(self, pool, answer):
        self._pool, self.answer = pool, answer
        self.action = unescape(re.search(r'action="([^"]+)"', answer.text)[1])
        self.csrf = re.search(r'name="_csrf" value="([^"]+)"', answer.text)[1]
        self.cookie = answer.headers["set-cookie"].partition(";")[0]

    def submit(self, username="ann", password=PASSWORD, **headers):
        form = {"_csrf": self.csrf, "username": username, "password": password}
        return call(self._pool, "POST", self.action, form, **{"Cookie": self.cookie, **headers})


def open_form(pool, client_id, **changed):
    redirected = authorize(pool, client_id, **changed)
    assert (redirected.status, redirected.location.partition("?")[0]) == (302, "/login")
    return Form(pool, call(pool, "GET", redirected.location))


def new_code(pool, client_id, **changed):
    return dict(parse_qsl(urlsplit(open_form(pool, client_id, **changed).submit().location).query))["code"]


def exchange(pool, client_id, code, /, **changed):
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "code": code,
        "redirect_uri": DESK,
        "code_verifier": VERIFIER,
        **changed,
    }
    return call(pool, "POST", "/oauth2/token", {name: value for name, value in form.items() if value is not None})


def content(answer):
    return json.loads(answer.text)


def sign_in(pool, client_id, **changed):
    return content(exchange(pool, client_id, new_code(pool, client_id, **changed)))


def refresh(pool, client_id, token):
    form = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token}
    return call(pool, "POST", "/oauth2/token", form)


def test_a_reviewer_signs_in_and_the_api_lets_the_token_pass(pool, client_id):
    sent_back = open_form(pool, client_id).submit()
    query = parse_qs(urlsplit(sent_back.location).query)
    answer = exchange(pool, client_id, query["code"][0])
    tokens = content(answer)

    assert sent_back.status == 302 and sent_back.location.startswith(f"{DESK}?")
    assert query["state"] == ["s1"]
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://desk.example")
    assert answer.headers["cache-control"] == "no-store"
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    issuer = f"https://cognito-idp.us-east-1.amazonaws.com/{pool.id}"
    authorizer = JwtAuthorizer(issuer, [client_id], user_pool_keys(pool.endpoint))
    claims = authorizer.claims(f"Bearer {tokens['access_token']}", [])
    user = pool.cognito.admin_get_user(UserPoolId=pool.id, Username="ann")
    assert (claims["token_use"], claims["client_id"], claims["username"]) == ("access", client_id, "ann")
    assert claims["sub"] in {each["Value"] for each in user["UserAttributes"]}
    assert claims["cognito:groups"] == ["reviewers", "tenant-acme"]
    assert claims["scope"] == "openid"
    keys = KeySet.import_key_set(user_pool_keys(pool.endpoint)(issuer))
    identity = jwt.decode(tokens["id_token"], keys, ["RS256"]).claims
    assert (identity["aud"], identity["token_use"]) == (client_id, "id")


def test_the_form_runs_no_script_leaks_no_address_and_posts_only_to_us_and_the_client(pool, client_id):
    answer = open_form(pool, client_id).answer
    policy = answer.headers["content-security-policy"]

    assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy
    assert "form-action 'self' https://desk.example;" in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)[1]
    assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert "embedded AWS" in answer.text
    assert all(
        f'<label for="{name}">' in answer.text and f'id="{name}"' in answer.text for name in ("username", "password")
    )
    assert "HttpOnly" in answer.headers["set-cookie"] and "Path=/login" in answer.headers["set-cookie"]


@pytest.mark.parametrize("state", ['"><script>alert(1)</script>', "a b&c=d#e", "\r\nSet-Cookie: x=y", "é/☃"])
def test_a_state_of_any_kind_comes_back_as_it_was_and_never_as_markup(pool, client_id, state):
    form = open_form(pool, client_id, state=state)

    assert "<script" not in form.answer.text
    sent_back = form.submit()
    assert parse_qs(urlsplit(sent_back.location).query)["state"] == [state]
    assert sent_back.headers.get("set-cookie") is None


def test_a_username_of_any_kind_is_shown_again_as_text(pool, client_id):
    answer = open_form(pool, client_id).submit(username='"><img src=x onerror=alert(1)>')

    assert answer.status == 401 and "<img" not in answer.text


@pytest.mark.parametrize(("username", "password"), [("ann", "wrong"), ("ann", ""), ("nobody", PASSWORD), ("", "")])
def test_who_does_not_know_the_password_is_told_the_same_and_gets_no_code(pool, client_id, username, password):
    answer = open_form(pool, client_id).submit(username, password)

    assert (answer.status, answer.location) == (401, "")
    assert "Incorrect username or password." in answer.text
    assert Form(pool, answer).submit().status == 302


def test_a_disabled_user_and_one_with_a_temporary_password_get_no_code(pool, client_id):
    for user in ("dan", "eve"):
        pool.cognito.admin_create_user(UserPoolId=pool.id, Username=user, TemporaryPassword=PASSWORD)
    pool.cognito.admin_set_user_password(UserPoolId=pool.id, Username="dan", Password=PASSWORD, Permanent=True)
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username="dan")

    assert open_form(pool, client_id).submit("dan").status == 401
    temporary = open_form(pool, client_id).submit("eve")
    assert (temporary.status, temporary.location) == (403, "")


def test_a_form_of_another_browser_or_for_another_request_signs_nobody_in(pool, client_id):
    form, other = open_form(pool, client_id), open_form(pool, client_id, state="s2")

    assert form.submit(Cookie="").status == 403
    assert form.submit(Cookie=other.cookie).status == 403
    form.action = other.action
    assert form.submit().status == 403
    form.csrf = ""
    assert form.submit().status == 403


def test_two_forms_in_one_browser_both_work(pool, client_id):
    first = open_form(pool, client_id, state="s1")
    path = authorize(pool, client_id, state="s2").location
    second = Form(pool, call(pool, "GET", path, Cookie=first.cookie))

    assert second.cookie == first.cookie
    assert (first.submit().status, second.submit().status) == (302, 302)


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "https://desk.example"},
        {"redirect_uri": "https://desk.example/?a"},
        {"redirect_uri": "https://desk.example/x"},
        {"redirect_uri": "https://desk.example.evil.example/"},
        {"redirect_uri": None},
    ],
)
@pytest.mark.parametrize("path", ["/oauth2/authorize", "/login"])
def test_an_address_that_is_not_the_clients_is_never_gone_to(pool, client_id, path, changed):
    answer = call(pool, "GET", f"{path}?{urlencode(asking(client_id, **changed))}")

    assert (answer.status, answer.location) == (400, "")
    assert "evil.example" not in answer.text


def test_a_parameter_that_stands_there_twice_is_refused(pool, client_id):
    query = urlencode([*asking(client_id).items(), ("redirect_uri", "https://evil.example/")])

    assert call(pool, "GET", f"/oauth2/authorize?{query}").status == 400


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "openid phone"}, "invalid_scope"),
    ],
)
def test_another_fault_is_told_to_the_client(pool, client_id, changed, error):
    answer = authorize(pool, client_id, **changed)

    assert answer.status == 302
    assert parse_qs(urlsplit(answer.location).query) == {"error": [error], "state": ["s1"]}


@pytest.mark.parametrize("changed", [{"AllowedOAuthFlows": ["implicit"]}, {"AllowedOAuthFlowsUserPoolClient": False}])
def test_a_client_without_the_code_flow_gets_neither_code_nor_tokens(pool, changed):
    other = add_client(pool, **changed)

    assert "error=unauthorized_client" in authorize(pool, other).location
    assert content(refresh(pool, other, "any")) == {"error": "unauthorized_client"}


def test_a_client_of_other_identity_providers_shows_no_form(pool):
    assert authorize(pool, add_client(pool, SupportedIdentityProviders=None)).status == 400


def test_a_code_is_good_once(pool, client_id):
    code = new_code(pool, client_id)

    assert exchange(pool, client_id, code).status == 200
    replayed = exchange(pool, client_id, code)
    assert (replayed.status, content(replayed)) == (400, {"error": "invalid_grant"})
    assert replayed.headers["access-control-allow-origin"] == "https://desk.example"


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": CHALLENGE},
        {"code_verifier": None},
        {"redirect_uri": "https://desk.example/other"},
    ],
)
def test_a_stolen_code_is_worth_nothing_and_is_spent_by_the_attempt(pool, client_id, changed):
    code = new_code(pool, client_id)

    assert content(exchange(pool, client_id, code, **changed)) == {"error": "invalid_grant"}
    assert content(exchange(pool, client_id, code)) == {"error": "invalid_grant"}


def test_a_code_of_one_client_is_not_anothers(pool, client_id):
    assert content(exchange(pool, add_client(pool), new_code(pool, client_id))) == {"error": "invalid_grant"}


def test_a_code_asked_for_without_a_challenge_takes_no_verifier(pool, client_id):
    bare = {"code_challenge": None, "code_challenge_method": None}

    with_verifier = exchange(pool, client_id, new_code(pool, client_id, **bare))
    assert content(with_verifier) == {"error": "invalid_grant"}
    without = exchange(pool, client_id, new_code(pool, client_id, **bare), code_verifier=None)
    assert without.status == 200


def test_a_code_does_not_live_long(pool, client_id, monkeypatch):
    monkeypatch.setattr(hosted_sign_in, "CODE_SECONDS", -1)

    assert content(exchange(pool, client_id, new_code(pool, client_id))) == {"error": "invalid_grant"}


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "unknown"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"code": None}, "invalid_request"),
        ({"code": "made up"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
    ],
)
def test_the_token_endpoint_names_what_is_wrong(pool, client_id, changed, error):
    answer = exchange(pool, client_id, "x", **changed)

    assert (answer.status, content(answer)) == (400, {"error": error})


def test_the_token_endpoint_takes_forms_of_a_modest_size_only(pool, client_id):
    as_json = call(
        pool, "POST", "/oauth2/token", {"grant_type": "refresh_token"}, **{"Content-Type": "application/json"}
    )
    large = call(pool, "POST", "/oauth2/token", {"grant_type": "x" * 100_000})

    assert content(as_json) == content(large) == {"error": "invalid_request"}
    assert call(pool, "GET", "/oauth2/token").status == 405
    preflight = call(pool, "OPTIONS", "/oauth2/token", Origin="https://desk.example")
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, "https://desk.example")


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_only_a_clients_page_may_ask_for_tokens(pool, client_id, method, origin):
    form = {"grant_type": "authorization_code", "code": new_code(pool, client_id), "client_id": client_id}
    form |= {"redirect_uri": DESK, "code_verifier": VERIFIER}

    refused = call(pool, method, "/oauth2/token", form, Origin=origin)

    assert (refused.status, "access-control-allow-origin" in refused.headers) == (403, False)
    assert call(pool, "POST", "/oauth2/token", form).status == 200, "the code is not spent"


def test_a_session_is_refreshed_with_the_groups_of_today(pool, client_id):
    tokens = sign_in(pool, client_id)
    pool.cognito.create_group(UserPoolId=pool.id, GroupName="leads")
    pool.cognito.admin_add_user_to_group(UserPoolId=pool.id, Username="ann", GroupName="leads")

    refreshed = content(refresh(pool, client_id, tokens["refresh_token"]))

    assert set(refreshed) == {"access_token", "id_token", "expires_in", "token_type"}
    before, after = (claims_of(each["access_token"]) for each in (tokens, refreshed))
    assert after["cognito:groups"] == ["leads", "reviewers", "tenant-acme"]
    assert (after["auth_time"], after["origin_jti"]) == (before["auth_time"], before["origin_jti"])
    pool.cognito.delete_group(UserPoolId=pool.id, GroupName="leads")


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_session_ends_by_revocation_by_signing_out_everywhere_and_with_the_user(pool, client_id):
    def refused(token):
        return content(refresh(pool, client_id, token)) == {"error": "invalid_grant"}

    revoked, signed_out, disabled = (sign_in(pool, client_id)["refresh_token"] for _ in range(3))
    answer = call(pool, "POST", "/oauth2/revoke", {"token": revoked, "client_id": client_id})
    assert (answer.status, answer.text, answer.headers["access-control-allow-origin"]) == (
        200,
        "",
        "https://desk.example",
    )
    assert refused(revoked) and not refused(signed_out)
    assert call(pool, "POST", "/oauth2/revoke", {"token": revoked, "client_id": client_id}).status == 200

    pool.cognito.admin_user_global_sign_out(UserPoolId=pool.id, Username="ann")
    assert refused(signed_out)

    last = sign_in(pool, client_id)["refresh_token"]
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username="ann")
    assert refused(last)
    pool.cognito.admin_enable_user(UserPoolId=pool.id, Username="ann")
    assert refused(disabled)


def test_a_refresh_token_of_one_client_is_not_anothers(pool, client_id):
    token, other = sign_in(pool, client_id)["refresh_token"], add_client(pool)

    assert content(refresh(pool, other, token)) == {"error": "invalid_grant"}
    stolen = call(pool, "POST", "/oauth2/revoke", {"token": token, "client_id": other})
    assert content(stolen) == {"error": "invalid_grant"}
    assert refresh(pool, client_id, token).status == 200


def test_what_cannot_be_revoked_is_named(pool, client_id):
    def error(**form):
        return content(call(pool, "POST", "/oauth2/revoke", form))["error"]

    tokens = sign_in(pool, client_id)
    assert error(client_id=client_id) == "invalid_request"
    assert error(client_id="unknown", token="x") == "invalid_client"
    assert error(client_id=client_id, token=tokens["access_token"]) == "unsupported_token_type"
    assert error(client_id=add_client(pool, EnableTokenRevocation=False), token="x") == "invalid_request"


def test_a_client_with_a_secret_has_to_show_it(pool):
    identifier = add_client(pool, GenerateSecret=True)
    described = pool.cognito.describe_user_pool_client(UserPoolId=pool.id, ClientId=identifier)
    secret = described["UserPoolClient"]["ClientSecret"]
    form = {"grant_type": "authorization_code", "redirect_uri": DESK, "code_verifier": VERIFIER}

    def basic(text):
        credentials = base64.b64encode(f"{identifier}:{text}".encode()).decode()
        code = new_code(pool, identifier)
        return call(pool, "POST", "/oauth2/token", {**form, "code": code}, Authorization=f"Basic {credentials}")

    assert content(exchange(pool, identifier, "x")) == {"error": "invalid_client"}
    assert content(basic("guessed")) == {"error": "invalid_client"}
    assert basic(secret).status == 200


def test_tokens_live_as_long_as_the_client_says(pool):
    units = {"AccessToken": "minutes", "RefreshToken": "seconds"}
    brief = add_client(pool, AccessTokenValidity=5, RefreshTokenValidity=1, TokenValidityUnits=units)
    tokens = sign_in(pool, brief)

    claims = claims_of(tokens["access_token"])
    assert tokens["expires_in"] == claims["exp"] - claims["iat"] == 300
    time.sleep(1.1)
    assert content(refresh(pool, brief, tokens["refresh_token"])) == {"error": "invalid_grant"}


def test_signing_out_goes_to_the_clients_address_only_and_the_form_is_shown_again(pool, client_id):
    def out(**asked):
        return call(pool, "GET", f"/logout?{urlencode(asked)}")

    gone = out(client_id=client_id, logout_uri=DESK)
    assert (gone.status, gone.location) == (302, DESK)
    for foreign in (
        out(client_id=client_id, logout_uri="https://evil.example/"),
        out(client_id="unknown", logout_uri=DESK),
        out(logout_uri=DESK),
    ):
        assert (foreign.status, foreign.location) == (400, "")
    assert out(**asking(client_id)).location.startswith("/login?")
    assert "<form" in open_form(pool, client_id).answer.text


def test_other_paths_are_not_found(pool):
    assert [call(pool, *each).status for each in (("GET", "/"), ("DELETE", "/login"))] == [404, 404]
