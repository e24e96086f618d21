"""InvokeLargeModel: asks the model for a request that does not fit into a state."""

import json

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import payloads, subject_keys
from adapters.inference import bedrock
from domain.inference.prompts import last_turn, render

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="execution_name")
def handler(event: dict, context: LambdaContext) -> dict:
    request, kept = event["request"], {"payload_ref": event["payload_ref"]}
    body = payloads.text_of(kept, "payload", subject_keys.carried(request["subject"]), request["request_key"])
    rendered = render(json.loads(body), event["call"]["InferenceConfig"]["MaxTokens"])
    messages = [*rendered["messages"], last_turn(rendered, event["passages"])]
    answer = bedrock.converse(event["call"] | {"Messages": messages})
    logger.info("large request answered", stop_reason=answer["StopReason"])
    return answer
