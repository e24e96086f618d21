"""adapters/inference/bedrock.py: Converse in the spelling of a Step Functions integration, in and out."""

from botocore.stub import Stubber

from adapters.inference import bedrock

ASSESSMENT = {"contentPolicy": {"filters": [{"type": "HATE", "confidence": "LOW", "action": "NONE"}]}}


def test_converse_is_spoken_in_both_spellings():
    asked = {
        "modelId": "us.amazon.nova-lite-v1:0",
        "system": [{"text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"guardContent": {"text": {"text": "Why?"}}}]}],
        "inferenceConfig": {"maxTokens": 10, "temperature": 0},
        "guardrailConfig": {
            "guardrailIdentifier": "guardrail",
            "guardrailVersion": "1",
            "trace": "enabled",
        },
    }
    answered = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Because."}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
        "metrics": {"latencyMs": 1},
        "trace": {
            "guardrail": {"inputAssessment": {"gr-id1": ASSESSMENT}, "outputAssessments": {"gr-id1": [ASSESSMENT]}}
        },
    }
    with Stubber(bedrock.client) as stubber:
        stubber.add_response("converse", answered, asked)
        answer = bedrock.converse(
            {
                "ModelId": "us.amazon.nova-lite-v1:0",
                "System": [{"Text": "Be brief."}],
                "Messages": [{"Role": "user", "Content": [{"GuardContent": {"Text": {"Text": "Why?"}}}]}],
                "InferenceConfig": {"MaxTokens": 10, "Temperature": 0},
                "GuardrailConfig": {
                    "GuardrailIdentifier": "guardrail",
                    "GuardrailVersion": "1",
                    "Trace": "enabled",
                },
            }
        )

    assert answer["Output"]["Message"]["Content"] == [{"Text": "Because."}]
    assert answer["Usage"] == {"InputTokens": 1, "OutputTokens": 2, "TotalTokens": 3}
    traced = answer["Trace"]["Guardrail"]
    for assessment in (traced["InputAssessment"]["gr-id1"], *traced["OutputAssessments"]["gr-id1"]):
        assert assessment["ContentPolicy"]["Filters"][0]["Type"] == "HATE"
    assert "ResponseMetadata" not in answer
