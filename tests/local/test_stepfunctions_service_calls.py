"""Calls of services from states: names, casing both ways, and the errors that Retry and Catch see."""

import json

import pytest
from stepfunctions_harness import FunctionError, Machines, Scripted, invoke, task, until

from bulwark.local.stepfunctions.service_calls import pascal_case, service_of

CONVERSE = "aws-sdk:bedrockruntime:converse"
MESSAGE = {"Role": "user", "Content": [{"Text": "hi"}]}


@pytest.fixture(scope="module")
def machines():
    with Machines() as machines:
        yield machines


def test_converse_is_asked_in_its_casing_and_answers_in_ours(machines):
    asked = []

    def converse(body):
        asked.append(body)
        return {
            "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
            "metrics": {"latencyMs": 7},
            "additionalModelResponseFields": {"keptAsIs": {"aB": 1}},
        }

    machines.answer("model-1", converse)
    arguments = {
        "ModelId": "model-1",
        "Messages": [MESSAGE],
        "InferenceConfig": {"MaxTokens": "{% 2 * 8 %}", "TopP": 0.5},
        "GuardrailConfig": {"GuardrailIdentifier": "g", "GuardrailVersion": "1", "Trace": "enabled_full"},
        "AdditionalModelRequestFields": {"top_k": 3, "camelCase": {"x": None}},
    }

    output = machines.run({"Ask": task(CONVERSE, arguments)}, kind="EXPRESS")["output"]

    assert asked == [
        {
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inferenceConfig": {"maxTokens": 16, "topP": 0.5},
            "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled_full"},
            "additionalModelRequestFields": {"top_k": 3, "camelCase": {"x": None}},
        }
    ]
    assert output["Output"]["Message"] == {"Role": "assistant", "Content": [{"Text": "hello"}]}
    assert output["Usage"] == {"InputTokens": 3, "OutputTokens": 2, "TotalTokens": 5}
    assert (output["StopReason"], output["Metrics"]) == ("end_turn", {"LatencyMs": 7})
    assert output["AdditionalModelResponseFields"] == {"keptAsIs": {"aB": 1}}
    assert "ResponseMetadata" not in output


def test_a_function_gets_its_payload_and_its_result_is_json(machines):
    machines.answer("adds", lambda payload: {"sum": payload["a"] + payload["b"], "null": None})

    output = machines.run({"Add": invoke("adds", {"a": 1, "b": "{% $states.input.b %}"})}, {"b": 2})["output"]

    assert output["Payload"] == {"sum": 3, "null": None}
    assert output["StatusCode"] == 200


def test_an_execution_starts_another_and_sends_a_message(machines):
    child = machines.create({"End": {"Type": "Succeed"}})
    queue = machines.client("sqs").create_queue(QueueName="sent")["QueueUrl"]
    states = {
        "Start": task(
            "states:startExecution",
            {"StateMachineArn": child, "Name": "{% $states.input.name %}", "Input": {"id": 7}},
            Next="Send",
        ),
        "Send": task("sqs:sendMessage", {"QueueUrl": queue, "MessageBody": {"of": "{% $states.input.ExecutionArn %}"}}),
    }

    output = machines.run(states, {"name": "child-1"}, kind="EXPRESS")["output"]

    message = machines.client("sqs").receive_message(QueueUrl=queue)["Messages"][0]
    started = json.loads(message["Body"])["of"]
    assert started.endswith(":child-1") and json.loads(machines.end_of(started)["output"]) == {"id": 7}
    assert output["MD5OfMessageBody"]


def test_times_in_responses_are_strings(machines):
    child = machines.create({"End": {"Type": "Succeed"}})

    output = machines.run({"Start": task("states:startExecution", {"StateMachineArn": child})})["output"]

    assert output["StartDate"].endswith("Z")


