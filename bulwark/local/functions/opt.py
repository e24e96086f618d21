"""/opt: a function's layers laid over one another, later ones on top, as links in a directory of the cloud's own."""

import os
import shutil
import tempfile
import threading
from pathlib import Path


class Opt:
    """Makes a directory for each combination of layers, and removes them all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: Path | None = None
        self._made: dict[tuple[Path, ...], Path] = {}

    def directory(self, layers: tuple[Path, ...]) -> Path | None:
        """What stands for /opt under these layers; None without any."""
        if not layers:
            return None
        with self._lock:
            if layers not in self._made:
                if self._root is None:
                    self._root = Path(tempfile.mkdtemp(prefix="bulwark-opt-"))
                directory = self._root / str(len(self._made))
                directory.mkdir()
                for layer in layers:
                    _lay(layer, directory)
                self._made[layers] = directory
            return self._made[layers]

    def remove(self) -> None:
        with self._lock:
            if self._root is not None:
                shutil.rmtree(self._root, ignore_errors=True)
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
