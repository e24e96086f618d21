"""desk/serve_desk.py: the desk's own files and no other, under a policy that lets nothing in them run or send."""

import json
import time
from pathlib import Path

import boto3
import pytest

from adapters.desk import desk_settings
from desk import serve_desk

ROOT = Path(__file__).parents[3]
PAGES = sorted(path.name for path in (ROOT / "desk").iterdir() if path.is_file())
SETTINGS = {
    "api_url": "https://api.example",
    "sign_in_url": "https://sign-in.example",
    "client_id": "desk-client",
}


@pytest.fixture
def get(aws, context):
    """Ask for a path as API Gateway hands it on; gives the response."""
    boto3.client("ssm").put_parameter(Name="/bulwark/desk", Type="String", Value=json.dumps(SETTINGS))

    def run(file: str | None = None, **headers: str) -> dict:
        event = {
            "requestContext": {"requestId": "call-1", "http": {"method": "GET"}},
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
        }
        if file is not None:
            event["pathParameters"] = {"file": file}
        return serve_desk.handler(event, context)

    return run


def test_without_a_name_the_page_itself_is_served(get):
    response = get()

    assert response["statusCode"] == 200
    assert response["headers"]["content-type"] == "text/html; charset=utf-8"
    assert response["body"] == (ROOT / "desk/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_each_file_of_the_desk_is_served_as_what_it_is(get, name):
    response = get(name)

    assert (response["statusCode"], response["body"]) == (200, (ROOT / "desk" / name).read_text(encoding="utf-8"))
    kind = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    assert response["headers"]["content-type"].split(";")[0] == kind[name.rpartition(".")[2]]


def test_where_api_and_sign_in_are_is_told_and_nothing_secret(get):
    response = get("config.json")

    assert (response["statusCode"], json.loads(response["body"])) == (200, SETTINGS)
    assert response["headers"]["content-type"] == "application/json"


@pytest.mark.parametrize("name", [None, "app.js", "config.json", "nothing.html", "../template.yaml"])
def test_nothing_of_a_page_may_run_or_send_but_what_is_the_desk_s(get, name):
    headers = get(name)["headers"]
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))

    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self' https://api.example https://sign-in.example",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert "camera=()" in headers["permissions-policy"]


def test_a_client_made_anew_is_told_within_a_minute(get, monkeypatch):
    get("config.json")
    changed = SETTINGS | {"client_id": "made anew"}
    boto3.client("ssm").put_parameter(Name="/bulwark/desk", Type="String", Value=json.dumps(changed), Overwrite=True)
    later = time.monotonic() + desk_settings.MAX_AGE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert json.loads(get("config.json")["body"]) == changed


def test_who_has_a_file_is_told_that_it_is_the_same(get):
    first = get("app.js")
    assert first["headers"]["cache-control"] == "no-cache"

    again = get("app.js", if_none_match=first["headers"]["etag"])
    assert (again["statusCode"], "body" in again) == (304, False)
    assert again["headers"]["content-security-policy"] == first["headers"]["content-security-policy"]
    assert get("style.css", if_none_match=first["headers"]["etag"])["statusCode"] == 200


@pytest.fixture
def layer(tmp_path, monkeypatch):
    """A folder as Lambda has it: the desk's files beside schemas, libraries and folders."""
    (tmp_path / "index.html").write_text("<!doctype html>")
    for name in (
        "InferenceRequested.json",
        "runtime.schema.json",
        "secrets.txt",
        "module.py",
        ".hidden.js",
        "UPPER.js",
    ):
        (tmp_path / name).write_text("secret")
    (tmp_path / "folder.js").mkdir()
    (tmp_path / "folder.js" / "inside.js").write_text("secret")
    (tmp_path.parent / "outside.js").write_text("secret")
    monkeypatch.setenv("DESK_DIR", str(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "InferenceRequested.json",
        "runtime.schema.json",
        "secrets.txt",
        "module.py",
        ".hidden.js",
        "UPPER.js",
        "folder.js",
        "folder.js/inside.js",
        "../outside.js",
        "..%2foutside.js",
        "%2e%2e/outside.js",
        "..\\outside.js",
        "./index.html",
        "/index.html",
        "//etc/passwd",
        "index.html/",
        "index.html\x00",
        "index.html\n",
        "index.html%00.js",
        "index%2ehtml",
        "\u0131ndex.html",
        "config.json/..",
        "CONFIG.JSON",
        "",
        ".",
        "..",
        "a" * 5_000 + ".js",
        "missing.js",
    ],
)
def test_nothing_else_is_served_whatever_it_is_called(get, layer, name):
    response = get(name)

    assert response["statusCode"] == 404
    assert response["body"] == "There is no such page."


def test_the_layer_s_own_page_is_served(get, layer):
    assert get("index.html")["body"] == "<!doctype html>"
