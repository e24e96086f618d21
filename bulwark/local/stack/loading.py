"""Creates a template's resources in order of need; a type or a property that is not known stops the start."""

import graphlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulwark.local.clients import ACCOUNT, REGION
from bulwark.local.stack import template as templates
from bulwark.local.stack.api_calls import UnsupportedProperty, call
from bulwark.local.stack.intrinsics import NO_VALUE, Intrinsics, references
from bulwark.local.stack.template import TemplateError

# Of these an account and Region has one of a name, which Ref gives, and a stack that brings another rolls back.
_UNIQUE = frozenset(
    {
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::Table",
        "AWS::Events::EventBus",
        "AWS::Events::EventBusPolicy",
        "AWS::Events::Rule",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SSM::Parameter",
        "AWS::Scheduler::Schedule",
        "AWS::StepFunctions::StateMachine",
    }
)


class UnsupportedResource(TemplateError):
    """A resource type that the embedded AWS does not know."""


@dataclass
class Created:
    """What Ref and GetAtt of a resource give."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Making:
    """A resource about to be created: its properties, resolved, and the hands to create it with."""

    stack: "Stack"
    logical_id: str
    properties: dict[str, Any]

    def take(self, name: str, default: Any = None) -> Any:
        """Remove a property and return it; what nobody takes must be known to the API."""
        return self.properties.pop(name, default)

    def without(self, *names: str) -> None:
        """Leave out properties that change nothing on one machine."""
        for name in names:
            self.properties.pop(name, None)

    def name(self, key: str, longest: int = 64) -> str:
        """The name given in the template, or one made as CloudFormation does, but the same at every start."""
        if key not in self.properties:
            self.properties[key] = self.generated_name(longest)
        return self.properties[key]

    def generated_name(self, longest: int = 64) -> str:
        plain = f"{self.stack.name}-{self.logical_id}"
        mark = hashlib.sha256(plain.encode()).hexdigest()[:12].upper()
        return f"{plain[: longest - 13]}-{mark}"

    def client(self, service: str) -> Any:
        return self.stack.clients(service)

    def call(self, service: str, operation: str, properties: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the API with the given properties, or with all that are left."""
        return call(self.client(service), operation, self.properties if properties is None else properties)

    def finish(self) -> None:
        if self.properties:
            raise UnsupportedProperty(", ".join(self.properties))


Handler = Callable[[Making], Created]


