"""A page of somebody else's in the browser of whoever runs the embedded AWS: it changes nothing and reads nothing."""

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

SCRIPT = """
async ({urls, posts}) => {
  const read = [];
  const attempt = async (url, options) => {
    try {
      const answer = await fetch(url, options);
      const text = await answer.text();
      if (answer.type !== 'opaque' || text) read.push([url, answer.status, text.slice(0, 200)]);
    } catch (error) { /* the browser lets it see nothing */ }
  };
  for (const url of urls) {
    await attempt(url);
    await attempt(url, {mode: 'no-cors'});
    await attempt(url, {headers: {'x-amz-target': 'DynamoDB_20120810.ListTables'}});
  }
  for (const [url, body] of posts) {
    await attempt(url, {method: 'POST', mode: 'no-cors', body, headers: {'content-type': 'text/plain'}});
    await attempt(url, {method: 'POST', body, headers: {'content-type': 'text/plain'}});
    await attempt(url, {method: 'POST', body, headers: {'content-type': 'application/json'}});
    await attempt(url, {method: 'PUT', body, headers: {'content-type': 'application/json'}});
    await attempt(url, {method: 'DELETE'});
  }
  return read;
}
"""
# A form whose one field is JSON, as text/plain makes it, sent into a frame of the page.
FORM = """
({url, body}) => new Promise(done => {
  const frame = Object.assign(document.createElement('iframe'), {name: 'f' + Math.random()});
  const form = Object.assign(document.createElement('form'), {
    method: 'POST', action: url, enctype: 'text/plain', target: frame.name});
  const at = body.length - 1;
  form.append(Object.assign(document.createElement('input'), {
    name: body.slice(0, at) + ', "pad": "', value: '"}'}));
  document.body.append(frame, form);
  frame.onload = () => done();
  form.submit();
})
"""


class Evil(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>Kittens</title>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module", params=["evil.example", "127.0.0.1"])
def page(request, chromium: Browser) -> Iterator[Page]:
    """Of another site, and of the same site on another port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = chromium.new_page()
    page.goto(f"http://{request.param}:{server.server_port}/")
    yield page
    page.close()
    server.shutdown()
    server.server_close()


@pytest.fixture
def attacks(stack) -> list[tuple[str, str]]:
    """What would be seen, had it been done."""
    hold = {"tenant": "acme", "subject_id": f"u-{uuid.uuid4().hex}", "reason": "a page", "by": "evil", "cursor": ""}
    hold_function = stack.outputs["SetHoldFunctionName"]
    endpoint = stack.outputs["Endpoint"]
    return [
        (f"{endpoint}/2015-03-31/functions/{hold_function}/invocations", json.dumps(hold)),
        (f"{endpoint}/moto-api/reset", "{}"),
        (f"{endpoint}/_bulwark/kill-workers", '{"count": 99}'),
        (f"{endpoint}/_bulwark/faults", '{"faults": [{"model": "*", "kind": "throttle"}]}'),
    ]


def state(stack) -> dict:
    """What an attack would have changed; it is asked for in this process, past every server."""
    cloud, outputs = stack.cloud, stack.outputs
    return {
        "keys": cloud.client("dynamodb").scan(TableName=outputs["KeysTable"])["Count"],
        "tables": cloud.client("dynamodb").list_tables()["TableNames"],
        "workers": cloud.functions.workers(outputs["SetHoldFunctionName"]),
        "faults": cloud.bedrock.faults(),
    }


def test_fetches_change_nothing_and_read_nothing(stack, page, attacks):
    before = state(stack)
    urls = [f"{stack.outputs[name]}/" for name in ("ApiUrl", "SignInUrl", "DeskUrl", "Endpoint")]
    urls += [f"{stack.outputs['Endpoint']}/_bulwark/outputs", f"{stack.outputs['DeskUrl']}/config.json"]

    assert page.evaluate(SCRIPT, {"urls": urls, "posts": attacks}) == []
    assert state(stack) == before


def test_forms_and_frames_change_nothing(stack, page, attacks):
    before = state(stack)

    for url, body in attacks:
        page.evaluate(FORM, {"url": url, "body": body})

    assert state(stack) == before


@pytest.mark.parametrize("output", ["Endpoint", "ApiUrl", "DeskUrl", "SignInUrl"])
def test_a_name_that_points_here_reads_nothing(stack, chromium, output):
    page = chromium.new_page()
    port = urlsplit(stack.outputs[output]).port

    for path in ("/_bulwark/outputs", "/", "/config.json", "/oauth2/token"):
        answer = page.goto(f"http://evil.example:{port}{path}")
        assert (answer.status, "Password" in answer.text()) == (403, False)
    read = page.evaluate("async () => (await fetch('/_bulwark/outputs')).status")
    page.close()

    assert read == 403


def test_a_link_leads_to_the_desk(stack, page):
    with page.expect_popup() as opened:
        page.evaluate("url => { window.open(url) }", f"{stack.outputs['DeskUrl']}/")
    opened.value.get_by_role("button", name="Sign in").wait_for()
    opened.value.close()
