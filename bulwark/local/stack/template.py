"""Reads a SAM template from disk and translates it, with local directories in place of uploaded packages."""

from pathlib import Path
from typing import Any

import yaml

from bulwark.local import translation

# The translator wants uploads in S3. This bucket stands for the disk: its keys are absolute paths.
DISK = "disk"

_PACKAGES = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
    "AWS::StepFunctions::StateMachine": "DefinitionS3Location",
}
_TEMPLATES = {"AWS::Serverless::Application": "Location", "AWS::CloudFormation::Stack": "TemplateURL"}


class TemplateError(ValueError):
    """The template asks for something that the embedded AWS cannot do."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with CloudFormation's tags, and dates left as the strings they are in a template."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _intrinsic(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if tag == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _intrinsic)


def read(path: Path) -> dict[str, Any]:
    """A YAML or JSON file with CloudFormation's short tags."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)


def load(path: Path, parameters: dict[str, Any]) -> dict[str, Any]:
    """The template at path, SAM already translated to CloudFormation."""
    body = read(path)
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), dict):
        raise TemplateError(f"{path} has no Resources")
    directory = path.resolve().parent
    body = _with_includes(body, directory)
    _point_at_disk(body, directory)
    if "AWS::Serverless-2016-10-31" not in _transforms(body):
        return body
    return translation.translated(body, parameters)


def _transforms(body: dict[str, Any]) -> list[str]:
    transform = body.get("Transform") or []
    return [transform] if isinstance(transform, str) else transform


def _point_at_disk(body: dict[str, Any], directory: Path) -> None:
    for kind, where in _PACKAGES.items():
        shared = (body.get("Globals") or {}).get(kind.rpartition("::")[2]) or {}
        # What sam build wrote gives each resource a package of its own and leaves this one behind.
        if isinstance(uri := shared.get(where), str) and not (directory / uri).exists():
            del shared[where]
        _to_disk(shared, where, directory)
    for resource in body["Resources"].values():
        properties = resource.setdefault("Properties", {}) or {}
        if where := _PACKAGES.get(resource["Type"]):
            _to_disk(properties, where, directory)
        elif isinstance(properties.get(where := _TEMPLATES.get(resource["Type"], "")), str):
            properties[where] = str(directory / properties[where])


def _to_disk(properties: dict[str, Any], where: str, directory: Path) -> None:
    if isinstance(uri := properties.get(where), str):
        local = (directory / uri).resolve()
        if not local.exists():
            raise TemplateError(f"{where} {uri} does not exist: {local}")
        properties[where] = {"Bucket": DISK, "Key": str(local)}


def _with_includes(value: Any, directory: Path) -> Any:
    """Replace AWS::Include by the file it names."""
    if isinstance(value, list):
        return [_with_includes(each, directory) for each in value]
    if not isinstance(value, dict):
        return value
    include = value.get("Fn::Transform")
    if isinstance(include, dict) and include.get("Name") == "AWS::Include":
        included = read(directory / include["Parameters"]["Location"])
        rest = {key: each for key, each in value.items() if key != "Fn::Transform"}
        return _with_includes({**included, **rest}, directory)
    return {key: _with_includes(each, directory) for key, each in value.items()}