class Stack:
    """A loaded template: its resources by logical id, and its outputs."""

    def __init__(
        self,
        path: Path,
        name: str,
        clients: Callable[[str], Any],
        handlers: dict[str, Handler],
        surroundings: Any = None,
        parameters: dict[str, Any] | None = None,
        exports: dict[str, Any] | None = None,
    ) -> None:
        self.path, self.name, self.clients, self.surroundings = path, name, clients, surroundings
        self.resources: dict[str, Created] = {}
        self.types: dict[str, str] = {}
        self.nested: dict[str, Stack] = {}
        self.outputs: dict[str, Any] = {}
        self.exports = {} if exports is None else exports
        self.handlers = handlers
        self._pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": name,
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/local",
            "AWS::NotificationARNs": [],
            "AWS::NoValue": NO_VALUE,
        }
        self.parameters = _parameter_values(templates.read(path), parameters or {}, path)
        given = {key: value for key, value in self._pseudo.items() if isinstance(value, str)} | self.parameters
        self.template = templates.load(path, given)
        self._values = Intrinsics(self.template, self._ref, self.attribute, self.exports, REGION)

    def physical_id(self, logical_id: str) -> str:
        """What Ref gives; a resource of a nested stack is "Nested/Resource"."""
        return self._find(logical_id).physical_id

    def attribute(self, logical_id: str, name: str) -> Any:
        """What GetAtt gives."""
        attributes = self._find(logical_id).attributes
        if name not in attributes:
            kind = self.types.get(logical_id, "a resource")
            raise TemplateError(f"{logical_id} ({kind}) has no attribute {name}; it has {', '.join(attributes)}")
        return attributes[name]

    def logical_ids(self, kind: str) -> list[str]:
        """The resources of a type, such as "AWS::Lambda::Function"."""
        return [logical_id for logical_id, each in self.types.items() if each == kind]

    def create(self) -> None:
        """Create every resource whose condition holds, then the outputs; a rule that is not met stops it before."""
        for name, rule in (self.template.get("Rules") or {}).items():
            if self._values.condition(rule.get("RuleCondition", True)):
                self._check(name, rule["Assertions"])
        described = self.template["Resources"]
        unknown = sorted({each["Type"] for each in described.values()} - set(self.handlers))
        if unknown:
            where = [f"{each} ({what['Type']})" for each, what in described.items() if what["Type"] in unknown]
            raise UnsupportedResource(f"{self.path.name}: no handler for {', '.join(where)}; see local/stack/resources")
        wanted = {
            logical_id: resource
            for logical_id, resource in described.items()
            if "Condition" not in resource or self._values.condition(resource["Condition"])
        }
        for logical_id in self._in_order(wanted):
            self._create(logical_id, wanted[logical_id])
        for name, output in (self.template.get("Outputs") or {}).items():
            if "Condition" in output and not self._values.condition(output["Condition"]):
                continue
            self.outputs[name] = self._resolve(output["Value"])
            if "Export" in output:
                self.exports[self._values.resolve(output["Export"]["Name"])] = self.outputs[name]

    def _check(self, rule: str, assertions: list[dict[str, Any]]) -> None:
        for assertion in assertions:
            if not self._values.condition(assertion["Assert"]):
                raise TemplateError(f"{self.path.name}: {rule}: {assertion.get('AssertDescription', 'is not met')}")

    def _resolve(self, value: Any) -> Any:
        """A value with its intrinsics evaluated, and addresses of AWS that are served here as they are here."""
        resolved = self._values.resolve(value)
        return resolved if self.surroundings is None else self.surroundings.localized(resolved)

    def _in_order(self, resources: dict[str, Any]) -> list[str]:
        names = frozenset(resources)
        needs = {
            logical_id: set(references(resource, names)) - {logical_id} for logical_id, resource in resources.items()
        }
        try:
            return list(graphlib.TopologicalSorter(needs).static_order())
        except graphlib.CycleError as error:
            raise TemplateError(
                f"{self.path.name}: resources refer to one another: {' -> '.join(error.args[1])}"
            ) from None

    def _create(self, logical_id: str, resource: dict[str, Any]) -> None:
        kind = resource["Type"]
        self.types[logical_id] = kind
        try:
            making = Making(self, logical_id, self._resolve(resource.get("Properties") or {}))
            self.resources[logical_id] = self.handlers[kind](making)
            if kind in _UNIQUE and self.surroundings is not None:
                self._claim(kind, self.resources[logical_id].physical_id)
        except UnsupportedProperty as error:
            raise UnsupportedProperty(
                f"{self.path.name}: {logical_id} ({kind}): property {error} is not supported"
            ) from None
        except TemplateError as error:
            raise type(error)(f"{self.path.name}: {logical_id} ({kind}): {error}") from error
        except Exception as error:
            raise TemplateError(f"{self.path.name}: {logical_id} ({kind}): {type(error).__name__}: {error}") from error

    def _claim(self, kind: str, name: str) -> None:
        owner = self.surroundings.owners.setdefault((kind, name), self.name)
        if owner != self.name:
            raise TemplateError(
                f"{name} already exists, in stack {owner}: what an account and Region has once carries the stack's name"
            )

    def _ref(self, name: str) -> Any:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._find(name).physical_id

    def _find(self, logical_id: str) -> Created:
        nested, _, inner = logical_id.partition("/")
        if inner:
            return self.nested[nested]._find(inner)
        if logical_id not in self.resources:
            raise TemplateError(f"there is no resource or parameter {logical_id} (or its condition does not hold)")
        return self.resources[logical_id]


def _parameter_values(template: dict[str, Any], given: dict[str, Any], path: Path) -> dict[str, Any]:
    declared = template.get("Parameters") or {}
    if unknown := set(given) - set(declared):
        raise TemplateError(f"{path.name} has no parameter {', '.join(sorted(unknown))}")
    values = {}
    for name, parameter in declared.items():
        value = given.get(name, parameter.get("Default"))
        if value is None:
            raise TemplateError(f"{path.name}: parameter {name} needs a value")
        if "AllowedValues" in parameter and value not in parameter["AllowedValues"]:
            raise TemplateError(
                f"{path.name}: parameter {name} must be one of {parameter['AllowedValues']}, not {value}"
            )
        kind = parameter.get("Type", "String")
        as_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        values[name] = str(value).split(",") if as_list and not isinstance(value, list) else value
    return values
