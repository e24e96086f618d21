"""The stack's guardrails, by the names that a policy's risk classes choose them by."""

import json
import os
from functools import cache

from domain.errors import PolicyUnavailable
from domain.policy import PolicyInvalid


def of(name: str) -> dict[str, str]:
    """A guardrail's id and version; raises PolicyUnavailable, since nothing is answered without the one chosen."""
    try:
        return _named(os.environ["GUARDRAILS"])[name]
    except KeyError as error:
        raise PolicyUnavailable(f"the policy chooses guardrail {name}, which this stack has not") from error


def check(document: dict) -> None:
    """Raise PolicyInvalid if a risk class of a document chooses a guardrail that the stack has not."""
    known = _named(os.environ["GUARDRAILS"])
    for name, risk_class in document["risk_classes"].items():
        if (chosen := risk_class["guardrail"]) not in known:
            there = ", ".join(sorted(known))
            raise PolicyInvalid(f"risk_classes.{name}.guardrail: there is no {chosen!r}; there are {there}")


@cache
def _named(guardrails: str) -> dict[str, dict[str, str]]:
    return json.loads(guardrails)
