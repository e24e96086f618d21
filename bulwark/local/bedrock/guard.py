"""A guardrail at work on one Converse call, and the trace of what it found."""

import math
import time
from collections.abc import Mapping
from typing import Any

from bulwark.local.bedrock.conversation import Conversation
from bulwark.local.bedrock.errors import invalid
from bulwark.local.bedrock.guardrail_filters import LABEL, Grounds, Verdict, assess, mask

# https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-contextual-grounding-check.html
MAX_QUERY, MAX_SOURCES, MAX_ANSWER = 1_000, 100_000, 5_000


class Guard:
    """Judges the input, then the answer; `trace` tells what it found."""

    def __init__(self, guardrail: Mapping[str, Any] | None, trace: str) -> None:
        self._guardrail, self._trace = guardrail, trace
        self._input: tuple[Verdict, dict[str, Any]] | None = None
        self._output: tuple[Verdict, dict[str, Any]] | None = None
        self._model_output: list[str] = []

    @property
    def blocked(self) -> bool:
        return self._input is not None and self._input[0].blocked

    @property
    def blocked_input(self) -> str:
        return self._guardrail["blockedInputMessaging"]

    def on_input(self, conversation: Conversation) -> Conversation:
        if self._guardrail is None:
            return conversation
        if grounded_by(self._guardrail):
            _check_grounds(conversation.grounds)
        verdict = self._assess("INPUT", conversation.guarded_text(), Grounds(), len(conversation.text))
        self._input = verdict
        if verdict[0].masked and not verdict[0].blocked:
            return conversation.with_guarded_text(lambda text: mask(self._guardrail, "INPUT", text))
        return conversation

    def on_output(self, conversation: Conversation, text: str, stop_reason: str) -> tuple[str, str]:
        if self._guardrail is None or not text:
            return text, stop_reason
        if grounded_by(self._guardrail) and conversation.grounds.sources and len(text) > MAX_ANSWER:
            raise invalid(f"The contextual grounding check takes an answer of {MAX_ANSWER} characters.")
        self._output = self._assess("OUTPUT", text, conversation.grounds, len(text))
        self._model_output = [text]
        verdict = self._output[0]
        if verdict.blocked:
            return self._guardrail["blockedOutputsMessaging"], "guardrail_intervened"
        if verdict.masked:
            return mask(self._guardrail, "OUTPUT", text), "guardrail_intervened"
        return text, stop_reason

    def trace(self) -> dict[str, Any] | None:
        """The trace in Bedrock's form; its action reason says whose judgement it is."""
        if self._guardrail is None or self._trace not in ("enabled", "enabled_full"):
            return None
        guardrail_id = self._guardrail["guardrailId"]
        trace: dict[str, Any] = {"actionReason": reason([each[0] for each in (self._input, self._output) if each])}
        if self._input:
            trace["inputAssessment"] = {guardrail_id: self._input[1]}
        if self._output:
            trace["outputAssessments"] = {guardrail_id: [self._output[1]]}
        if self._model_output and (self._output[0].blocked or self._output[0].masked):
            trace["modelOutput"] = self._model_output
        return {"guardrail": trace}

    def _assess(self, side: str, text: str, grounds: Grounds, total: int) -> tuple[Verdict, dict[str, Any]]:
        started = time.perf_counter()
        verdict = assess(self._guardrail, side, text, grounds, full=self._trace == "enabled_full")
        coverage = {"guarded": len(text), "total": total}
        return verdict, {
            **verdict.assessment,
            "invocationMetrics": metrics(verdict, started, coverage),
        }


def grounded_by(guardrail: Mapping[str, Any]) -> bool:
    """Whether a guardrail checks what an answer rests on."""
    return bool((guardrail.get("contextualGroundingPolicyConfig") or {}).get("filtersConfig"))


def _check_grounds(grounds: Grounds) -> None:
    if grounds.query and not grounds.sources:
        raise invalid("The contextual grounding check needs a grounding source for its query.")
    if len(grounds.query) > MAX_QUERY or sum(map(len, grounds.sources)) > MAX_SOURCES:
        raise invalid(
            f"The contextual grounding check takes a query of {MAX_QUERY} and sources of {MAX_SOURCES} characters."
        )


def metrics(verdict: Verdict, started: float, coverage: dict[str, int]) -> dict[str, Any]:
    return {
        "guardrailProcessingLatency": milliseconds(started),
        "usage": verdict.usage,
        "guardrailCoverage": {"textCharacters": coverage},
    }


def reason(verdicts: list[Verdict]) -> str:
    if any(verdict.blocked for verdict in verdicts):
        return f"Guardrail blocked. ({LABEL})"
    if any(verdict.masked for verdict in verdicts):
        return f"Guardrail masked. ({LABEL})"
    return f"No action. ({LABEL})"


def milliseconds(started: float) -> int:
    return math.ceil((time.perf_counter() - started) * 1_000)
