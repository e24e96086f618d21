"""Several APIs and a sign-in in one stack: whatever names an address of AWS names the one it has here."""

import base64
import hashlib
import http.client
import json
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from bulwark.local import cloud as embedded
from bulwark.local.stack import TemplateError

DESK = Path(__file__).parent / "fixtures/desk/template.yaml"


@pytest.fixture(scope="module")
def cloud():
    with embedded.start(template=DESK, stack_name="desk", schedules=False) as cloud:
        yield cloud


def call(url, method="GET", body=None, **headers):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return SimpleNamespace(
        status=answer.status, text=text, headers={name.lower(): value for name, value in answer.getheaders()}
    )


@pytest.fixture(scope="module")
def config(cloud):
    return json.loads(call(f"{cloud.outputs['DeskUrl']}/config.json").text)


def sign_in(cloud, config, who):
    """What the page in the browser does, from the redirect to the token."""
    verifier, desk = "v" * 64, f"{cloud.outputs['DeskUrl']}/"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"response_type": "code", "client_id": config["client_id"], "redirect_uri": desk, "scope": "openid"}
    asked |= {"state": "s", "code_challenge": challenge, "code_challenge_method": "S256"}
    redirected = call(f"{config['sign_in_url']}/oauth2/authorize?{urlencode(asked)}")
    form = call(config["sign_in_url"] + redirected.headers["location"])
    csrf = re.search(r'name="_csrf" value="([^"]+)"', form.text)[1]
    action = unescape(re.search(r'action="([^"]+)"', form.text)[1])
    filled = {"username": cloud.outputs[f"{who}Username"], "password": cloud.outputs[f"{who}Password"], "_csrf": csrf}
    kind = {"content_type": "application/x-www-form-urlencoded"}
    cookie = form.headers["set-cookie"].partition(";")[0]
    back = call(config["sign_in_url"] + action, "POST", urlencode(filled), cookie=cookie, **kind).headers["location"]
    assert back.startswith(f"{desk}?")
    form = {"grant_type": "authorization_code", "client_id": config["client_id"], "redirect_uri": desk}
    form |= {"code": dict(parse_qsl(urlsplit(back).query))["code"], "code_verifier": verifier}
    return json.loads(call(f"{config['sign_in_url']}/oauth2/token", "POST", urlencode(form), **kind).text)


def test_each_api_has_an_address_of_its_own_and_the_clouds_is_the_one_named_api(cloud):
    desk, api = cloud.outputs["DeskUrl"], cloud.outputs["ApiUrl"]

    assert cloud.api_url == api != desk
    assert all(re.fullmatch(r"http://127\.0\.0\.1:\d+", url) for url in (desk, api))
    assert (call(f"{desk}/").text, call(f"{desk}/a/b.js").text) == ("GET / ", "GET /{file+} ")
    assert call(f"{desk}/reviews").text == "GET /{file+} "
    assert call(f"{api}/").status == 404
    assert cloud.stack.attribute("DeskApi", "ApiEndpoint") == desk


def test_a_parameter_and_a_client_hold_the_local_addresses(cloud, config):
    pool, client = cloud.stack.physical_id("UserPool"), cloud.stack.physical_id("DeskClient")
    described = cloud.client("cognito-idp").describe_user_pool_client(UserPoolId=pool, ClientId=client)[
        "UserPoolClient"
    ]

    assert (config["api_url"], config["client_id"]) == (cloud.outputs["ApiUrl"], client)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", config["sign_in_url"])
    assert described["CallbackURLs"] == described["LogoutURLs"] == [f"{cloud.outputs['DeskUrl']}/"]
    assert (described["AllowedOAuthFlows"], described["AllowedOAuthFlowsUserPoolClient"]) == (["code"], True)
    assert (described["SupportedIdentityProviders"], described["EnableTokenRevocation"]) == (["COGNITO"], True)
    assert described["PreventUserExistenceErrors"] == "ENABLED"
    assert described["TokenValidityUnits"] == {"AccessToken": "minutes", "RefreshToken": "hours"}
    assert "ClientSecret" not in described


def test_a_parameter_has_its_tags(cloud):
    listed = cloud.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId="/desk/desk")

    assert listed["TagList"] == [{"Key": "part", "Value": "desk"}]


def test_a_reviewer_who_signed_in_is_let_through(cloud, config):
    tokens = sign_in(cloud, config, "Reviewer")
    answer = call(f"{cloud.api_url}/reviews", authorization=f"Bearer {tokens['access_token']}")

    assert (answer.status, answer.text) == (200, "GET /reviews reviewer")
    assert tokens["expires_in"] == 1800
    assert call(f"{cloud.api_url}/reviews", authorization=f"Bearer {tokens['id_token'][:-2]}").status == 401


def test_the_pages_origin_may_call_the_api_and_no_other_may(cloud):
    desk, reviews = cloud.outputs["DeskUrl"], f"{cloud.api_url}/reviews"
    preflight = call(reviews, "OPTIONS", origin=desk, access_control_request_method="DELETE")
    refused = call(reviews, origin=desk)

    assert (preflight.status, preflight.text, "content-length" in preflight.headers) == (204, "", False)
    assert preflight.headers["access-control-allow-origin"] == desk
    assert preflight.headers["access-control-allow-methods"] == "GET,POST,DELETE"
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type,if-none-match"
    assert preflight.headers["access-control-max-age"] == "86400"
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, desk)
    assert refused.headers["access-control-expose-headers"] == "etag,retry-after"
    for other in (f"{desk}0", "null", cloud.endpoint):
        foreign = call(reviews, origin=other)
        assert (foreign.status, "access-control-allow-origin" in foreign.headers) == (403, False)


def test_a_route_without_an_authoriser_is_open(cloud):
    assert call(f"{cloud.api_url}/health").text == "GET /health "


def test_nothing_changed_is_told_without_a_body(cloud):
    answer = call(f"{cloud.outputs['DeskUrl']}/app.js", if_none_match='"1"')

    assert (answer.status, answer.text, answer.headers["etag"]) == (304, "", '"1"')
    assert not {"content-length", "content-type", "transfer-encoding"} & set(answer.headers)


class TestRefusedTemplates:
    """A process holds one cloud, so these wait until the module's own has stopped."""

    @pytest.fixture(autouse=True)
    def alone(self, cloud):
        cloud.stop()

    @pytest.mark.parametrize(
        ("resource", "named"),
        [
            ("AWS::Cognito::UserPoolDomain, Properties: { Domain: Upper, UserPoolId: !Ref Pool }", "no domain Upper"),
            ("AWS::Cognito::UserPoolDomain, Properties: { Domain: my-aws, UserPoolId: !Ref Pool }", "no domain my-aws"),
            (
                "AWS::Cognito::UserPoolDomain, Properties: { Domain: a.b.c, CustomDomainConfig: {} }",
                "CustomDomainConfig",
            ),
            ("AWS::ApiGatewayV2::Stage, Properties: { ApiId: a, StageName: v1 }", "StageName v1"),
            ("AWS::ApiGatewayV2::Api, Properties: { Body: {}, CorsConfiguration: {} }", "CorsConfiguration"),
        ],
    )
    def test_what_is_not_bridged_stops_the_start(self, tmp_path, resource, named):
        path = tmp_path / "template.yaml"
        path.write_text(f"Resources:\n  Pool: {{ Type: AWS::Cognito::UserPool }}\n  Other: {{ Type: {resource} }}\n")

        with pytest.raises(TemplateError, match=named):
            embedded.start(template=path, schedules=False)
