"""Modes: how a use case works while something is wrong, each set by an owner, for a time, and lifted by it alone."""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum

from domain.policy import Model, UseCase
from domain.requests import Reason, RequestRefused


class Mode(StrEnum):
    """In the order of strictness: of several the last one holds. Also the rungs of domain/incidents/ladders.py."""

    NORMAL = "normal"
    ASK_LESS = "ask_less"  # answers of a little less confidence are released
    STRICTER_REVIEW = "stricter_review"  # only answers of more confidence are released
    FALLBACK_MODEL = "fallback_model"  # the first model of the chain is passed over
    NO_RETRIEVAL = "no_retrieval"  # the model answers without passages of ours
    CHEAPER = "cheaper"  # the cheapest model, and shorter answers
    CACHE_ONLY = "cache_only"  # only questions that were answered before are answered
    REFUSE = "refuse"


# Answers made in these are as good as any, and may be given again.
NOT_DEGRADED = frozenset({Mode.NORMAL, Mode.ASK_LESS, Mode.STRICTER_REVIEW})
ANY_TENANT = "-"
REVIEW_LOAD = "review_load"  # the owner of what gives while reviewers are behind
OWNER_PREFIX = "by_"
# How much of the doubt that is left over the threshold a stricter review takes away.
STRICTER_SHARE = 0.5
SHORTER_SHARE = 0.5
# When to come back to a use case that does not answer while something is wrong.
LATER_SECONDS = 120
# Of the modes that were met so many are remembered, and each may hold so much earlier and later than it was met.
MOST_MET, LEEWAY_SECONDS = 120, 60
MINUTE = 60
_STRICTNESS = list(Mode)


@dataclass(frozen=True, slots=True)
class EffectiveMode:
    mode: Mode = Mode.NORMAL
    owner: str | None = None
    confidence_floor: float | None = None

    def threshold_of(self, use_case: UseCase) -> float:
        """From where on an answer is released; while reviewers are behind that may be a little less."""
        threshold, floor = use_case.confidence_threshold, self.confidence_floor
        return threshold if floor is None else min(threshold, floor)


NORMAL = EffectiveMode()


def effective(items: list[dict], now: float) -> EffectiveMode:
    """The strictest of the modes in force; one whose owner has not renewed it is none."""
    found = NORMAL
    for item in items:
        for name, entry in item.items():
            if not name.startswith(OWNER_PREFIX) or entry["until"] <= now:
                continue
            mode = Mode(entry["mode"])
            if _STRICTNESS.index(mode) > _STRICTNESS.index(found.mode):
                floor = entry.get("confidence_floor")
                found = EffectiveMode(mode, name.removeprefix(OWNER_PREFIX), None if floor is None else float(floor))
    return found


def met_and(met: list[list], moment: float, mode: Mode) -> list[list]:
    """The modes met so far, [moment, mode], and the one that is met now, if it is another one."""
    if met and met[-1][1] == mode:
        return met
    return [*met, [moment, mode]][-MOST_MET:]


def met_during(met: list[list], at: int) -> set[Mode]:
    """The modes that requests of the minute that began then may have met, with some leeway on both sides."""
    found = {Mode.NORMAL} if not met or met[0][0] > at else set()
    for place, (since, mode) in enumerate(met):
        until = met[place + 1][0] if place + 1 < len(met) else float("inf")
        if since - LEEWAY_SECONDS <= at + MINUTE and until + LEEWAY_SECONDS >= at:
            found.add(Mode(mode))
    return found or {Mode.NORMAL}


def owner_of(incident_id: str) -> str:
    """The name under which an incident's mitigation owns its mode."""
    return f"incident_{hashlib.sha256(incident_id.encode()).hexdigest()[:16]}"


def degraded(use_case: UseCase, mode: Mode) -> UseCase:
    """The use case as it works in a mode."""
    if mode is Mode.STRICTER_REVIEW:
        doubt = 1 - use_case.confidence_threshold
        return replace(use_case, confidence_threshold=1 - doubt * (1 - STRICTER_SHARE))
    if mode is Mode.FALLBACK_MODEL:
        return replace(use_case, models=use_case.models[1:] or use_case.models)
    if mode is Mode.NO_RETRIEVAL:
        return replace(use_case, passages_to_retrieve=0)
    if mode is Mode.CHEAPER:
        shorter = max(1, int(use_case.max_output_tokens * SHORTER_SHARE))
        return replace(use_case, models=(min(use_case.models, key=_price),), max_output_tokens=shorter)
    return use_case


def refusal_in(mode: EffectiveMode) -> RequestRefused:
    """The refusal of a request that a mode does not let be answered."""
    if mode.mode is Mode.CACHE_ONLY:
        reason, why = Reason.CACHE_ONLY, "Only questions that were answered before are answered for now."
    elif mode.owner == REVIEW_LOAD:
        reason, why = Reason.REVIEWERS_BEHIND, "The people who check these answers are behind."
    else:
        reason, why = Reason.STOPPED, "This use case is stopped while something is wrong with it."
    message = f"{why} Send the request under a new request_id in {LATER_SECONDS} s."
    return RequestRefused(reason, message, retry_after_seconds=LATER_SECONDS)


def _price(model: Model) -> tuple:
    return (model.usd_per_output_token, model.usd_per_input_token)
