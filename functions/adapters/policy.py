"""The runtime policy from AppConfig: the newest valid one, and the last good one while a new one is bad."""

import os

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parameters import AppConfigProvider

from adapters import schemas
from adapters.clock import now
from domain.errors import PolicyUnavailable
from domain.foreign_json import read_json
from domain.policy import Policy

MAX_AGE_SECONDS = 30
RETRY_AFTER_SECONDS = 10

logger = Logger(child=True)
client = boto3.client("appconfigdata")
_provider: AppConfigProvider | None = None
_last_good: tuple[bytes, Policy] | None = None
_retry_at = 0.0


def load(document: dict) -> Policy:
    """Check a document and resolve it; raises SchemaViolated or PolicyInvalid."""
    schemas.check_policy(document)
    return Policy.from_json(document)


def current() -> Policy:
    """The policy in force, asked for every MAX_AGE_SECONDS; raises PolicyUnavailable if there never was one."""
    global _provider, _last_good, _retry_at
    if _last_good and now() < _retry_at:
        return _last_good[1]
    try:
        if _provider is None:
            _provider = AppConfigProvider(
                os.environ["POLICY_ENVIRONMENT"], os.environ["POLICY_APPLICATION"], boto3_client=client
            )
        content = _provider.get(os.environ["POLICY_PROFILE"], max_age=MAX_AGE_SECONDS)
        if _last_good is None or content != _last_good[0]:
            _last_good = (content, load(read_json(content)))
    except Exception as error:
        # A session's token dies with it, so the next try begins a new one.
        _provider, _retry_at = None, now() + RETRY_AFTER_SECONDS
        if _last_good is None:
            raise PolicyUnavailable(
                f"{type(error).__name__}: no valid policy is deployed; "
                "run 'bulwark policy deploy policies/runtime.json'"
            ) from error
        logger.warning("policy not refreshed", error=type(error).__name__, in_force=_last_good[1].version)
    return _last_good[1]
