"""Event source mappings: a queue or a table's stream that invokes a function."""

from collections.abc import Callable
from typing import Any, Protocol

from bulwark.local.events.queue_source import QueueSource
from bulwark.local.events.stream_source import StreamSource
from bulwark.local.events.targets import Targets
from bulwark.local.functions.host import FunctionHost


class Source(Protocol):
    """A mapping at work."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class EventSourceMappings:
    """Every mapping; those of a stack begin to poll together, when it stands."""

    def __init__(
        self, host: FunctionHost, clients: Callable[[str], Any], targets: Targets, longest_window: float
    ) -> None:
        self._host, self._clients, self._targets = host, clients, targets
        self._longest_window = longest_window
        self._sources: list[Source] = []
        self._waiting: list[Source] = []

    def add(self, properties: dict[str, Any]) -> None:
        """Make a mapping known; a property that it cannot honour is refused."""
        service = properties["EventSourceArn"].split(":")[2]
        window = "MaximumBatchingWindowInSeconds"
        properties = {**properties, window: min(float(properties.get(window, 0)), self._longest_window)}
        if service == "sqs":
            source: Source = QueueSource(properties, self._host, self._clients)
        elif service == "dynamodb":
            source = StreamSource(properties, self._host, self._targets)
        else:
            raise NotImplementedError(f"no event source mapping of {properties['EventSourceArn']}")
        if str(properties.get("Enabled", True)).lower() != "false":
            self._waiting.append(source)

    def start(self) -> None:
        while self._waiting:
            source = self._waiting.pop(0)
            self._sources.append(source)
            source.start()

    def stop(self) -> None:
        for source in self._sources:
            source.stop()
