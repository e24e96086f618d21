"""inference/invoke_large_model.py: a request by reference is rendered as a small one is."""

import json

import pytest
from botocore.stub import Stubber
from words import EXPIRES_AT, carried_by, key_of

from adapters import payloads
from adapters.inference import bedrock
from inference import invoke_large_model

PASSAGE = {"GuardContent": {"Text": {"Text": "Found.", "Qualifiers": ["grounding_source", "guard_content"]}}}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Eleven hours."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
    "metrics": {"latencyMs": 1},
}


@pytest.fixture
def asked(keys, bucket, context):
    """Ask for a large request; gives the parameters of the model call and its answer."""
    body = {"query": "How long?", "passages": [{"id": "p", "text": "Eleven."}]}
    body["history"] = [{"role": "user", "text": "Hi."}, {"role": "assistant", "text": "Hello."}]
    key = key_of()
    event = {
        "execution_name": "execution-1",
        "request": {"request_key": "acme#r-1", "subject": carried_by(key)},
        "payload_ref": payloads.keep_apart("payload", "acme#r-1", json.dumps(body), key, EXPIRES_AT),
        "passages": [PASSAGE],
        "call": {
            "ModelId": "us.amazon.nova-lite-v1:0",
            "System": [{"Text": "Be brief."}],
            "InferenceConfig": {"MaxTokens": 10, "Temperature": 0},
        },
    }
    seen: list[dict] = []
    bedrock.client.meta.events.register(
        "provide-client-params.bedrock-runtime.Converse", lambda params, **_: seen.append(params), "seen"
    )
    with Stubber(bedrock.client) as stubber:
        stubber.add_response("converse", ANSWER)
        answer = invoke_large_model.handler(event, context)
    bedrock.client.meta.events.unregister("provide-client-params.bedrock-runtime.Converse", unique_id="seen")
    return seen[0], answer


def test_history_passages_and_query_reach_the_model_in_order(asked):
    parameters, answer = asked

    *history, last = parameters["messages"]
    assert [turn["role"] for turn in history] == ["user", "assistant"]
    texts = [block["guardContent"]["text"]["text"] for block in last["content"]]
    assert texts == ["Eleven.", "Found.", "How long?"]
    assert answer["Output"]["Message"]["Content"] == [{"Text": "Eleven hours."}]
