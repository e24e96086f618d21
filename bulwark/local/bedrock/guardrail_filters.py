"""Local guardrail filters: a guardrail's own configuration, judged by word lists and patterns.

They answer in the shape of Bedrock's assessments, and they are not Bedrock's detection: what they find says
that a policy is wired, with which action, and nothing about how well Bedrock would find it. Every trace
carries LABEL.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulwark.local.bedrock import pii
from bulwark.local.bedrock.grounding import grounding_score, relevance_score
from bulwark.local.bedrock.lexical import content_words, sentences

LABEL = "local filters, not Bedrock's detection"
CHARACTERS_PER_UNIT = 1_000
TOPIC_OVERLAP = 0.6

_LEVELS = ("NONE", "LOW", "MEDIUM", "HIGH")
_LEXICON = json.loads((Path(__file__).parent / "content_lexicon.json").read_text(encoding="utf-8"))
_PROFANITY = re.compile(rf"\b(?:{'|'.join(_LEXICON.pop('PROFANITY'))})\b", re.IGNORECASE)
_CONTENT = {
    kind: {level: re.compile("|".join(patterns), re.IGNORECASE) for level, patterns in levels.items()}
    for kind, levels in _LEXICON.items()
}


@dataclass(frozen=True)
class Grounds:
    """What an answer is compared with: the sources it should come from and the query it should answer."""

    sources: Sequence[str] = ()
    query: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a guardrail found in a text, and whether it stops the text or hides part of it."""

    assessment: dict[str, Any]
    blocked: bool
    masked: bool
    usage: dict[str, int]


def assess(
    guardrail: Mapping[str, Any], side: str, text: str, grounds: Grounds = Grounds(), full: bool = True
) -> Verdict:
    """Judge a text on the INPUT or OUTPUT side; `full` also lists what was looked for and not found."""
    policies = {
        "topicPolicy": {"topics": list(_topics(guardrail, side, text))},
        "contentPolicy": {"filters": list(_content(guardrail, side, text))},
        "wordPolicy": {
            "customWords": list(_custom_words(guardrail, side, text)),
            "managedWordLists": list(_managed_words(guardrail, side, text)),
        },
        "sensitiveInformationPolicy": {
            "piiEntities": list(_entities(guardrail, side, text)),
            "regexes": list(_regexes(guardrail, side, text)),
        },
        "contextualGroundingPolicy": {"filters": list(_grounding(guardrail, side, text, grounds))},
    }
    findings = [finding for policy in policies.values() for group in policy.values() for finding in group]
    shown = {}
    for name, policy in policies.items():
        # A grounding score is shown whether or not it fell short; the rest only when found, or in full.
        keep_all = full or name == "contextualGroundingPolicy"
        groups = {key: [each for each in group if keep_all or each["detected"]] for key, group in policy.items()}
        if any(groups.values()):
            shown[name] = groups
    actions = {finding["action"] for finding in findings}
    return Verdict(shown, "BLOCKED" in actions, "ANONYMIZED" in actions, _units(guardrail, side, text, grounds))


def mask(guardrail: Mapping[str, Any], side: str, text: str) -> str:
    """The text with what the guardrail anonymises replaced by the name of its kind in braces."""
    spans = [
        (start, end, placeholder)
        for action, start, end, placeholder in _sensitive_spans(guardrail, side, text)
        if action == "ANONYMIZE"
    ]
    masked, position = [], 0
    for start, end, placeholder in sorted(spans):
        if start >= position:
            masked += [text[position:start], f"{{{placeholder}}}"]
            position = end
    return "".join(masked) + text[position:]


def _topics(guardrail: Mapping[str, Any], side: str, text: str) -> Iterator[dict[str, Any]]:
    said = [content_words(sentence) for sentence in sentences(text)]
    for topic in _on(guardrail, "topicPolicyConfig", "topicsConfig", side):
        name = content_words(re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]", " ", topic["name"]))
        examples = [content_words(example) for example in topic.get("examples", [])]
        detected = any(
            (name and name <= words)
            or any(example and len(example & words) >= TOPIC_OVERLAP * len(example) for example in examples)
            for words in said
        )
        yield {"name": topic["name"], "type": "DENY", **_result(topic, side, detected)}


def _content(guardrail: Mapping[str, Any], side: str, text: str) -> Iterator[dict[str, Any]]:
    for rule in _on(guardrail, "contentPolicyConfig", "filtersConfig", side):
        strength = rule["inputStrength" if side == "INPUT" else "outputStrength"]
        if strength == "NONE" or (rule["type"] == "PROMPT_ATTACK" and side == "OUTPUT"):
            continue
        levels = _CONTENT[rule["type"]]
        confidence = next(
            (level for level in reversed(_LEVELS) if level in levels and levels[level].search(text)), "NONE"
        )
        # A filter of HIGH strength acts from low confidence on, one of LOW strength only on high confidence.
        detected = confidence != "NONE" and _LEVELS.index(confidence) + _LEVELS.index(strength) > 3
        yield {
            "type": rule["type"],
            "confidence": confidence,
            "filterStrength": strength,
            **_result(rule, side, detected),
        }


