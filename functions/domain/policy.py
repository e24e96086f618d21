"""The runtime policy: what policies/runtime.json says, with every name in it resolved."""

import hashlib
import json
import math
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from domain.inference.prompts import MAX_GROUNDING_ANSWER, MAX_GROUNDING_TOKENS

OWN_ACCOUNT = "own"
# What all use cases run on, where incidents are told of it; no use case may have this name.
SYSTEM = "system"
TOKENS_PER_PRICE = 1_000_000
# What a model's refusal leads to.
NEXT_MODEL, HOLD = "next_model", "hold"


class PolicyInvalid(ValueError):
    """The document contradicts itself; says where."""


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    model_id: str
    usd_per_input_token: Decimal
    usd_per_output_token: Decimal


@dataclass(frozen=True, slots=True)
class RiskClass:
    name: str
    always_review: bool
    second_reviewer: bool
    head_start_seconds: int
    guardrail: str  # its name in the stack


@dataclass(frozen=True, slots=True)
class Overload:
    """What gives when a queue would breach its deadlines."""

    gives: str
    confidence_floor: float


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """How long what belongs to a use case is kept."""

    name: str
    request_days: int
    review_days: int
    cache_days: int

    def keeps_longer_than(self, other: "RetentionClass") -> list[str]:
        spans = ("request_days", "review_days", "cache_days")
        return [span for span in spans if getattr(self, span) > getattr(other, span)]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what belongs to no use case is kept."""

    refusal_days: int
    incident_days: int
    audit_days: int


@dataclass(frozen=True, slots=True)
class ReviewRules:
    reviewer_sla_seconds: int
    lead_sla_seconds: int
    on_silence: str
    claim_seconds: int
    due_notice_seconds: int
    audit_share: float
    blind_share: float
    second_reviewer_share: float
    overload: Overload


@dataclass(frozen=True, slots=True)
class ConfidenceScore:
    intercept: float
    weights: dict[str, float]


@dataclass(frozen=True, slots=True)
class UseCase:
    name: str
    system: str
    prompt_version: str
    models: tuple[Model, ...]
    max_output_tokens: int
    temperature: float
    risk_class: RiskClass
    confidence: ConfidenceScore
    confidence_threshold: float
    deliver_answer: bool
    retention: RetentionClass
    passages_to_retrieve: int
    review: ReviewRules
    languages: frozenset[str]  # in which its answers may be, for whoever reads what they say
    on_refusal: str  # of the model: pass_on, next_model or hold
    keeps_answers: bool  # released ones may be given again, while it answers from what is stored alone

    @property
    def request_days(self) -> int:
        return self.retention.request_days

    @property
    def review_days(self) -> int:
        return self.retention.review_days


@dataclass(frozen=True, slots=True)
class Tenant:
    name: str
    use_cases: frozenset[str]
    requests_per_minute: int
    requests_in_flight: int
    # By use case, where the tenant's is stricter than the use case's own.
    retention: dict[str, RetentionClass] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    version: str
    digest: str  # of the whole document, for whoever has to know whether it is the same
    tenants: dict[str, Tenant]
    producers: dict[tuple[str, str], str]
    models: dict[str, Model]
    use_cases: dict[str, UseCase]
    request_deadline_seconds: int
    retention: Retention
    incidents: (
        dict  # the settings of domain/incidents/evidence.py, incidents.py and mitigation.py, read where they are used
    )

    @classmethod
    def from_json(cls, raw: dict) -> "Policy":
        """Resolve the names of a document that already meets runtime.schema.json; raises PolicyInvalid."""
        raw = _numbers(raw)
        models = {
            name: Model(name, model["model_id"], *(_per_token(model, side) for side in ("input", "output")))
            for name, model in raw["models"].items()
        }
        if SYSTEM in raw["use_cases"]:
            raise PolicyInvalid(f"use_cases.{SYSTEM}: is the name of what all use cases run on; choose another")
        classes = {name: _retention_class(name, one) for name, one in raw["retention_classes"].items()}
        use_cases = {name: _use_case(name, one, raw, models, classes) for name, one in raw["use_cases"].items()}
        producers: dict[tuple[str, str], str] = {}
        tenants = {}
        for name, tenant in raw["tenants"].items():
            for producer in tenant["producers"]:
                key = (producer["account"], producer["source"])
                if producers.setdefault(key, name) != name:
                    raise PolicyInvalid(
                        f"tenants.{name}.producers: {key[1]} of account {key[0]} is {producers[key]}'s already"
                    )
            for use_case in tenant["use_cases"]:
                _named(use_cases, use_case, f"tenants.{name}.use_cases")
            tenants[name] = Tenant(
                name,
                frozenset(tenant["use_cases"]),
                tenant["requests_per_minute"],
                tenant["requests_in_flight"],
                _stricter_classes(name, tenant, use_cases, classes),
            )
        deadline = raw["request_deadline_seconds"]
        digest = hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:16]
        return cls(
            raw["version"],
            digest,
            tenants,
            producers,
            models,
            use_cases,
            deadline,
            Retention(**raw["retention"]),
            raw["incidents"],
        )

    @property
    def drill_speed(self) -> float:
        """How many times as fast time runs for incidents; 1 but in a drill."""
        return self.incidents.get("drill_speed", 1)

    def use_case_of(self, tenant: str, name: str) -> UseCase:
        """A use case as a tenant has it: kept for less long, where the tenant chose so."""
        use_case = self.use_cases[name]
        stricter = self.tenants[tenant].retention.get(name) if tenant in self.tenants else None
        return replace(use_case, retention=stricter) if stricter else use_case

    def refusal_days(self, tenant: str, use_case: str) -> int:
        """A refusal says who asked and when, which is kept no longer than the request would have been."""
        days = self.retention.refusal_days
        return min(days, self.use_case_of(tenant, use_case).request_days) if use_case in self.use_cases else days

    def tenant_of(self, account: str, source: str, own_account: str) -> Tenant | None:
        """The tenant whose producer has this account and source."""
        name = self.producers.get((account, source))
        if name is None and account == own_account:
            name = self.producers.get((OWN_ACCOUNT, source))
        return self.tenants.get(name) if name else None


def _numbers(value: Any, path: str = "") -> Any:
    """Take 300.0 for the 300 it is, and refuse NaN and its like: nothing is below a threshold that is no number."""
    if isinstance(value, dict):
        return {key: _numbers(item, f"{path}.{key}" if path else key) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise PolicyInvalid(f"{path}: {value} is not a number of JSON")
        return int(value) if value.is_integer() else value
    return value


def _per_token(model: dict, side: str) -> Decimal:
    return Decimal(str(model[f"usd_per_million_{side}_tokens"])) / TOKENS_PER_PRICE


def _named(among: dict, name: str, where: str) -> Any:
    if name not in among:
        raise PolicyInvalid(f"{where}: there is no {name!r}; there are {', '.join(sorted(among))}")
    return among[name]


def _retention_class(name: str, raw: dict) -> RetentionClass:
    found = RetentionClass(name, **raw)
    if found.cache_days > found.request_days:
        raise PolicyInvalid(
            f"retention_classes.{name}.cache_days: {found.cache_days} is more than its request_days of "
            f"{found.request_days}; an answer cannot be given again once it is gone"
        )
    return found


def _stricter_classes(
    name: str, tenant: dict, use_cases: dict[str, UseCase], classes: dict[str, RetentionClass]
) -> dict[str, RetentionClass]:
    found = {}
    for use_case, chosen in tenant.get("retention_class", {}).items():
        where = f"tenants.{name}.retention_class.{use_case}"
        if use_case not in tenant["use_cases"]:
            raise PolicyInvalid(f"{where}: the tenant has no such use case")
        found[use_case] = _named(classes, chosen, where)
        own = use_cases[use_case].retention
        if longer := found[use_case].keeps_longer_than(own):
            raise PolicyInvalid(
                f"{where}: {chosen} has more {longer[0]} than {own.name}, the use case's own class; "
                "a tenant may choose a stricter one alone"
            )
    return found


def _use_case(
    name: str, raw: dict, document: dict, models: dict[str, Model], classes: dict[str, RetentionClass]
) -> UseCase:
    where = f"use_cases.{name}"
    prompt = _named(document["prompts"], raw["prompt"], f"{where}.prompt")
    score = _named(document["confidence"], raw["confidence"], f"{where}.confidence")
    if "knowledge_base" in raw and raw["max_output_tokens"] > MAX_GROUNDING_TOKENS:
        raise PolicyInvalid(
            f"{where}.max_output_tokens: {raw['max_output_tokens']} would leave answers to passages unchecked: the "
            f"grounding check takes {MAX_GROUNDING_ANSWER} characters, some {MAX_GROUNDING_TOKENS} tokens"
        )
    return UseCase(
        name=name,
        system=prompt["system"],
        prompt_version=f"{raw['prompt']}@{prompt['version']}",
        models=tuple(_named(models, model, f"{where}.models") for model in raw["models"]),
        max_output_tokens=raw["max_output_tokens"],
        temperature=raw["temperature"],
        risk_class=RiskClass(
            raw["risk_class"], **_named(document["risk_classes"], raw["risk_class"], f"{where}.risk_class")
        ),
        confidence=ConfidenceScore(score["intercept"], score["weights"]),
        confidence_threshold=raw["confidence_threshold"],
        deliver_answer=raw["deliver"] == "event",
        retention=_named(classes, raw["retention_class"], f"{where}.retention_class"),
        passages_to_retrieve=raw.get("knowledge_base", {}).get("passages", 0),
        review=_review_rules(raw, where),
        languages=frozenset(raw.get("languages", ["en"])),
        on_refusal=raw.get("on_refusal", NEXT_MODEL),
        keeps_answers="cache_only" in _modes_that_may_come(raw, document),
    )


def _review_rules(raw: dict, where: str) -> ReviewRules:
    overload = Overload(**raw["review"]["overload"])
    if overload.confidence_floor > raw["confidence_threshold"]:
        raise PolicyInvalid(
            f"{where}.review.overload.confidence_floor: {overload.confidence_floor} is above the use case's "
            f"confidence_threshold of {raw['confidence_threshold']}; a long queue cannot be helped by more reviews"
        )
    if raw["review"]["audit_share"] and not raw["review"]["blind_share"]:
        raise PolicyInvalid(
            f"{where}.review.blind_share: is 0, so that a blind review could only be an audit, and would tell so"
        )
    return ReviewRules(**raw["review"] | {"overload": overload})


def _modes_that_may_come(raw: dict, document: dict) -> set[str]:
    """What reviewers' load or an incident may degrade a use case to."""
    ladders = document["incidents"]["mitigation"]["ladders"].values()
    return {raw["review"]["overload"]["gives"], *(rung for ladder in ladders for rung in ladder)}
