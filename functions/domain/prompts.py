"""Renders a request as Bedrock Converse reads it, with passages and query marked for the guardrail."""

import json

# A state's input and output share 262,144 bytes with everything around the prompt
# (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
MAX_RENDERED_BYTES = 200 * 1024
# Passages are judged as well as leaned on: an attack may hide in a document.
PASSAGE_QUALIFIERS = ["grounding_source", "guard_content"]
QUERY_QUALIFIERS = ["query", "guard_content"]


def guarded(text: str, qualifiers: list[str]) -> dict:
    return {"GuardContent": {"Text": {"Text": text, "Qualifiers": qualifiers}}}


def render(detail: dict) -> dict:
    """The request's part of a Converse call, in the spelling of a Step Functions integration."""
    return {
        "messages": [
            {"Role": turn["role"], "Content": [{"Text": turn["text"]}]} for turn in detail.get("history", ())
        ],
        "passages": [guarded(passage["text"], PASSAGE_QUALIFIERS) for passage in detail.get("passages", ())],
        "query": guarded(detail["query"], QUERY_QUALIFIERS),
    }


def rendered_bytes(rendered: dict) -> int:
    return len(json.dumps(rendered, ensure_ascii=False).encode())
