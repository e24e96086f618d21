"""The emulator of Bedrock's runtime: Converse, ApplyGuardrail, Titan embeddings, Retrieve, and their faults.

Every draw comes from the seed: how able a model is at a question does not depend on the order of the calls,
so that a run repeats even when requests overtake one another. Faults' probabilities are drawn call by call.
"""

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bulwark.local.bedrock import composer, openai_compatible
from bulwark.local.bedrock.calls import Calls
from bulwark.local.bedrock.conversation import Conversation
from bulwark.local.bedrock.embeddings import titan_embedding
from bulwark.local.bedrock.errors import SCRIPTED_ERRORS, BedrockError, invalid, scripted
from bulwark.local.bedrock.faults import Fault, Faults
from bulwark.local.bedrock.guard import Guard, metrics, milliseconds, reason
from bulwark.local.bedrock.guardrail_filters import LABEL, Grounds, assess, mask
from bulwark.local.bedrock.knowledge_base import KnowledgeBase
from bulwark.local.bedrock.lexical import count_tokens, cut_to_tokens
from bulwark.local.bedrock.recorded_answers import RecordedAnswers
from bulwark.local.bedrock.scenarios import Latency, Model, Scenario, base_model_id, load_scenario

GuardrailLookup = Callable[[str, str], Mapping[str, Any]]
DEFAULT_RESULTS = 5
_TOO_MANY_TOKENS = (
    "The maximum tokens you requested exceeds the model limit of {}."
    " Try again with a maximum tokens value that is lower."
)


