"""desk/dom.js: the pages spell out whatever a terminal does, and what neither shows is one set."""

import re
import sys

from machines import ROOT

from domain.characters import visible


def _unseen() -> re.Pattern[str]:
    """The pages' own set of characters, as Python writes it."""
    [written] = re.findall(r"const UNSEEN =\s*/\(\[(.+?)\]\|", (ROOT / "desk" / "dom.js").read_text())
    return re.compile("[" + re.sub(r"\\u\{([0-9a-f]+)\}", lambda code: f"\\U{int(code[1], 16):08x}", written) + "]")


def test_the_pages_spell_out_what_a_terminal_does():
    unseen = _unseen()
    hidden = {chr(code) for code in range(sys.maxunicode) if visible(chr(code)) != chr(code)}

    # Halves of pairs are \p{Cs} there.
    assert len(hidden) > 2_000
    assert [each for each in sorted(hidden) if not unseen.match(each) and not "\ud800" <= each <= "\udfff"] == []
