"""boto3 clients of the embedded AWS: in this process they skip the sockets and call the server's application."""

import io
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "123456789012"
CREDENTIALS = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


# No proxy that the environment names leads to this machine.
DIRECTLY: dict[str, Any] = {"proxies": {}}
_NAMING_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_NAMING_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")


def without_the_users_own() -> Callable[[], None]:
    """Keep this process, and moto in it, from the user's own ~/.aws and AWS_PROFILE; gives the way back."""
    before = {name: os.environ.get(name) for name in (*_NAMING_PROFILES, *_NAMING_FILES)}
    for name in _NAMING_PROFILES:
        os.environ.pop(name, None)
    os.environ |= dict.fromkeys(_NAMING_FILES, os.devnull)

    def put_back() -> None:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ |= {} if value is None else {name: value}

    return put_back


def own_session() -> boto3.Session:
    """A session of the embedded AWS, from whatever process it is called."""
    session = botocore.session.Session(profile=None)
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    # Unset, botocore would look AWS_PROFILE up in the file that it has just been kept from.
    session.session_var_map["profile"] = (None, None, None, None)
    return boto3.Session(botocore_session=session, region_name=REGION, **CREDENTIALS)


class Clients:
    """One client per service, made once, whatever configuration the user keeps in ~/.aws."""

    def __init__(self, endpoint: str, application: WsgiApplication) -> None:
        self._endpoint = endpoint
        self._application = application
        self._making = threading.RLock()
        self._made: dict[str, Any] = {}
        self._session = own_session()

    def __call__(self, service: str) -> Any:
        client = self._made.get(service)
        if client is None:
            with self._making:
                client = self._made.get(service) or self._make(service)
                self._made[service] = client
        return client

    def unchecked(self, service: str) -> Any:
        """A client that leaves it to the service to refuse parameters, as Step Functions does."""
        with self._making:
            return self._make(service, parameter_validation=False)

    def _make(self, service: str, **options: Any) -> Any:
        client = self._session.client(
            service,
            endpoint_url=self._endpoint,
            config=Config(
                retries={"total_max_attempts": 1},
                inject_host_prefix=False,
                # botocore would put one together anew for each request.
                user_agent="bulwark-local",
                s3={"addressing_style": "path"},
                # Nobody checks a signature here, but to sign is also to say how S3's bodies are cut into pieces.
                signature_version="s3v4" if service == "s3" else UNSIGNED,
                **DIRECTLY,
                **options,
            ),
        )
        model = client.meta.service_model
        scope = f"local/20000101/{REGION}/{model.signing_name}/aws4_request"
        authorization = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"

        def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            # What a request is for, and thus who answers.
            request.headers.setdefault("Authorization", authorization)
            return call_application(self._application, request)

        client.meta.events.register("before-send.*", send)
        return client


class _RawBody(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterable[bytes]:
        while piece := self.read(65536):
            yield piece


def call_application(application: WsgiApplication, request: AWSPreparedRequest) -> AWSResponse:
    """Send a prepared request through a WSGI application, in this thread."""
    answer: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        answer["status"] = int(status.split(" ", 1)[0])
        answer["headers"] = dict(headers)

    pieces = application(_environ(request), start_response)
    try:
        body = b"".join(pieces)
    finally:
        getattr(pieces, "close", lambda: None)()
    return AWSResponse(request.url, answer["status"], answer["headers"], _RawBody(body))


def _environ(request: AWSPreparedRequest) -> dict[str, Any]:
    url = urlsplit(request.url)
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "REQUEST_URI": f"{url.path}?{url.query}" if url.query else url.path,
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_HOST": url.netloc,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    # The body has been read out in full above, so it is no longer chunked.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ
