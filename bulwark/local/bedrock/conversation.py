"""A Converse request taken apart: the query, the sources, and what a guardrail is to look at."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bulwark.local.bedrock.errors import invalid
from bulwark.local.bedrock.guardrail_filters import Grounds

_ASKS_CONFIDENCE = re.compile(r"\bconfidence:", re.IGNORECASE)
_STARTS_WITH_USER = (
    "A conversation must start with a user message. Try again with a conversation that starts with a user message."
)
_ALTERNATES = (
    "A conversation must alternate between user and assistant roles."
    " Make sure the conversation alternates between user and assistant roles and try again."
)
_BLANK = "The text field in the ContentBlock object at {} is blank. Add text to the text field, and try again."


@dataclass(frozen=True)
class Conversation:
    """The body of a Converse request, checked as Bedrock checks it."""

    body: Mapping[str, Any]

    @staticmethod
    def parse(body: Mapping[str, Any]) -> "Conversation":
        messages = body.get("messages") or []
        if not messages:
            raise invalid("The conversation must have at least one message.")
        if messages[0].get("role") != "user":
            raise invalid(_STARTS_WITH_USER)
        for before, after in pairwise(messages):
            if before.get("role") == after.get("role"):
                raise invalid(_ALTERNATES)
        for place, block in _blocks(body):
            if ("text" in block or "guardContent" in block) and not _text_of(block).strip():
                raise invalid(_BLANK.format(place))
        return Conversation(body)

    @property
    def text(self) -> str:
        """Everything the model reads."""
        return "\n".join(_text_of(block) for _, block in _blocks(self.body))

    @property
    def query(self) -> str:
        """What is asked: the text qualified as the query, or else the last user message."""
        qualified = [_text_of(block) for block in self._last_turn() if "query" in _qualifiers(block)]
        if qualified:
            return "\n".join(qualified)
        plain = [block for block in self._last_turn() if "grounding_source" not in _qualifiers(block)]
        return "\n".join(filter(None, map(_text_of, plain)))

    @property
    def sources(self) -> list[str]:
        return [_text_of(block) for _, block in _blocks(self.body) if "grounding_source" in _qualifiers(block)]

    @property
    def grounds(self) -> Grounds:
        """What the answer is compared with; without a qualified query relevance is not judged."""
        qualified = any("query" in _qualifiers(block) for block in self._last_turn())
        return Grounds(self.sources, self.query if qualified else "")

    @property
    def max_tokens(self) -> int | None:
        return (self.body.get("inferenceConfig") or {}).get("maxTokens")

    @property
    def asks_confidence(self) -> bool:
        """Whether the system prompt speaks of a last line `Confidence: 0.8`."""
        return any(_ASKS_CONFIDENCE.search(_text_of(block)) for block in self.body.get("system") or [])

    def guarded_text(self) -> str:
        """What the guardrail assesses of the input.

        Of the system prompt only guardContent; of the messages everything, or only guardContent once any
        message has some. A block qualified as grounding source or query is for grounding alone, unless it is
        guard_content too.
        https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-use-converse-api.html
        """
        return "\n".join(_text_of(block) for block in self._guarded_blocks())

    def with_guarded_text(self, change: Callable[[str], str]) -> "Conversation":
        """The same conversation with the guarded text changed, as when a guardrail masks the input."""
        guarded = {id(block) for block in self._guarded_blocks()}

        def changed(block: Mapping[str, Any]) -> Mapping[str, Any]:
            if id(block) not in guarded:
                return block
            if "text" in block:
                return {**block, "text": change(block["text"])}
            content = block["guardContent"]
            return {"guardContent": {"text": {**content["text"], "text": change(content["text"]["text"])}}}

        messages = [
            {**message, "content": [changed(block) for block in message["content"]]}
            for message in self.body["messages"]
        ]
        system = [changed(block) for block in self.body.get("system") or []]
        return Conversation({**self.body, "messages": messages, "system": system})

    def _guarded_blocks(self) -> list[Mapping[str, Any]]:
        system = [block for block in self.body.get("system") or [] if "guardContent" in block]
        messages = [block for message in self.body["messages"] for block in message["content"]]
        if any("guardContent" in block for block in messages):
            messages = [block for block in messages if "guardContent" in block]
        return [
            block
            for block in (*system, *messages)
            if _text_of(block) and (not _qualifiers(block) or "guard_content" in _qualifiers(block))
        ]

    def _last_turn(self) -> list[Mapping[str, Any]]:
        return [message for message in self.body["messages"] if message["role"] == "user"][-1]["content"]


def _blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, block in enumerate(body.get("system") or []):
        yield f"system.{index}", block
    for turn, message in enumerate(body.get("messages") or []):
        for index, block in enumerate(message.get("content") or []):
            yield f"messages.{turn}.content.{index}", block


def _text_of(block: Mapping[str, Any]) -> str:
    return block.get("text") or ((block.get("guardContent") or {}).get("text") or {}).get("text") or ""


def _qualifiers(block: Mapping[str, Any]) -> list[str]:
    return ((block.get("guardContent") or {}).get("text") or {}).get("qualifiers") or []
