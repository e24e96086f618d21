"""Gap of moto 5.2: the bedrock service has no guardrails.

Bridged: CreateGuardrail, UpdateGuardrail, CreateGuardrailVersion, GetGuardrail, ListGuardrails and
DeleteGuardrail, kept on moto's own backend so that its reset forgets them. moto has closed the gap when
BedrockResponse has a `create_guardrail` of its own; then `install` stops the start and this file can go.
"""

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moto.bedrock.models import bedrock_backends
from moto.bedrock.responses import BedrockResponse

from bulwark.local.bedrock.errors import BedrockError
from bulwark.local.moto_names import MotoChanged
from bulwark.local.service_errors import service_error

_ARN = re.compile(r"^arn:[^:]+:bedrock:[^:]+:\d+:guardrail/(.+)$")
_OPERATIONS = (
    "create_guardrail", "update_guardrail", "create_guardrail_version", "get_guardrail", "list_guardrails",
    "delete_guardrail",
)  # fmt: skip
_FIELDS = {
    "topicPolicyConfig": ("topicPolicy", {"topicsConfig": "topics"}),
    "contentPolicyConfig": ("contentPolicy", {"filtersConfig": "filters"}),
    "wordPolicyConfig": (
        "wordPolicy",
        {"wordsConfig": "words", "managedWordListsConfig": "managedWordLists"},
    ),
    "sensitiveInformationPolicyConfig": (
        "sensitiveInformationPolicy",
        {"piiEntitiesConfig": "piiEntities", "regexesConfig": "regexes"},
    ),
    "contextualGroundingPolicyConfig": ("contextualGroundingPolicy", {"filtersConfig": "filters"}),
}


def install() -> None:
    """Add the guardrail operations to moto's bedrock service."""
    for name in _OPERATIONS:
        existing = getattr(BedrockResponse, name, None)
        if existing is not None and existing.__module__ != __name__:
            raise MotoChanged(f"moto has {name} now: local/bedrock/guardrail_store.py can go")
        setattr(BedrockResponse, name, globals()[name])


def find_guardrail(account: str, region: str, identifier: str, version: str) -> Mapping[str, Any]:
    """The configuration of a guardrail's version, by id or ARN; BedrockError if there is none."""
    versions = _guardrails(account, region).get(_guardrail_id(identifier))
    if versions is None or version not in versions:
        raise BedrockError(
            "ResourceNotFoundException",
            f"The guardrail identifier or version provided does not exist: {identifier} {version}",
        )
    return versions[version]


def create_guardrail(self: BedrockResponse) -> str:
    body = json.loads(self.body)
    guardrails = _guardrails(self.current_account, self.region)
    if any(versions["DRAFT"]["name"] == body["name"] for versions in guardrails.values()):
        raise service_error("bedrock", "ConflictException", "Another guardrail in your account already has this name.")
    guardrail_id = secrets.token_hex(6)
    draft = {
        **body,
        "guardrailId": guardrail_id,
        "guardrailArn": f"arn:aws:bedrock:{self.region}:{self.current_account}:guardrail/{guardrail_id}",
        "version": "DRAFT",
        "createdAt": _now(),
        "updatedAt": _now(),
    }
    guardrails[guardrail_id] = {"DRAFT": draft}
    return _some(draft, "guardrailId", "guardrailArn", "version", "createdAt")


def update_guardrail(self: BedrockResponse) -> str:
    versions = _versions(self)
    kept = {key: versions["DRAFT"][key] for key in ("guardrailId", "guardrailArn", "version", "createdAt")}
    versions["DRAFT"] = {**json.loads(self.body), **kept, "updatedAt": _now()}
    return _some(versions["DRAFT"], "guardrailId", "guardrailArn", "version", "updatedAt")


def create_guardrail_version(self: BedrockResponse) -> str:
    versions = _versions(self)
    number = str(max((int(version) for version in versions if version.isdigit()), default=0) + 1)
    versions[number] = {**versions["DRAFT"], "version": number, "createdAt": _now()}
    return json.dumps({"guardrailId": versions["DRAFT"]["guardrailId"], "version": number})


def get_guardrail(self: BedrockResponse) -> str:
    versions = _versions(self)
    version = (self.querystring.get("guardrailVersion") or ["DRAFT"])[0]
    if version not in versions:
        raise service_error("bedrock", "ResourceNotFoundException", f"The guardrail has no version {version}.")
    return json.dumps(_described(versions[version]))


def list_guardrails(self: BedrockResponse) -> str:
    guardrails = _guardrails(self.current_account, self.region)
    wanted = self.querystring.get("guardrailIdentifier")
    shown = (
        list(guardrails.get(_guardrail_id(wanted[0]), {}).values())
        if wanted
        else [versions["DRAFT"] for versions in guardrails.values()]
    )
    summaries = [
        {
            "id": each["guardrailId"],
            "arn": each["guardrailArn"],
            "status": "READY",
            **{key: each[key] for key in ("name", "version", "createdAt", "updatedAt")},
        }
        for each in shown
    ]
    return json.dumps({"guardrails": summaries})


def delete_guardrail(self: BedrockResponse) -> str:
    versions = _versions(self)
    version = self.querystring.get("guardrailVersion")
    if version:
        versions.pop(version[0], None)
    else:
        _guardrails(self.current_account, self.region).pop(versions["DRAFT"]["guardrailId"])
    return "{}"


def _guardrails(account: str, region: str) -> dict[str, dict[str, dict[str, Any]]]:
    return vars(bedrock_backends[account][region]).setdefault("_bulwark_guardrails", {})


def _versions(response: BedrockResponse) -> dict[str, dict[str, Any]]:
    identifier = _guardrail_id(response.uri_match["guardrailIdentifier"])
    guardrails = _guardrails(response.current_account, response.region)
    if identifier not in guardrails:
        raise service_error("bedrock", "ResourceNotFoundException", f"The guardrail {identifier} does not exist.")
    return guardrails[identifier]


def _guardrail_id(identifier: str) -> str:
    found = _ARN.match(identifier)
    return found.group(1) if found else identifier


def _described(guardrail: Mapping[str, Any]) -> dict[str, Any]:
    """A guardrail as GetGuardrail tells it: the same policies under other names."""
    described = {key: value for key, value in guardrail.items() if key not in (*_FIELDS, "tags", "kmsKeyId")}
    for given, (told, members) in _FIELDS.items():
        if given in guardrail:
            described[told] = {new: guardrail[given][old] for old, new in members.items() if old in guardrail[given]}
    return {**described, "status": "READY"}


def _some(guardrail: Mapping[str, Any], *names: str) -> str:
    return json.dumps({name: guardrail[name] for name in names})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
