"""The one way the bridges change moto: every name is checked first, and put back when the cloud stops."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

MOTO_VERSION = "5.2.5"

_changed: list[Callable[[], None]] = []


class MotoChanged(RuntimeError):
    """moto no longer has a name that a bridge stands on."""


def require(*targets: str) -> None:
    """Stop the start when moto lacks one of the names "module:Class.name"."""
    for target in targets:
        _owner_of(target)


def replace(target: str, replacement: Any) -> Any:
    """Put a replacement in place of moto's "module:Class.name" and return what stood there."""
    owner, name = _owner_of(target)
    # An inherited name is put back by taking ours away; a static method must come back as one.
    own = vars(owner).get(name) if isinstance(owner, type) else getattr(owner, name)
    before = getattr(owner, name)
    setattr(owner, name, replacement)
    _changed.append(lambda: delattr(owner, name) if own is None else setattr(owner, name, own))
    return before


def put_back() -> None:
    """Undo every replacement, last first."""
    while _changed:
        _changed.pop()()


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
            f"moto {version('moto')} has no {target} ({error}). The embedded AWS is written for moto "
            f"{MOTO_VERSION}: pin that version, or see in the module that names it whether moto has closed the gap."
        ) from error
    return owner, name
