"""Renders a request as Bedrock Converse reads it, with passages and query marked for the guardrail."""

import json

# A state's input and output share 262,144 bytes with everything around the prompt
# (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
MAX_RENDERED_BYTES = 200 * 1024
MAX_BYTES_PER_CHARACTER = 4  # of UTF-8; a character that JSON escapes is escaped in the body already
MARKUP_BYTES = 150  # what guarded() puts around a text, and more
# Passages are judged as well as leaned on: an attack may hide in a document.
PASSAGE_QUALIFIERS = ["grounding_source", "guard_content"]
QUERY_QUALIFIERS = ["query", "guard_content"]


def guarded(text: str, qualifiers: list[str]) -> dict:
    return {"GuardContent": {"Text": {"Text": text, "Qualifiers": qualifiers}}}


def render(detail: dict) -> dict:
    """The request's part of a Converse call, in the spelling of a Step Functions integration."""
    return {
        "messages": [{"Role": turn["role"], "Content": [{"Text": turn["text"]}]} for turn in detail.get("history", ())],
        "passages": [guarded(passage["text"], PASSAGE_QUALIFIERS) for passage in detail.get("passages", ())],
        "query": guarded(detail["query"], QUERY_QUALIFIERS),
    }


def fits(rendered: dict, body: str, room: int) -> bool:
    """Whether a rendered request has room in a state; its body's length tells, unless it comes close."""
    pieces = len(rendered["messages"]) + len(rendered["passages"]) + 1
    if len(body) * MAX_BYTES_PER_CHARACTER + pieces * MARKUP_BYTES <= room:
        return True
    return len(json.dumps(rendered, ensure_ascii=False).encode()) <= room
