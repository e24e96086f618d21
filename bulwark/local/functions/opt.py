"""/opt: a function's layers laid over one another, later ones on top, as links in a directory of the cloud's own."""

import os
import threading
from contextlib import ExitStack
from pathlib import Path

from bulwark.local import owned


class Opt:
    """Makes a directory for each combination of layers, and removes them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owned = ExitStack()
        self._root: Path | None = None
        self._made: dict[tuple[Path, ...], Path] = {}

    def directory(self, layers: tuple[Path, ...]) -> Path | None:
        """What stands for /opt under these layers; None without any."""
        if not layers:
            return None
        with self._lock:
            if layers not in self._made:
                if self._root is None:
                    self._root = self._owned.enter_context(owned.directory("opt"))
                directory = self._root / str(len(self._made))
                directory.mkdir()
                for layer in layers:
                    _lay(layer, directory)
                self._made[layers] = directory
            return self._made[layers]

    def remove(self) -> None:
        with self._lock:
            self._owned.close()
            self._root, self._made = None, {}


def _lay(layer: Path, onto: Path) -> None:
    for entry in os.scandir(layer):
        place = onto / entry.name
        below = Path(entry.path)
        if entry.is_dir() and place.is_dir():
            if place.is_symlink():
                beneath = place.resolve()
                place.unlink()
                place.mkdir()
                _lay(beneath, place)
            _lay(below, place)
            continue
        if place.is_symlink():
            place.unlink()
        place.symlink_to(below)
