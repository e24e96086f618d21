"""The account that the stack stands in."""

import os

from aws_lambda_powertools.utilities.typing import LambdaContext


def own(context: LambdaContext) -> str:
    """As the function's ARN has it; in a container of sam's that is nobody's, and this variable is there instead."""
    return os.environ.get("AWS_ACCOUNT_ID") or context.invoked_function_arn.split(":")[4]
