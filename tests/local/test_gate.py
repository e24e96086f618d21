"""Who may ask the servers of the embedded AWS: programs of this machine and the desk's own pages, nobody else's."""

import http.client
import json
import socket
import time
import urllib.request
from urllib.parse import urlsplit

import boto3
import pytest
from small_cloud import seen, start_small

from bulwark.local.functions.runtime_api import RuntimeApi, WorkerGone
from bulwark.local.gate import LOOPBACK, refusal
from bulwark.local.server import Server

FORM = "application/x-www-form-urlencoded"
EVIL = "http://evil.example"
HOSTS = [f"{name}:4000" for name in LOOPBACK]
VISIT = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def environ(**headers):
    given = {"Host": "127.0.0.1:4000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.items() if value is not None}
    return {"REQUEST_METHOD": "GET", **named}


def ask(url, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}


@pytest.fixture(scope="module")
def cloud():
    with start_small() as cloud:
        yield cloud


# --- the one rule ---------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [*HOSTS, "LOCALHOST:4000"])
def test_its_own_names_are_answered(host):
    assert refusal(environ(Host=host), HOSTS) is None


@pytest.mark.parametrize(
    "host",
    [None, "", "127.0.0.1", "127.0.0.1:80", "evil.example:4000", "127.0.0.1:4000.evil.example", "127.0.0.1.nip.io:4000",
     "0.0.0.0:4000", "host.docker.internal:4000", "a.localhost:4000", "127.0.0.1:4000@evil.example"],
)  # fmt: skip
def test_any_other_host_is_refused(host):
    assert "http://127.0.0.1:4000" in refusal(environ(Host=host), HOSTS)


@pytest.mark.parametrize("origin", [EVIL, "null", "", "http://127.0.0.1:4001", "https://127.0.0.1:4000", "*"])
def test_a_foreign_origin_is_refused(origin):
    assert refusal(environ(Origin=origin, Sec_Fetch_Site="same-origin"), HOSTS)
    assert refusal(environ(Origin=origin), HOSTS, ["https://desk.example"], visited=True)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:4000", "http://localhost:4000", "https://desk.example"])
def test_its_own_origins_and_those_it_names_may_ask(origin):
    assert refusal(environ(Origin=origin, Sec_Fetch_Site="same-site"), HOSTS, ["https://desk.example"]) is None


@pytest.mark.parametrize(("site", "refused"), [("cross-site", True), ("same-site", True), ("same-origin", False),
                                               ("none", False), (None, False)])  # fmt: skip
def test_a_request_without_an_origin_is_of_no_other_site(site, refused):
    assert bool(refusal(environ(Sec_Fetch_Site=site), HOSTS)) is refused


@pytest.mark.parametrize(
    ("method", "dest", "mode", "refused"),
    [
        ("GET", "document", "navigate", False),
        ("POST", "document", "navigate", True),
        ("GET", "iframe", "navigate", True),
        ("GET", "image", "no-cors", True),
    ],
)
def test_a_link_leads_to_a_page_and_to_nothing_else(method, dest, mode, refused):
    asked = environ(Sec_Fetch_Site="cross-site", Sec_Fetch_Dest=dest, Sec_Fetch_Mode=mode) | {"REQUEST_METHOD": method}

    assert bool(refusal(asked, HOSTS, visited=True)) is refused
    assert refusal(asked, HOSTS), "the endpoint itself is no page"


# --- every server of a cloud ----------------------------------------------------------------------


def servers(cloud):
    return {"the endpoint": cloud.endpoint, **{each.url: each.url for each in cloud._surroundings._served}}


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": EVIL}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}],
)
def test_every_server_of_a_cloud_asks_the_rule(cloud, headers):
    asked = {name: ask(url, path="/_bulwark/outputs", **headers) for name, url in servers(cloud).items()}

    assert {status for status, _, _ in asked.values()} == {403}
    assert "Password" not in json.dumps(asked, default=str)
    assert not [name for _, _, named in asked.values() for name in named if name.startswith("access-control-")]


def test_a_page_runs_no_function_and_empties_no_stack(cloud):
    function = cloud.stack.physical_id("ProbeFunction")
    before = cloud.client("dynamodb").list_tables()["TableNames"]

    posts = {
        f"/2015-03-31/functions/{function}/invocations": b'{"do": "count", "id": "page"}',
        "/moto-api/reset": b"",
        "/_bulwark/kill-workers": b'{"count": 9}',
        "/": b"Action=DeleteQueue&QueueUrl=x",
    }

    for path, body in posts.items():
        for headers in ({"Origin": EVIL}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}):
            assert ask(cloud.endpoint, "POST", path, body, content_type="text/plain", **headers)[0] == 403
        assert ask(cloud.endpoint, "OPTIONS", path, Origin=EVIL, Access_Control_Request_Method="POST")[0] == 403
    assert seen(cloud, "page") == 0
    assert cloud.client("dynamodb").list_tables()["TableNames"] == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/moto-api/reset"), ("GET", "/moto-api/"), ("GET", "/moto-api/data.json"), ("POST", "/moto-api/seed?a=1"),
     ("POST", "/moto-api/recorder/start-recording"), ("GET", "/moto-api/config")],
)  # fmt: skip
def test_the_control_pages_of_moto_are_closed_to_everybody(cloud, method, path):
    status, text, _ = ask(cloud.endpoint, method, path, b"" if method == "POST" else None)

    assert (status, "closed" in text) == (404, True)
    assert cloud.client("dynamodb").list_tables()["TableNames"]


