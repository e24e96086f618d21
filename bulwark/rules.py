"""The functions' own rules, for the command and the embedded AWS: what they decide by is not written twice.

Whoever imports this may import any of them.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT / "functions") not in sys.path:
    sys.path.insert(0, str(ROOT / "functions"))

from domain.characters import cleaned, is_broken, visible  # noqa: E402
from domain.foreign_json import MAX_LEVELS, NotJson, is_deep, read_json, text_of  # noqa: E402

__all__ = ["MAX_LEVELS", "ROOT", "NotJson", "cleaned", "is_broken", "is_deep", "read_json", "text_of", "visible"]
