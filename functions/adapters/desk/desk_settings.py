"""Where the desk's pages find API and sign-in: a parameter, since the stack's own parts would refer in a circle."""

import functools
import json
import os
import time

import boto3

# An update of the stack may make an API or a client anew and leave this process as it is.
MAX_AGE_SECONDS = 60

client = boto3.client("ssm")


def current() -> dict:
    """api_url, sign_in_url and client_id, as they were within the last minute."""
    return _read(time.monotonic() // MAX_AGE_SECONDS)


@functools.lru_cache(maxsize=1)
def _read(minute: float) -> dict:
    return json.loads(client.get_parameter(Name=os.environ["DESK_PARAMETER"])["Parameter"]["Value"])
