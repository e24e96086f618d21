"""Gap of moto 5.2: it works out again for each request what never changes.

Bridged: the methods of a response class, the names under which a result may hold a member, the addresses and the
regions of a service are found once; a copy of a value copies, by hand, what a value is made of; an update's tree is
walked once for what concerns its root. Nothing answers otherwise than before. moto has closed the gap when a profile
of a soak shows none of the names replaced here among the first fifty.
"""

import copy
import itertools
import json
import math
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from botocore.loaders import Loader
from botocore.session import Session
from joserfc import jwk
from joserfc.util import base64_to_int, int_to_base64
from moto.core import responses
from moto.core.base_backend import BaseBackend
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node
from moto.kms.utils import generate_private_key

from bulwark.local.moto_names import replace

_SETS = {"SS", "NS", "BS"}


def install() -> None:
    """Bridge it until the cloud stops."""
    replace("moto.core.responses:method_names_from_class", lru_cache(responses.method_names_from_class))
    replace("moto.core.base_backend:BaseBackend.urls", property(lambda self: _addresses(type(self), self)))
    # Every user pool signs with the one key that moto brings, which takes a while to be read.
    replace("moto.cognitoidp.models:jwk", SimpleNamespace(RSAKey=SimpleNamespace(import_key=_imported_key)))
    # moto asks by service, for which botocore reads the service's whole description, EC2's three times.
    replace("botocore.session:Session.get_available_regions", _regions)
    replace("botocore.loaders:Loader.list_available_services", _services)
    replace("moto.core.serialize:XFormedAttributePicker.get_possible_keys", _possible_keys)
    replace("moto.dynamodb.models.dynamo_type:DynamoType.__deepcopy__", copied_value)
    replace("moto.kms.models:generate_private_key", _private_key)
    validators = "moto.dynamodb.parsing.validators"
    # Whatever a nested part of an expression repeats or overlaps, its root does.
    replace(f"{validators}:ActionCountValidator.traverse", lambda self, node: self.verify_action_counts(node))
    replace(
        f"{validators}:OverlappingPathsValidator.traverse", lambda self, node: self.check_for_overlapping_paths(node)
    )
    replace("moto.dynamodb.parsing.ast_nodes:DepthFirstTraverser.traverse_node_recursively", _traverse)
    # A name that moto's class does not have: there is nothing to replace.
    Node.__deepcopy__ = _copied_node


_known_addresses: dict[type, dict[str, Any]] = {}
_find_addresses = BaseBackend.urls.fget


def _imported_key(key: Any) -> jwk.RSAKey:
    return _read_key(json.dumps(key))


@lru_cache
def _read_key(text: str) -> jwk.RSAKey:
    """moto's key comes without its primes, which take half a second to be found as cryptography looks for them."""
    key = json.loads(text)
    if "d" in key and "p" not in key:
        d = base64_to_int(key["d"])
        p, q = _primes(base64_to_int(key["n"]), base64_to_int(key["e"]), d)
        parts = {"p": p, "q": q, "dp": d % (p - 1), "dq": d % (q - 1), "qi": pow(q, -1, p)}
        key |= {name: int_to_base64(value) for name, value in parts.items()}
    return jwk.RSAKey.import_key(key)


def _primes(n: int, e: int, d: int) -> tuple[int, int]:
    """The primes of a key (Boneh 1999, fact 1): a root of 1 that is neither 1 nor -1 shares one of them with n."""
    odd, twos = e * d - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in itertools.count(2):
        root = pow(base, odd, n)
        for _ in range(twos):
            square = root * root % n
            if square == 1 and root not in (1, n - 1):
                p = math.gcd(root - 1, n)
                return max(p, n // p), min(p, n // p)
            root = square
    raise AssertionError("unreachable")


def _addresses(kind: type, backend: BaseBackend) -> dict[str, Any]:
    if kind not in _known_addresses:
        _known_addresses[kind] = _find_addresses(backend)
    return _known_addresses[kind]


_find_regions = Session.get_available_regions
_find_services = Loader.list_available_services
_known_regions: dict[str, list[str]] = {}
_known_services: dict[tuple[str, ...], list[str]] = {}


def _regions(self: Session, service_name: str, partition_name: str = "aws", *_: Any, **__: Any) -> list[str]:
    """Every region of a partition, whether the service is in it or not: nothing here asks where a service is."""
    if partition_name not in _known_regions:
        _known_regions[partition_name] = _find_regions(self, "dynamodb", partition_name)
    return list(_known_regions[partition_name])


def _services(self: Loader, type_name: str) -> list[str]:
    known = (type_name, *self.search_paths)
    if known not in _known_services:
        _known_services[known] = _find_services(self, type_name)
    return list(_known_services[known])


def _private_key(key_spec: str) -> Any:
    """moto draws an RSA key, for a tenth of a second, for a symmetric key too, which never uses it."""
    return generate_private_key(key_spec) if key_spec.startswith(("RSA", "ECC", "SM2")) else None


_keys: dict[tuple[type, Any, str], tuple[str, ...]] = {}
_find_keys = XFormedAttributePicker.get_possible_keys


def _possible_keys(self: XFormedAttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
    known = (type(context.obj), context.shape, context.key)
    if known not in _keys:
        _keys[known] = tuple(dict.fromkeys(_find_keys(self, context)))
    return _keys[known]


def copied_value(self: DynamoType, memo: Any = None) -> DynamoType:
    result = object.__new__(DynamoType)
    kind, value = self.type, self.value
    if kind == "M":
        value = {key: copy.deepcopy(member) for key, member in value.items()}
    elif kind == "L":
        value = [copy.deepcopy(member) for member in value]
    elif kind in _SETS:
        value = list(value)
    result.type, result.value = kind, value
    return result


def _copied_node(self: Node, memo: Any = None) -> Node:
    result = object.__new__(type(self))
    result.__dict__ = dict(self.__dict__)
    if self.children is not None:
        result.children = [copy.deepcopy(child) for child in self.children]
        for child in result.children:
            if _is_node(type(child)):
                child.parent = result
    return result


@lru_cache
def _is_node(kind: type) -> bool:
    return issubclass(kind, Node)


def _traverse(self: DepthFirstTraverser, node: Any, child_id: int = -1) -> Any:
    kind = type(node)
    if not _is_node(kind):
        return node
    parent = node.parent
    for number, child in enumerate(node.children or ()):
        self.pre_processing_of_child(node, number)
        _traverse(self, child, number)
    known = self.__dict__.setdefault("_processors", {})
    if kind not in known:
        found = (process for wanted, process in self._processing_map().items() if issubclass(kind, wanted))
        known[kind] = next(found, None)
    if known[kind]:
        node = known[kind](node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node
