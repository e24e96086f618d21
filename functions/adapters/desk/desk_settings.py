"""Where the desk's pages find API and sign-in: a parameter, since the stack's own parts would refer in a circle."""

import functools
import json
import os

import boto3

client = boto3.client("ssm")


@functools.cache
def current() -> dict:
    """api_url, sign_in_url and client_id; they change with the stack alone, as does this process."""
    return json.loads(client.get_parameter(Name=os.environ["DESK_PARAMETER"])["Parameter"]["Value"])