@pytest.mark.parametrize(
    ("resource", "status", "code", "error"),
    [
        (CONVERSE, 429, "ThrottlingException", "BedrockRuntime.ThrottlingException"),
        (CONVERSE, 503, "ServiceUnavailableException", "BedrockRuntime.ServiceUnavailableException"),
        (CONVERSE, 408, "ModelTimeoutException", "BedrockRuntime.ModelTimeoutException"),
        (CONVERSE, 500, "NeverHeardOf", "BedrockRuntime.BedrockRuntimeException"),
        ("lambda:invoke", 429, "TooManyRequestsException", "Lambda.TooManyRequestsException"),
        ("lambda:invoke", 500, "ServiceException", "Lambda.ServiceException"),
        ("lambda:invoke", 500, "NeverHeardOf", "Lambda.AWSLambdaException"),
    ],
)
def test_an_error_of_a_service_has_the_name_that_aws_gives_it(machines, resource, status, code, error):
    machines.answer("broken", raises(Scripted(status, code)))
    names = {
        "lambda:invoke": {"FunctionName": "broken"},
        CONVERSE: {"ModelId": "broken", "Messages": [MESSAGE]},
    }
    catch = [{"ErrorEquals": [error], "Next": "Caught"}]

    end = machines.run(
        {"Call": task(resource, names[resource], Catch=catch, Next="Caught"), "Caught": {"Type": "Succeed"}}
    )

    assert end["output"]["Error"] == error


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"errorType": "AlreadyDecided", "errorMessage": "R-1"}, "AlreadyDecided"),
        ({"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"}, "Runtime.ExitError"),
        ({"errorType": "Sandbox.Timedout", "errorMessage": "3.00 seconds"}, "Sandbox.Timedout"),
        ({"errorMessage": "2024-01-01 Task timed out after 3.00 seconds"}, "Lambda.Unknown"),
        (None, "Lambda.Unknown"),
    ],
)
def test_an_error_of_a_function_has_its_error_type_as_name(machines, payload, error):
    machines.answer("raises", raises(FunctionError(payload)))

    end = machines.run({"Call": invoke("raises")})

    assert (end["error"], json.loads(end["cause"])) == (error, payload)


def test_a_name_that_is_taken_is_an_error_of_step_functions(machines):
    child = machines.create({"End": {"Type": "Succeed"}})
    machines.end_of(machines.start(child, name="taken"))
    start = task("states:startExecution", {"StateMachineArn": child, "Name": "taken"})

    assert machines.run({"Start": start})["error"] == "StepFunctions.ExecutionAlreadyExistsException"


def test_a_missing_queue_and_a_failed_condition_have_their_names(machines):
    machines.client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    put = {"TableName": "t", "Item": {"k": {"S": "1"}}, "ConditionExpression": "attribute_exists(k)"}
    send = {"QueueUrl": "http://localhost/123456789012/none", "MessageBody": "x"}

    assert machines.run({"Put": task("aws-sdk:dynamodb:putItem", put)})["error"] == (
        "DynamoDb.ConditionalCheckFailedException"
    )
    assert machines.run({"Send": task("sqs:sendMessage", send)})["error"] == "SQS.QueueDoesNotExistException"


def test_a_connection_that_breaks_is_an_sdk_error(machines):
    def break_connection(_):
        raise ConnectionAbortedError

    machines.answer("breaks", break_connection)

    assert machines.run({"Call": invoke("breaks")})["error"] == "Lambda.SdkClientException"


def test_a_late_answer_does_not_reach_the_state_that_gave_up(machines):
    answered = []

    def slow_then_fast(payload):
        if not answered:
            answered.append(1)
            __import__("time").sleep(1.6)
            return "late"
        return "fast"

    machines.answer("slow", slow_then_fast)
    retry = [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    states = {
        "Call": invoke("slow", Retry=retry, TimeoutSeconds=1, Output="{% $states.result.Payload %}", Next="Wait"),
        "Wait": {"Type": "Wait", "Seconds": 1, "End": True},
    }

    assert machines.run(states)["output"] == "fast"
    assert until(lambda: answered)


@pytest.mark.parametrize(
    ("name", "pascal"),
    [
        ("topP", "TopP"),
        ("modelId", "ModelId"),
        ("ETag", "ETag"),
        ("SQS", "Sqs"),
        ("DynamoDB", "DynamoDb"),
        ("S3", "S3"),
    ],
)
def test_members_are_spelt_as_states_spell_them(name, pascal):
    assert pascal_case(name) == pascal


def test_services_are_found_by_the_names_that_resources_use():
    names = ["bedrockruntime", "bedrockagentruntime", "dynamodb", "sfn", "eventbridge", "appconfigdata"]
    services = [
        "bedrock-runtime",
        "bedrock-agent-runtime",
        "dynamodb",
        "stepfunctions",
        "events",
        "appconfigdata",
    ]

    assert [service_of(name) for name in names] == services


def raises(error):
    def answer(_):
        raise error

    return answer
