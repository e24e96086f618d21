"""What a stack's resources stand in besides moto: functions, layers, mappings, and servers with their addresses."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bulwark.local.events.mappings import EventSourceMappings
from bulwark.local.functions import AsynchronousInvocations, FunctionHost
from bulwark.local.json_web_tokens import Keys


class Served(Protocol):
    """What answers at `url` until `close`."""

    url: str

    def close(self) -> None: ...


@dataclass
class Surroundings:
    """Handed to the handlers of resources."""

    functions: FunctionHost
    asynchronous: AsynchronousInvocations
    mappings: EventSourceMappings
    keys: Keys
    invoke: Callable[[str, bytes], tuple[bytes, str | None]]
    layers: dict[str, Path] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    """The stack that has a name, by the type and the name, of what an account has once."""
    _addresses: dict[str, str] = field(default_factory=dict)
    _served: list[Served] = field(default_factory=list)

    def serve(self, address: str, served: Served) -> str:
        """Let what has an address on AWS be served here, as long as the cloud runs, and give its URL."""
        self._served.append(served)
        self._addresses[address] = served.url
        return served.url

    def localized(self, value: Any) -> Any:
        """A value in which every address of AWS that is served here is the one that it has here."""
        if not self._addresses:
            return value
        found = re.compile("|".join(map(re.escape, self._addresses)))

        def replaced(part: Any) -> Any:
            if isinstance(part, str):
                return found.sub(lambda match: self._addresses[match[0]], part)
            if isinstance(part, list):
                return [replaced(each) for each in part]
            if isinstance(part, dict):
                return {key: replaced(each) for key, each in part.items()}
            return part

        return replaced(value)

    def close(self) -> None:
        while self._served:
            self._served.pop().close()
