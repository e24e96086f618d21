"""CloudFormation's intrinsic functions, evaluated against what has been created so far."""

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bulwark.local.stack.template import TemplateError

NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{([^}]+)\}")

Lookup = Callable[[str], Any]


class Intrinsics:
    """Resolves a template's values; `ref` and `attribute` say what a name stands for."""

    def __init__(
        self,
        template: Mapping[str, Any],
        ref: Lookup,
        attribute: Callable[[str, str], Any],
        exports: Mapping[str, Any],
        region: str,
    ) -> None:
        self._mappings = template.get("Mappings") or {}
        self._conditions = template.get("Conditions") or {}
        self._ref, self._attribute, self._exports, self._region = ref, attribute, exports, region
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Condition": self.condition,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": lambda a: str(a[0]).join(str(each) for each in self.resolve(a[1])),
            "Fn::Select": lambda a: self.resolve(a[1])[int(self.resolve(a[0]))],
            "Fn::Split": lambda a: self.resolve(a[1]).split(a[0]),
            "Fn::If": lambda a: self.resolve(a[1] if self.condition(a[0]) else a[2]),
            "Fn::Equals": lambda a: _as_text(self.resolve(a[0])) == _as_text(self.resolve(a[1])),
            "Fn::And": lambda a: all(self.resolve(each) for each in a),
            "Fn::Or": lambda a: any(self.resolve(each) for each in a),
            "Fn::Not": lambda a: not self.resolve(a[0]),
            "Fn::Contains": lambda a: self.resolve(a[1]) in self.resolve(a[0]),
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": lambda a: base64.b64encode(self.resolve(a).encode()).decode(),
            "Fn::Cidr": self._cidr,
            "Fn::GetAZs": lambda a: [f"{self.resolve(a) or self._region}{zone}" for zone in "abc"],
            "Fn::ImportValue": lambda a: self._exports[self.resolve(a)],
            "Fn::ToJsonString": lambda a: json.dumps(self.resolve(a), separators=(",", ":")),
            "Fn::Length": lambda a: len(self.resolve(a)),
        }

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic replaced and every AWS::NoValue left out."""
        if isinstance(value, list):
            return [each for each in map(self.resolve, value) if each is not NO_VALUE]
        if isinstance(value, str) and "{{resolve:" in value:
            raise TemplateError(f"dynamic references are not supported: {value}")
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in self._functions and not (name == "Condition" and not isinstance(argument, str)):
                return self._functions[name](argument)
            if name.startswith("Fn::"):
                raise TemplateError(f"{name} is not supported")
        resolved = ((key, self.resolve(each)) for key, each in value.items())
        return {key: each for key, each in resolved if each is not NO_VALUE}

    def condition(self, name: str | dict[str, Any]) -> bool:
        if isinstance(name, str):
            if name not in self._conditions:
                raise TemplateError(f"there is no condition {name}")
            return bool(self.resolve(self._conditions[name]))
        return bool(self.resolve(name))

    def _get_att(self, argument: Any) -> Any:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._attribute(name, self.resolve(attribute))

    def _sub(self, argument: Any) -> str:
        text, local = (argument, {}) if isinstance(argument, str) else (argument[0], self.resolve(argument[1]))

        def replace(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in local:
                return _as_text(local[name])
            return _as_text(self._attribute(*name.split(".", 1)) if "." in name else self._ref(name))

        return _VARIABLE.sub(replace, text)

    def _find_in_map(self, argument: list[Any]) -> Any:
        name, first, second = (self.resolve(each) for each in argument[:3])
        try:
            return self.resolve(self._mappings[name][first][second])
        except KeyError:
            if len(argument) > 3 and "DefaultValue" in argument[3]:
                return self.resolve(argument[3]["DefaultValue"])
            raise TemplateError(f"no entry {name}.{first}.{second} in Mappings") from None

    def _cidr(self, argument: list[Any]) -> list[str]:
        block, count, bits = self.resolve(argument[0]), int(self.resolve(argument[1])), int(self.resolve(argument[2]))
        network = ipaddress.ip_network(block)
        subnets = network.subnets(new_prefix=network.max_prefixlen - bits)
        return [str(next(subnets)) for _ in range(count)]


def references(value: Any, names: frozenset[str]) -> Iterator[str]:
    """Every resource among names that a value refers to."""
    if isinstance(value, list):
        for each in value:
            yield from references(each, names)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key == "Ref" and isinstance(each, str):
                yield from {each} & names
            elif key == "Fn::GetAtt":
                yield from {each.split(".")[0] if isinstance(each, str) else each[0]} & names
            elif key == "Fn::Sub":
                text = each if isinstance(each, str) else each[0]
                yield from {match.split(".")[0].strip() for match in _VARIABLE.findall(text)} & names
                if isinstance(each, list):
                    yield from references(each[1], names)
            elif key == "DependsOn":
                yield from {each} & names if isinstance(each, str) else set(each) & names
            else:
                yield from references(each, names)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