def test_the_control_pages_of_moto_are_not_found_by_a_signature_either(cloud):
    for service in ("moto_api", "motoapi"):
        scope = f"Credential=a/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
        ask(cloud.endpoint, "POST", "/moto-api/reset", b"", Authorization=f"AWS4-HMAC-SHA256 {scope}")

    assert cloud.client("dynamodb").list_tables()["TableNames"]


@pytest.mark.parametrize("kind", [FORM, "text/plain", "multipart/form-data; boundary=x", None])
def test_what_a_form_can_send_is_no_control_call(cloud, kind):
    headers = {} if kind is None else {"Content_Type": kind}

    status, text, _ = ask(cloud.endpoint, "POST", "/_bulwark/kill-workers", b'{"count": 0}', **headers)

    assert (status, "application/json" in text) == (415, True)
    answered = ask(cloud.endpoint, "POST", "/_bulwark/kill-workers", b'{"count": 0}', Content_Type="application/json")
    assert answered[0] == 200


def test_programs_go_on_as_before_and_are_told_of_no_cors(cloud):
    dynamodb = boto3.client(
        "dynamodb", endpoint_url=cloud.endpoint.replace("127.0.0.1", "localhost"), region_name="us-east-1",
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip
    answer = dynamodb.list_tables()

    assert cloud.outputs["Table"] in answer["TableNames"]
    assert not [name for name in answer["ResponseMetadata"]["HTTPHeaders"] if name.startswith("access-control-")]
    with urllib.request.urlopen(f"{cloud.endpoint}/_bulwark/outputs") as told:
        assert json.load(told) == cloud.outputs


def test_only_while_it_is_open_to_containers_their_names_are_its_own(cloud, monkeypatch):
    port = urlsplit(cloud.endpoint).port
    assert ask(cloud.endpoint, path="/_bulwark/outputs", Host=f"host.docker.internal:{port}")[0] == 403
    monkeypatch.setattr(cloud, "container_endpoint", None)

    cloud.open_to_containers("127.0.0.1")

    opened = urlsplit(cloud.container_endpoint)
    for host in (opened.netloc, f"host.docker.internal:{opened.port}"):
        assert ask(cloud.container_endpoint, path="/_bulwark/outputs", Host=host)[0] == 200
        assert ask(cloud.container_endpoint, path="/_bulwark/outputs", Host=host, Origin=EVIL)[0] == 403
    assert ask(cloud.container_endpoint, path="/_bulwark/outputs", Host=f"evil.example:{opened.port}")[0] == 403


def test_what_a_server_adds_for_every_origin_is_taken_away():
    def application(environ, start_response):
        start_response("200 OK", [("Access-Control-Allow-Origin", "*"), ("Content-Length", "0")])
        return []

    server = Server(application, origins=lambda: ["https://desk.example"])
    own = ask(server.url, Origin="https://desk.example")[2]
    nobody = ask(server.url)[2]
    server.stop()

    assert own["access-control-allow-origin"] == "*" and "access-control-allow-origin" not in nobody


# --- the functions' runtime API -------------------------------------------------------------------


def call_runtime(api, *headers):
    client = socket.create_connection(api.address.split(":"), timeout=10)
    lines = ["GET /2018-06-01/runtime/invocation/next HTTP/1.1", *headers, "", ""]
    client.sendall("\r\n".join(lines).encode())
    return client


@pytest.mark.parametrize("foreign", [["Host: evil.example"], ["Host: {}", f"Origin: {EVIL}"],
                                     ["Host: {}", "Sec-Fetch-Site: cross-site"]])  # fmt: skip
def test_a_page_takes_no_invocation_and_ends_no_worker(foreign):
    api = RuntimeApi()
    page = call_runtime(api, *(line.format(api.address) for line in foreign))

    assert api.next_request(time.monotonic() + 0.3) is None
    assert page.recv(100).startswith(b"HTTP/1.1 403 ")

    worker = call_runtime(api, f"Host: {api.address}")
    request, _ = api.next_request(time.monotonic() + 5)
    assert request.path.endswith(b"/next")
    worker.close()
    with pytest.raises(WorkerGone):
        api.next_request(time.monotonic() + 5)
    api.close()