def _custom_words(guardrail: Mapping[str, Any], side: str, text: str) -> Iterator[dict[str, Any]]:
    for word in _on(guardrail, "wordPolicyConfig", "wordsConfig", side):
        found = re.search(rf"(?<!\w){re.escape(word['text'])}(?!\w)", text, re.IGNORECASE)
        if found:
            yield {"match": found.group(), **_result(word, side, True)}


def _managed_words(guardrail: Mapping[str, Any], side: str, text: str) -> Iterator[dict[str, Any]]:
    for words in _on(guardrail, "wordPolicyConfig", "managedWordListsConfig", side):
        for match in dict.fromkeys(_PROFANITY.findall(text)):
            yield {"match": match, "type": words["type"], **_result(words, side, True)}


def _entities(guardrail: Mapping[str, Any], side: str, text: str) -> Iterator[dict[str, Any]]:
    for entity in _on(guardrail, "sensitiveInformationPolicyConfig", "piiEntitiesConfig", side):
        for match in dict.fromkeys(text[start:end] for start, end in pii.find(entity["type"], text)):
            yield {"match": match, "type": entity["type"], **_result(entity, side, True)}


def _regexes(guardrail: Mapping[str, Any], side: str, text: str) -> Iterator[dict[str, Any]]:
    for regex in _on(guardrail, "sensitiveInformationPolicyConfig", "regexesConfig", side):
        for match in dict.fromkeys(found.group() for found in re.finditer(regex["pattern"], text)):
            yield {
                "name": regex["name"],
                "match": match,
                "regex": regex["pattern"],
                **_result(regex, side, True),
            }


def _grounding(guardrail: Mapping[str, Any], side: str, text: str, grounds: Grounds) -> Iterator[dict[str, Any]]:
    if side == "INPUT" or not grounds.sources:
        return
    for rule in guardrail.get("contextualGroundingPolicyConfig", {}).get("filtersConfig", []):
        if not rule.get("enabled", True) or (rule["type"] == "RELEVANCE" and not grounds.query):
            continue
        score = (
            grounding_score(text, grounds.sources)
            if rule["type"] == "GROUNDING"
            else relevance_score(grounds.query, text)
        )
        detected = score < rule["threshold"]
        blocks = detected and rule.get("action", "BLOCK") == "BLOCK"
        yield {
            "type": rule["type"],
            "threshold": rule["threshold"],
            "score": score,
            "action": "BLOCKED" if blocks else "NONE",
            "detected": detected,
        }


def _sensitive_spans(guardrail: Mapping[str, Any], side: str, text: str) -> Iterator[tuple[str, int, int, str]]:
    for entity in _on(guardrail, "sensitiveInformationPolicyConfig", "piiEntitiesConfig", side):
        for start, end in pii.find(entity["type"], text):
            yield _action(entity, side), start, end, entity["type"]
    for regex in _on(guardrail, "sensitiveInformationPolicyConfig", "regexesConfig", side):
        for found in re.finditer(regex["pattern"], text):
            yield _action(regex, side), *found.span(), regex["name"]


def _on(guardrail: Mapping[str, Any], policy: str, rules: str, side: str) -> list[Mapping[str, Any]]:
    """The rules of a policy that are switched on for this side."""
    enabled = "inputEnabled" if side == "INPUT" else "outputEnabled"
    return [rule for rule in guardrail.get(policy, {}).get(rules, []) if rule.get(enabled, True)]


def _action(rule: Mapping[str, Any], side: str) -> str:
    return rule.get("inputAction" if side == "INPUT" else "outputAction") or rule.get("action") or "BLOCK"


def _result(rule: Mapping[str, Any], side: str, detected: bool) -> dict[str, Any]:
    taken = {"BLOCK": "BLOCKED", "ANONYMIZE": "ANONYMIZED", "NONE": "NONE"}[_action(rule, side)]
    return {"action": taken if detected else "NONE", "detected": detected}


def _units(guardrail: Mapping[str, Any], side: str, text: str, grounds: Grounds) -> dict[str, int]:
    def units(policy: str, characters: int = len(text)) -> int:
        return -(-characters // CHARACTERS_PER_UNIT) if guardrail.get(policy) else 0

    sensitive = guardrail.get("sensitiveInformationPolicyConfig", {})
    compared = len(text) + len(grounds.query) + sum(map(len, grounds.sources))
    grounded = side == "OUTPUT" and bool(grounds.sources)
    return {
        "topicPolicyUnits": units("topicPolicyConfig"),
        "contentPolicyUnits": units("contentPolicyConfig"),
        "wordPolicyUnits": units("wordPolicyConfig"),
        "sensitiveInformationPolicyUnits": units("sensitiveInformationPolicyConfig")
        if sensitive.get("piiEntitiesConfig")
        else 0,
        "sensitiveInformationPolicyFreeUnits": units("sensitiveInformationPolicyConfig")
        if sensitive.get("regexesConfig")
        else 0,
        "contextualGroundingPolicyUnits": units("contextualGroundingPolicyConfig", compared) if grounded else 0,
    }
