"""Renders a request as Bedrock Converse reads it, with passages and query marked for the guardrail."""

import json

# Retrieved passages, cut to 2,000 characters each, join the prompt later and share the state with it.
RETRIEVED_PASSAGE_BYTES = 8 * 1024
# A state's input and output share 262,144 bytes with everything around the prompt
# (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
MAX_RENDERED_BYTES = 200 * 1024
MAX_BYTES_PER_CHARACTER = 4  # of UTF-8; a character that JSON escapes is escaped in the body already
MARKUP_BYTES = 150  # what guarded() puts around a text, and more
# Passages are judged as well as leaned on: an attack may hide in a document, and in an earlier turn.
PASSAGE_QUALIFIERS = ["grounding_source", "guard_content"]
QUERY_QUALIFIERS = ["query", "guard_content"]
JUDGED_ONLY = ["guard_content"]
# The contextual grounding check takes no more characters, and of sources half as many in some Regions as in others
# (https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-contextual-grounding-check.html);
# beyond it the texts are still judged, and the missing score counts against the answer's confidence.
MAX_GROUNDING_QUERY, MAX_GROUNDING_SOURCE, MAX_GROUNDING_ANSWER = 1_000, 50_000, 5_000
# How long an answer becomes is known by its tokens alone, which have four characters in English, seldom five.
MAX_GROUNDING_TOKENS = MAX_GROUNDING_ANSWER // 5


def guarded(text: str, qualifiers: list[str]) -> dict:
    return {"GuardContent": {"Text": {"Text": text, "Qualifiers": qualifiers}}}


def render(detail: dict, max_output_tokens: int) -> dict:
    """The request's part of a Converse call, in the spelling of a Step Functions integration."""
    passages = [passage["text"] for passage in detail.get("passages", ())]
    checked = (
        len(detail["query"]) <= MAX_GROUNDING_QUERY
        and sum(map(len, passages)) <= MAX_GROUNDING_SOURCE
        and max_output_tokens <= MAX_GROUNDING_TOKENS
    )
    return {
        "messages": [_turn(turn) for turn in detail.get("history", ())],
        "passages": [guarded(text, PASSAGE_QUALIFIERS if checked else JUDGED_ONLY) for text in passages],
        "query": guarded(detail["query"], QUERY_QUALIFIERS if checked else JUDGED_ONLY),
        "passage_qualifiers": PASSAGE_QUALIFIERS if checked else JUDGED_ONLY,
    }


def last_turn(rendered: dict, retrieved: list[dict]) -> dict:
    """The turn that asks, as InvokeModel has it: without passages the query is judged and grounds nothing."""
    passages, query = [*rendered["passages"], *retrieved], rendered["query"]
    if not passages:
        query = guarded(query["GuardContent"]["Text"]["Text"], JUDGED_ONLY)
    return {"Role": "user", "Content": [*passages, query]}


def _turn(turn: dict) -> dict:
    text = turn["text"]
    return {"Role": turn["role"], "Content": [guarded(text, JUDGED_ONLY) if turn["role"] == "user" else {"Text": text}]}


def room_beside(passages_to_retrieve: int) -> int:
    """How many bytes of a state a rendered request may have, if passages of ours are to join it."""
    return MAX_RENDERED_BYTES - passages_to_retrieve * RETRIEVED_PASSAGE_BYTES


def fits(rendered: dict, body: str, room: int) -> bool:
    """Whether a rendered request has room in a state; its body's length tells, unless it comes close."""
    pieces = len(rendered["messages"]) + len(rendered["passages"]) + 1
    if len(body) * MAX_BYTES_PER_CHARACTER + pieces * MARKUP_BYTES <= room:
        return True
    return len(json.dumps(rendered, ensure_ascii=False).encode()) <= room
