"""Converse results in the spelling of a Step Functions integration, as tests need them."""


def converse_result(
    *texts: str,
    stop_reason: str = "end_turn",
    guardrail: dict | None = None,
    tokens: tuple[int, int] = (20, 8),
) -> dict:
    """A result whose content is these texts; `guardrail` is the one output assessment, if there was any to make."""
    result = {
        "Output": {"Message": {"Role": "assistant", "Content": [{"Text": text} for text in texts]}},
        "StopReason": stop_reason,
        "Usage": {"InputTokens": tokens[0], "OutputTokens": tokens[1], "TotalTokens": sum(tokens)},
        "Metrics": {"LatencyMs": 12},
    }
    assessed = {} if guardrail is None else {"OutputAssessments": {"guardrail": [guardrail]}}
    return result | {"Trace": {"Guardrail": assessed}}


def grounding(score: float, relevance: float = 0.9) -> dict:
    filters = [
        {"Type": "GROUNDING", "Threshold": 0.7, "Score": score, "Action": "NONE"},
        {"Type": "RELEVANCE", "Threshold": 0.5, "Score": relevance, "Action": "NONE"},
    ]
    return {"ContextualGroundingPolicy": {"Filters": filters}}
