"""A scenario: which models the emulator has, how fast and able they are, and what goes wrong with them."""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulwark.documents import read_document
from bulwark.local.bedrock.errors import BedrockError, invalid

DEFAULT_SCENARIO = Path(__file__).parent / "scenarios" / "default.json"
STYLES = ("terse", "plain", "verbose")

_ARN = re.compile(r"^arn:[^:]+:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/(.+)$")
_PROFILE = re.compile(r"^(?:us|us-gov|eu|apac|ca|jp|au|global)\.(?=[a-z0-9-]+\.)")
_P95 = 1.6449  # the normal distribution's 95th percentile, in standard deviations


@dataclass(frozen=True)
class Latency:
    """A log-normal latency, given by its median and its 95th percentile."""

    p50_ms: float = 0.0
    p95_ms: float = 0.0

    def sample(self, rng: random.Random) -> float:
        if self.p50_ms <= 0:
            return 0.0
        spread = math.log(max(self.p95_ms, self.p50_ms) / self.p50_ms) / _P95
        return self.p50_ms * math.exp(rng.gauss(0, spread))


@dataclass(frozen=True)
class Model:
    """A model: `skill` is the share of questions it answers from its sources and nothing else."""

    model_id: str
    latency: Latency = Latency()
    skill: float = 0.9
    style: str = "plain"
    context_tokens: int = 300_000
    max_output_tokens: int = 5_000
    price: Mapping[str, float] = field(default_factory=dict)  # for the reader: the emulator bills nobody


@dataclass(frozen=True)
class Scenario:
    models: Mapping[str, Model]
    embeddings: Mapping[str, Latency]
    knowledge_base: Latency
    guardrail: Latency
    access_denied: frozenset[str]
    faults: tuple[dict[str, Any], ...]

    def model(self, identifier: str) -> Model:
        """The model of a model id, an inference-profile id or the ARN of either."""
        model_id = self._known(identifier, self.models)
        return self.models[model_id]

    def embedding_latency(self, identifier: str) -> Latency:
        return self.embeddings[self._known(identifier, self.embeddings)]

    def _known(self, identifier: str, known: Mapping[str, Any]) -> str:
        model_id = base_model_id(identifier)
        if {identifier, model_id} & self.access_denied:
            raise BedrockError(
                "AccessDeniedException", "You don't have access to the model with the specified model ID."
            )
        if model_id not in known:
            raise invalid("The provided model identifier is invalid.")
        return model_id


def base_model_id(identifier: str) -> str:
    """The id of the model behind an identifier: ARNs and cross-region profiles name the same model."""
    found = _ARN.match(identifier)
    return _PROFILE.sub("", found.group(1) if found else identifier)


def load_scenario(source: str | Path | Mapping[str, Any] | None) -> Scenario:
    """A scenario from a file, from a dictionary, or the default one; what it does not know it refuses."""
    if source is None:
        source = DEFAULT_SCENARIO
    if isinstance(source, str | Path):
        source = read_document(Path(source))
    _refuse_unknown(
        "scenario",
        source,
        {"description", "models", "embeddings", "knowledge_base", "guardrail", "access_denied", "faults"},
    )
    models = {name: _model(name, value) for name, value in source.get("models", {}).items()}
    own_faults = [
        {**fault, "model": name}
        for name, value in source.get("models", {}).items()
        for fault in value.get("faults", [])
    ]
    return Scenario(
        models=models,
        embeddings={name: _latency(value) for name, value in source.get("embeddings", {}).items()},
        knowledge_base=_latency(source.get("knowledge_base", {})),
        guardrail=_latency(source.get("guardrail", {})),
        access_denied=frozenset(source.get("access_denied", [])),
        faults=(*own_faults, *source.get("faults", [])),
    )


def _model(name: str, value: Mapping[str, Any]) -> Model:
    numbers = ("skill", "context_tokens", "max_output_tokens")
    _refuse_unknown(f"model {name}", value, {"latency_ms", "style", "price", "faults", *numbers})
    style, skill = value.get("style", "plain"), value.get("skill", 0.9)
    if style not in STYLES:
        raise ValueError(f"model {name}: style is one of {', '.join(STYLES)}, not {style!r}")
    if not 0 <= skill <= 1:
        raise ValueError(f"model {name}: skill lies between 0 and 1, not {skill!r}")
    return Model(
        model_id=name,
        latency=_latency(value),
        style=style,
        price=value.get("price", {}),
        **{key: value[key] for key in numbers if key in value},
    )


def _latency(value: Mapping[str, Any]) -> Latency:
    given = value.get("latency_ms", {})
    if isinstance(given, int | float):
        return Latency(given, given)
    _refuse_unknown("latency_ms", given, {"p50", "p95"})
    return Latency(given.get("p50", 0.0), given.get("p95", given.get("p50", 0.0)))


def _refuse_unknown(where: str, value: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
