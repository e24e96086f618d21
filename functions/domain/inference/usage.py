"""Usage: what each attempt at a model reported to have used, a line each, as it is recorded and priced."""

import re
from collections.abc import Iterable
from functools import cache

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def line(
    model: str,
    input_tokens: int,
    output_tokens: int,
    text_units: dict[str, int],
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
) -> dict:
    """One attempt: tokens, and the guardrail's text units by policy; what was not used is left out."""
    told: dict = {"model": model, "input_tokens": input_tokens, "output_tokens": output_tokens}
    if cache_read_tokens:
        told["cache_read_tokens"] = cache_read_tokens
    if cache_write_tokens:
        told["cache_write_tokens"] = cache_write_tokens
    if text_units:
        told["text_units"] = text_units
    return told


def lines_of(attempts: list[dict]) -> list[dict]:
    """The lines of attempts that failed, of those that got as far as an answer."""
    return [
        line(each["model"], *tokens_of(each["usage"]), text_units_of(each["text_units"]), *cached_of(each["usage"]))
        for each in attempts
        if "usage" in each
    ]


def tokens_of(reported: dict) -> tuple[int, int]:
    """Tokens in and out, of Converse's Usage in the spelling of a Step Functions integration."""
    return reported["InputTokens"], reported["OutputTokens"]


def cached_of(reported: dict) -> tuple[int, int]:
    """Tokens read from and written to the provider's cache; neither is among the tokens in."""
    return reported.get("CacheReadInputTokens", 0), reported.get("CacheWriteInputTokens", 0)


def text_units_of(assessed: Iterable[dict]) -> dict[str, int]:
    """Text units by the guardrail's policies, of the Usage of each assessment's InvocationMetrics."""
    units: dict[str, int] = {}
    for each in assessed:
        for name, count in each.items():
            if count:
                policy = _policy(name)
                units[policy] = units.get(policy, 0) + count
    return units


@cache
def _policy(name: str) -> str:
    """ContentPolicyUnits becomes content_policy."""
    return _WORD.sub("_", name.removesuffix("Units")).lower()
