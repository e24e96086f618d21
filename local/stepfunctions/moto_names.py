"""The only way the bridges reach into moto: a name that is gone stops the start, and says so."""

from importlib import import_module
from importlib.metadata import version
from typing import Any

_originals: dict[str, Any] = {}


class MotoChanged(RuntimeError):
    """moto no longer has a name that a bridge stands on."""


def replace(target: str, replacement: Any) -> Any:
    """Put a replacement in place of moto's "module:Class.name" and return what stood there at first."""
    owner, name = _owner_of(target)
    _originals.setdefault(target, getattr(owner, name))
    setattr(owner, name, replacement)
    return _originals[target]


def original(target: str) -> Any:
    """What moto itself has at "module:Class.name"."""
    owner, name = _owner_of(target)
    return _originals.get(target, getattr(owner, name))


def _owner_of(target: str) -> tuple[Any, str]:
    module, _, path = target.partition(":")
    *parents, name = path.split(".")
    try:
        owner = import_module(module)
        for parent in parents:
            owner = getattr(owner, parent)
        getattr(owner, name)
    except (ImportError, AttributeError) as error:
        raise MotoChanged(
            f"moto {version('moto')} has no {target} ({error}); the bridges in local/stepfunctions are "
            "written for moto 5.2.5: see in the module that names it whether moto has closed the gap"
        ) from error
    return owner, name
