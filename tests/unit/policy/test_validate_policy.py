"""policy/validate_policy.py: AppConfig deploys what it lets pass, and nothing else."""

import base64
import json

import pytest

from adapters.schemas import SchemaViolated
from domain.foreign_json import NotJson
from domain.policy import PolicyInvalid
from policy import validate_policy


def validate(content: str, context, encoding: str = "utf-8") -> None:
    validate_policy.handler({"content": base64.b64encode(content.encode(encoding)).decode()}, context)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_shipped_policy_passes_in_any_plain_encoding(policy_document, context, encoding):
    validate(json.dumps(policy_document), context, encoding)


@pytest.mark.parametrize(
    ("content", "error"),
    [("{", ValueError), ("[]", SchemaViolated), ("{}", SchemaViolated), ("", ValueError)],
)
def test_what_is_no_policy_is_stopped(context, content, error):
    with pytest.raises(error):
        validate(content, context)


def test_a_policy_that_contradicts_itself_is_stopped(policy_document, context):
    policy_document["risk_classes"].pop("high")

    with pytest.raises(PolicyInvalid, match="use_cases.policy_advice.risk_class"):
        validate(json.dumps(policy_document), context)


def test_a_threshold_that_is_no_number_is_stopped(policy_document, context):
    policy_document["use_cases"]["general_question"]["confidence_threshold"] = float("nan")

    with pytest.raises(NotJson, match="holds what is no number of JSON at line"):
        validate(json.dumps(policy_document), context)


def test_a_guardrail_that_the_stack_has_not_is_stopped(policy_document, context):
    policy_document["risk_classes"]["high"]["guardrail"] = "strict"

    with pytest.raises(PolicyInvalid, match="risk_classes.high.guardrail: there is no 'strict'; there are standard"):
        validate(json.dumps(policy_document), context)
