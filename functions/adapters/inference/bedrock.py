"""Bedrock Converse, for the requests that are too large for a state machine's own call."""

from typing import Any

import boto3
from botocore.config import Config

# One attempt here: retries and the next model of the chain are the state machine's.
client = boto3.client("bedrock-runtime", config=Config(read_timeout=45, retries={"total_max_attempts": 1}))

_BY_GUARDRAIL = ("inputAssessment", "outputAssessments")


def converse(call: dict) -> dict:
    """Call Converse with the spelling of a Step Functions integration, in and out."""
    response = client.converse(**_respell(call, str.lower))
    response.pop("ResponseMetadata", None)
    return _respell(response, str.upper)


def _respell(value: Any, case: Any) -> Any:
    """Change each field name's first letter; keys that are guardrails' ids stay."""
    if isinstance(value, dict):
        return {
            case(name[0]) + name[1:]: {key: _respell(item, case) for key, item in inner.items()}
            if name in _BY_GUARDRAIL
            else _respell(inner, case)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_respell(item, case) for item in value]
    return value