class Emulator:
    """One emulated Bedrock; `bulwark.local.bedrock.install` puts it behind the embedded AWS."""

    def __init__(
        self,
        scenario: str | Path | Mapping[str, Any] | None = None,
        replay: str | Path | None = None,
        documents: str | Path | None = None,
        seed: int = 0,
    ) -> None:
        self.scenario: Scenario = load_scenario(scenario)
        self.recorded = RecordedAnswers(replay)
        self.knowledge_base = KnowledgeBase(documents)
        self.calls = Calls()
        self._seed = seed
        self._faults = Faults(self.scenario.faults, seed)

    @property
    def label(self) -> str:
        """What answers in place of Bedrock, in one line for people."""
        url = openai_compatible.model_url()
        models = f"Converse sent to {url}" if url else f"{len(self.scenario.models)} emulated models"
        return f"{models}, {len(self.recorded)} recorded answers; guardrails: {LABEL}"

    def load_faults(self, document: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Put these faults in place of those loaded before; ValueError says what makes no sense."""
        return self._faults.load(document)

    def clear_faults(self) -> None:
        self._faults.clear()

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, with how many calls are left to each."""
        return self._faults.in_force()

    def converse(self, model_id: str, body: Mapping[str, Any], guardrails: GuardrailLookup) -> dict[str, Any]:
        """Answer a Converse request as the model would."""
        return self._recorded_call("converse", model_id, lambda: self._converse(model_id, body, guardrails))

    def apply_guardrail(self, identifier: str, version: str, body: Mapping[str, Any], guardrails: GuardrailLookup):
        """Judge a text by a guardrail's local filters."""
        return self._recorded_call(
            "guardrail", None, lambda: self._apply_guardrail(identifier, version, body, guardrails)
        )

    def embed(self, model_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Embed a text as Titan would, by other means."""

        def answer() -> dict[str, Any]:
            latency = self.scenario.embedding_latency(model_id)
            self._suffer("embed", latency, model_id)
            return titan_embedding(body)

        return self._recorded_call("embed", model_id, answer)

    def retrieve(self, knowledge_base_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search the documents; every knowledge base id means the one folder the emulator was given."""

        def answer() -> dict[str, Any]:
            query = (body.get("retrievalQuery") or {}).get("text") or ""
            hit = self._suffer("retrieve", self.scenario.knowledge_base, prompt=query)
            settings = (body.get("retrievalConfiguration") or {}).get("vectorSearchConfiguration") or {}
            found = self.knowledge_base.retrieve(query, settings.get("numberOfResults", DEFAULT_RESULTS))
            return {"retrievalResults": [] if _kind(hit, "empty") else found}

        return self._recorded_call("retrieve", knowledge_base_id, answer)

    def _converse(self, model_id: str, body: Mapping[str, Any], guardrails: GuardrailLookup) -> dict[str, Any]:
        started = time.perf_counter()
        model = self._model(model_id)
        conversation = Conversation.parse(body)
        if count_tokens(conversation.text) > model.context_tokens:
            raise invalid("Input is too long for requested model.")
        if (conversation.max_tokens or 0) > model.max_output_tokens:
            raise invalid(_TOO_MANY_TOKENS.format(model.max_output_tokens))
        guard = self._guard(body.get("guardrailConfig"), guardrails)
        hit = self._faults.strike("converse", model_id, conversation.text)
        _raise_error(hit)

        conversation = guard.on_input(conversation)
        if guard.blocked:
            return _message(guard.blocked_input, "guardrail_intervened", {}, started, guard.trace())
        text, stop_reason, usage = self._generate(model_id, model, conversation, hit)
        text, stop_reason = guard.on_output(conversation, text, stop_reason)
        return _message(text, stop_reason, usage, started, guard.trace())

    def _generate(
        self, model_id: str, model: Model, conversation: Conversation, hit: list[Fault]
    ) -> tuple[str, str, dict[str, int]]:
        url = openai_compatible.model_url()
        scripted_answer = any(fault.kind in ("empty", "refusal", "says", "ungrounded") for fault in hit)
        if url and not scripted_answer:
            _wait(hit, 0)
            text, stop_reason, usage = openai_compatible.complete(url, model_id, conversation)
            return text, stop_reason, usage
        rng = random.Random(f"{self._seed}|{model.model_id}|{conversation.query}")
        _wait(hit, model.latency.sample(rng))
        text, stop_reason = self._write(model, conversation, hit, rng)
        usage = {"inputTokens": count_tokens(conversation.text), "outputTokens": count_tokens(text)}
        return text, stop_reason, usage

    def _write(self, model: Model, conversation: Conversation, hit: list[Fault], rng: random.Random) -> tuple[str, str]:
        if _kind(hit, "empty"):
            return "", "end_turn"
        if _kind(hit, "refusal"):
            return composer.REFUSAL, "end_turn"
        if said := _kind(hit, "says"):
            return said.text, "end_turn"
        recorded = self.recorded.answer(conversation.query)
        if _kind(hit, "ungrounded"):
            draft = composer.ungrounded(conversation.query, rng)
        elif recorded is not None:
            draft = composer.recorded(model, recorded, rng)
        else:
            draft = composer.compose(model, conversation.query, conversation.sources, rng)
        limit = min(conversation.max_tokens or model.max_output_tokens, model.max_output_tokens)
        ending = f"\nConfidence: {draft.confidence:.2f}" if conversation.asks_confidence else ""
        text = draft.text
        if blowup := _kind(hit, "token_blowup"):
            text = composer.swollen(text, blowup.factor, limit - count_tokens(ending))
        text += ending
        if _kind(hit, "truncated"):
            return cut_to_tokens(text, max(1, min(limit, count_tokens(text) // 2))), "max_tokens"
        if count_tokens(text) > limit:
            return cut_to_tokens(text, limit), "max_tokens"
        return text, "end_turn"

    def _apply_guardrail(
        self, identifier: str, version: str, body: Mapping[str, Any], guardrails: GuardrailLookup
    ) -> dict[str, Any]:
        started = time.perf_counter()
        guardrail = guardrails(identifier, version)
        blocks = [block["text"] for block in body.get("content") or [] if "text" in block]
        if not blocks:
            raise invalid("The content to assess has no text.")
        self._suffer("guardrail", self.scenario.guardrail)

        def texts(qualifier: str) -> list[str]:
            return [block["text"] for block in blocks if qualifier in (block.get("qualifiers") or [])]

        side = body.get("source", "INPUT")
        guarded = [
            block["text"] for block in blocks if not block.get("qualifiers") or "guard_content" in block["qualifiers"]
        ]
        text = "\n".join(guarded)
        grounds = Grounds(texts("grounding_source"), "\n".join(texts("query")))
        verdict = assess(guardrail, side, text, grounds, full=body.get("outputScope") == "FULL")
        blocked_message = guardrail["blockedInputMessaging" if side == "INPUT" else "blockedOutputsMessaging"]
        if verdict.blocked:
            outputs = [{"text": blocked_message}]
        else:
            outputs = [{"text": mask(guardrail, side, part)} for part in guarded] if verdict.masked else []
        coverage = {"guarded": len(text), "total": sum(len(block["text"]) for block in blocks)}
        return {
            "usage": {**verdict.usage, "contentPolicyImageUnits": 0},
            "action": "GUARDRAIL_INTERVENED" if verdict.blocked or verdict.masked else "NONE",
            "actionReason": reason([verdict]),
            "outputs": outputs,
            "assessments": [{**verdict.assessment, "invocationMetrics": metrics(verdict, started, coverage)}],
            "guardrailCoverage": {"textCharacters": coverage},
        }

    def _guard(self, config: Mapping[str, Any] | None, guardrails: GuardrailLookup) -> Guard:
        if not config:
            return Guard(None, "disabled")
        guardrail = guardrails(config.get("guardrailIdentifier", ""), config.get("guardrailVersion", ""))
        self._suffer("guardrail", self.scenario.guardrail)
        return Guard(guardrail, config.get("trace", "disabled"))

    def _model(self, model_id: str) -> Model:
        if openai_compatible.model_url():
            return self.scenario.models.get(model_id) or Model(model_id, context_tokens=10**9, max_output_tokens=10**9)
        return self.scenario.model(model_id)

    def _suffer(self, operation: str, latency: Latency, model: str | None = None, prompt: str = "") -> list[Fault]:
        """Take the time an operation takes, and fail if a fault says so."""
        hit = self._faults.strike(operation, model, prompt)
        _raise_error(hit)
        _wait(hit, latency.sample(random.Random(f"{self._seed}|{operation}|{prompt}")))
        return hit

    def _recorded_call(self, operation: str, model: str | None, answer: Callable[[], dict[str, Any]]):
        started = time.perf_counter()
        outcome, usage = "ok", None
        try:
            result = answer()
            outcome = result.get("stopReason") or result.get("action") or "ok"
            usage = result.get("usage") if operation == "converse" else None
            return result
        except BedrockError as error:
            outcome = error.code
            raise
        finally:
            self.calls.record(operation, model and base_model_id(model), outcome, usage, milliseconds(started))


def _message(
    text: str, stop_reason: str, usage: dict[str, int], started: float, trace: dict[str, Any] | None
) -> dict[str, Any]:
    tokens = {"inputTokens": usage.get("inputTokens", 0), "outputTokens": usage.get("outputTokens", 0)}
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": text}] if text else []}},
        "stopReason": stop_reason,
        "usage": {**tokens, "totalTokens": sum(tokens.values())},
        "metrics": {"latencyMs": milliseconds(started)},
    }
    return {**answer, "trace": trace} if trace else answer


def _kind(hit: list[Fault], kind: str) -> Fault | None:
    return next((fault for fault in hit if fault.kind == kind), None)


def _raise_error(hit: list[Fault]) -> None:
    for fault in hit:
        if fault.kind in SCRIPTED_ERRORS:
            _wait(hit, 0)
            raise scripted(fault.kind)


def _wait(hit: list[Fault], milliseconds: float) -> None:
    milliseconds += sum(fault.latency_ms for fault in hit if fault.kind == "latency")
    if milliseconds > 0:
        time.sleep(milliseconds / 1_000)
