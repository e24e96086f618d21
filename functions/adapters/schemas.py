"""JSON Schemas as functions; fastjsonschema, since jsonschema costs four times the import and each check."""

import functools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import fastjsonschema

from domain.requests import RequestRefused, invalid

_PROPERTY = re.compile(r"\['([^']*)'\]")


class SchemaViolated(ValueError):
    """A document does not meet its schema; the message holds the field and the rule, not the value."""


@functools.cache
def _validator(name: str) -> Callable[[object], object]:
    schema = json.loads(Path(os.environ["SCHEMAS_DIR"], f"{name}.json").read_text())
    return fastjsonschema.compile(schema, use_default=False)


def check_event(detail_type: str, detail: dict) -> None:
    _check(_validator(detail_type), detail)


def check_policy(document: dict) -> None:
    _check(_validator("runtime.schema"), document)


def check_request(body: object) -> None:
    """Refuse a body that is no InferenceRequested; raises RequestRefused naming the field."""
    try:
        _validator("InferenceRequested")(body)
    except fastjsonschema.JsonSchemaValueException as error:
        raise _refusal(error) from None


def _check(validate: Callable[[object], object], document: object) -> None:
    try:
        validate(document)
    except fastjsonschema.JsonSchemaValueException as error:
        refusal = _refusal(error)
        raise SchemaViolated(refusal.message) from None


def _refusal(error: fastjsonschema.JsonSchemaValueException) -> RequestRefused:
    """Say which field broke which rule in words of our own: the library's message may quote the value."""
    path = error.name.removeprefix("data")
    field = _PROPERTY.sub(r".\1", path).lstrip(".")
    rule, definition, value = error.rule, error.rule_definition, error.value
    if rule == "required":
        missing = next(name for name in definition if name not in value)
        return invalid(f"{field}.{missing}" if field else missing, "is missing")
    if rule == "additionalProperties" and isinstance(value, dict):
        extra = next((name for name in value if name not in error.definition.get("properties", {})), "")
        return invalid(f"{field}.{extra}" if field else extra, "is not a field of this document")
    said = {
        "type": f"must be of type {definition}",
        "pattern": f"must match {definition}",
        "enum": f"must be one of {definition}",
        "minLength": f"must have at least {definition} character(s)",
        "maxLength": f"must have at most {definition} characters",
        "minItems": f"must have at least {definition} item(s)",
        "maxItems": f"must have at most {definition} items",
        "maxProperties": f"must have at most {definition} fields",
        "minimum": f"must be at least {definition}",
        "maximum": f"must be at most {definition}",
    }
    return invalid(field, said.get(rule, f"breaks the rule {rule}"))
