"""ValidatePolicy: AppConfig asks it before a policy is deployed; what it raises stops the deployment."""

import base64

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import policy
from adapters.inference import guardrails
from domain.foreign_json import read_json

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> None:
    document = read_json(base64.b64decode(event["content"]))
    version = policy.load(document).version
    guardrails.check(document)
    logger.info("policy is valid", version=version)
