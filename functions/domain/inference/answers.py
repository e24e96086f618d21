"""What a model answered and what the guardrail found, read from a Converse result."""

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

from domain.characters import cleaned, is_blank, is_broken
from domain.inference.refusals import is_refusal, refusal_score
from domain.inference.usage import cached_of, text_units_of, tokens_of
from domain.policy import Model, UseCase
from domain.requests import Reason

SHAPE_BOUNDS = (80, 200, 400, 800, 1500, 3000, 6000)
GUARDRAIL_INTERVENED = "guardrail_intervened"
# Stop reasons that HTTP 200 does not tell from an answer
# (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
_CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded"})
_FILTERED = "content_filtered"  # by whoever runs the model
_MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
# The last line a prompt may ask for: the model's own estimate, cut off before anyone reads the answer.
_STATED = re.compile(r"\**confidence:?\**:?[ \t]*([01](?:\.\d+)?|\.\d+)[ \t.]*\**", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    stop_reason: str
    input_tokens: int
    output_tokens: int
    stated_confidence: float | None
    grounding: float | None
    relevance: float | None
    findings: tuple[str, ...]
    guarded: bool
    cached_tokens: tuple[int, int] = (0, 0)  # read from and written to the provider's cache
    text_units: dict[str, int] = field(default_factory=dict)  # of the guardrail, by its policies
    refusal: float = 0.0  # how likely it declines instead of answering
    broken: bool = False  # halves of characters were in it, which nothing can store

    @property
    def blocked(self) -> bool:
        return self.stop_reason == GUARDRAIL_INTERVENED

    @property
    def fault(self) -> Reason | None:
        """Why this is no answer, so that the next model is asked; None for one that can be judged."""
        if self.blocked:
            return None
        if self.stop_reason in _CUT_OFF:
            return Reason.TRUNCATED_ANSWER
        if self.broken or self.stop_reason in _MALFORMED:
            return Reason.BROKEN_ANSWER
        return Reason.EMPTY_ANSWER if is_blank(self.text) and not self.filtered else None

    @property
    def filtered(self) -> bool:
        return self.stop_reason == _FILTERED

    def refuses(self, languages: Collection[str]) -> bool:
        """Whether it declines instead of answering, in a use case of these languages."""
        return not self.blocked and (self.filtered or is_refusal(self.refusal, languages))

    @classmethod
    def from_converse(cls, raw: dict) -> "Answer":
        """Read a Converse result in the spelling of a Step Functions integration."""
        content = raw["Output"]["Message"].get("Content") or ()
        written = "".join(block.get("Text", "") for block in content)
        stated, text = None, cleaned(written).strip()
        before, _, last_line = text.rpartition("\n")
        if match := _STATED.fullmatch(last_line.strip()):
            stated, text = min(float(match[1]), 1.0), before.rstrip()
        trace = raw.get("Trace") or {}
        assessments = _output_assessments(raw)
        input_tokens, output_tokens = tokens_of(raw["Usage"])
        return cls(
            text=text,
            stop_reason=raw["StopReason"],
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            stated_confidence=stated,
            grounding=_lowest_score(assessments, "GROUNDING"),
            relevance=_lowest_score(assessments, "RELEVANCE"),
            findings=tuple(sorted(_findings(assessments))),
            guarded="Guardrail" in trace,
            cached_tokens=cached_of(raw["Usage"]),
            text_units=text_units_of(_text_units_reported(raw)),
            refusal=refusal_score(text),
            broken=is_broken(written),
        )


def failed_attempt(raw: dict, model: str, fault: Reason) -> dict:
    """What a Converse result that was no answer says to the attempts of a chain."""
    input_tokens, output_tokens = tokens_of(raw["Usage"])
    return {
        "model": model,
        "error": fault,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "usage": raw["Usage"],
        "text_units": _text_units_reported(raw),
    }


def answer_key(use_case: UseCase, tenant: str, detail: dict) -> str:
    """The key under which a tenant's answer to a question is found again: another prompt or passage is another one."""
    question = [
        use_case.name,
        use_case.prompt_version,
        *(detail.get(part) for part in ("query", "passages", "history")),
    ]
    text = json.dumps(question, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"{tenant}#{hashlib.sha256(text.encode()).hexdigest()}"


def shape_of(characters: int) -> int:
    """Which of eight buckets of length an answer falls into: how they fill tells when a model writes otherwise."""
    return bisect_right(SHAPE_BOUNDS, characters)


def cost_of(model: Model, input_tokens: int, output_tokens: int) -> Decimal:
    """What the tokens cost, in US dollars."""
    return model.usd_per_input_token * input_tokens + model.usd_per_output_token * output_tokens


def cost_of_chain(models: dict[str, Model], attempts: list[dict]) -> Decimal:
    """What the rejected attempts of a chain cost; one that gave no answer cost nothing."""
    costs = (
        cost_of(models[each["model"]], each["input_tokens"], each["output_tokens"])
        for each in attempts
        if each["model"] in models
    )
    return sum(costs, Decimal(0))


def recorded_attempts(attempts: list[dict]) -> list[dict]:
    """The attempts that gave no answer, as a record has them; what they used is recorded by line."""
    return [{name: value for name, value in each.items() if name not in ("usage", "text_units")} for each in attempts]


def _output_assessments(raw: dict) -> list[dict]:
    guardrail = (raw.get("Trace") or {}).get("Guardrail", {})
    return [one for listed in guardrail.get("OutputAssessments", {}).values() for one in listed]


def _text_units_reported(raw: dict) -> list[dict]:
    """The Usage of each assessment's InvocationMetrics, of the input and of the output."""
    guardrail = (raw.get("Trace") or {}).get("Guardrail", {})
    judged = [*guardrail.get("InputAssessment", {}).values(), *_output_assessments(raw)]
    return [one["InvocationMetrics"]["Usage"] for one in judged if "InvocationMetrics" in one]


def _lowest_score(assessments: list[dict], kind: str) -> float | None:
    scores = [
        found["Score"]
        for assessment in assessments
        for found in assessment.get("ContextualGroundingPolicy", {}).get("Filters", ())
        if found["Type"] == kind
    ]
    return min(scores) if scores else None


def _findings(assessments: list[dict]) -> set[str]:
    """Names of what the guardrail detected in the answer; grounding is a score, and no match text gets out."""
    lists = (
        ("ContentPolicy", "Filters", "Type"),
        ("TopicPolicy", "Topics", "Name"),
        ("WordPolicy", "ManagedWordLists", "Type"),
        ("SensitiveInformationPolicy", "PiiEntities", "Type"),
        ("SensitiveInformationPolicy", "Regexes", "Name"),
    )
    found = {
        f"{policy}:{item[name]}"
        for assessment in assessments
        for policy, key, name in lists
        for item in assessment.get(policy, {}).get(key, ())
        if item.get("Detected", True)
    }
    # A custom word's name is the word itself: say only that there was one.
    if any(a.get("WordPolicy", {}).get("CustomWords") for a in assessments):
        found.add("WordPolicy:CustomWord")
    return found
