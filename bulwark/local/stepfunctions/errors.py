"""Bridge: several errors of services have other names in moto than AWS gives to Retry and Catch.

moto calls `BedrockRuntime.ThrottlingException` `bedrockruntime.ThrottlingException`, any error of SQS
`SQS.SdkClientException`, a function that died without an error type `Exception`, and a broken connection
States.Runtime. moto has closed the gap when `_SERVICE_ERROR_NAMES` in state_task_service_aws_sdk is gone.
"""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import (
    LambdaFunctionErrorException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.eval.callback.callback import CallbackOutcomeFailureError
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

from bulwark.local.moto_names import replace
from bulwark.local.stepfunctions.service_calls import pascal_case, service_model, service_of

_services = "moto.stepfunctions.parser.asl.component.state.exec.state_task.service"

# Optimized integrations: the prefix of their errors, and the name of one that the API does not declare.
_OPTIMIZED = {
    "lambda": ("Lambda", "AWSLambdaException"),
    "states": ("StepFunctions", "AWSStepFunctionsException"),
    "sqs": ("SQS", "AmazonSQSException"),
}


def _failure_of(self: Any, env: Any, ex: Exception) -> FailureEvent:
    if isinstance(ex, FailureEventException):
        return ex.failure_event
    if isinstance(ex, CallbackOutcomeFailureError):
        outcome = ex.callback_outcome_failure
        return _failure(self, env, outcome.error, outcome.cause)
    if isinstance(ex, LambdaFunctionErrorException):
        return _failure(self, env, _function_error_name(ex.payload), ex.payload)
    prefix, undeclared = _error_words(self.resource)
    if isinstance(ex, ClientError):
        return _failure(self, env, f"{prefix}.{_exception_name(ex, undeclared)}", _cause(ex, prefix))
    if isinstance(ex, BotoCoreError):
        return _failure(self, env, f"{prefix}.SdkClientException", str(ex))
    return StateTask._from_error(self, env=env, ex=ex)


def _failure(task: Any, env: Any, error: str | None, cause: str | None) -> FailureEvent:
    details = TaskFailedEventDetails(
        error=error,
        cause=cause,
        resource=task._get_sfn_resource(),
        resourceType=task._get_sfn_resource_type(),
    )
    return FailureEvent(
        env=env,
        error_name=ErrorName(error_name=error),
        event_type=HistoryEventType.TaskFailed,
        event_details=EventDetails(taskFailedEventDetails=details),
    )


def _function_error_name(payload: str) -> str:
    error = json.loads(payload)
    return (isinstance(error, dict) and error.get("errorType")) or "Lambda.Unknown"


def _error_words(resource: Any) -> tuple[str, str]:
    if resource.service_name in _OPTIMIZED:
        return _OPTIMIZED[resource.service_name]
    # The names are those of the AWS SDK for Java: DynamoDb, BedrockRuntime, Sfn.
    prefix = pascal_case(service_model(service_of(resource.api_name)).service_id)
    return prefix, f"{prefix}Exception"


def _exception_name(error: ClientError, undeclared: str) -> str:
    if type(error) is ClientError:
        return undeclared
    name = type(error).__name__
    return name if name.endswith("Exception") else f"{name}Exception"


def _cause(error: ClientError, prefix: str) -> str:
    metadata = error.response.get("ResponseMetadata", {})
    return (
        f"{error.response['Error'].get('Message', '')} (Service: {prefix}, "
        f"Status Code: {metadata.get('HTTPStatusCode')}, Request ID: {metadata.get('RequestId')})"
    )


def install() -> None:
    """Name errors as AWS does."""
    for module, name in [
        ("state_task_service_aws_sdk", "StateTaskServiceAwsSdk"),
        ("state_task_service_lambda", "StateTaskServiceLambda"),
        ("state_task_service_sfn", "StateTaskServiceSfn"),
        ("state_task_service_sqs", "StateTaskServiceSqs"),
    ]:
        replace(f"{_services}.{module}:{name}._from_error", _failure_of)
