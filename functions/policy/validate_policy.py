"""ValidatePolicy: AppConfig asks it before a policy is deployed; what it raises stops the deployment."""

import base64
import json

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import policy
from adapters.inference import guardrails

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> None:
    document = json.loads(base64.b64decode(event["content"]))
    version = policy.load(document).version
    guardrails.check(document)
    logger.info("policy is valid", version=version)
