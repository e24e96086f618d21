"""Joins the fragments beside it into template.yaml, as text: comments and order stay, and no name stands twice."""

import argparse
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
TEMPLATE = FOLDER.parent / "template.yaml"
# In the order an event travels. A box's own fragment, box.yaml, comes before its parts, box_part.yaml.
BOXES = ("root", "inference", "reviews", "incidents", "governance", "guardrails", "api", "desk", "stores", "policy")
FIRST_LINE = "# Made from template/ by `make template`: change a fragment there, and nothing here."


class NotJoined(ValueError):
    """The fragments do not make one template."""


def box_of(path: Path) -> str:
    return path.stem.partition("_")[0]


def fragments(folder: Path = FOLDER) -> list[Path]:
    paths = sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    for path in paths:
        if box_of(path) not in BOXES:
            raise NotJoined(f"{path.name} is of no box: call it box.yaml or box_part.yaml, and add a new box to BOXES")
    return sorted(paths, key=lambda path: BOXES.index(box_of(path)))


def sections(path: Path) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """What stands above a fragment's first section; and each line that opens one, with those below it."""
    above: list[str] = []
    found: list[tuple[str, list[str]]] = []
    for line in path.read_text(encoding="utf-8").strip().splitlines():
        if re.match(r"[^\s#]", line):
            found.append((line, []))
        else:
            (found[-1][1] if found else above).append(line)
    return [*(f"  {line}" for line in above if line), ""], found


def names(opening: str, lines: list[str]) -> list[str]:
    """What a section names, such as "Resources.EventBus"; one that has its value on its line names itself."""
    section, _, value = opening.partition(":")
    if value.strip():
        return [section]
    return [f"{section}.{found[1]}" for line in lines if (found := re.match(r"""  ["']?([^\s#"':][^"':]*)""", line))]


def joined(folder: Path = FOLDER) -> str:
    """The template that the fragments make, section by section."""
    taken: dict[str, str] = {}
    texts: dict[str, list[str]] = {}
    for path in fragments(folder):
        above, found = sections(path)
        for opening, lines in found:
            for name in names(opening, lines):
                if name in taken:
                    raise NotJoined(f"{name} stands in {taken[name]} and in {path.name}: one of them has to go")
                taken[name] = path.name
            section, _, value = opening.partition(":")
            if section not in texts:
                texts[section] = [opening]
            if not value.strip():
                lines, above = [f"  # --- template/{path.name}", *above, *lines], []
            texts[section] += ["\n".join(lines).rstrip()]
    bodies = ["\n".join([opening, "\n\n".join(rest)]).rstrip() for opening, *rest in texts.values()]
    return "\n\n".join([FIRST_LINE, *bodies]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if something is to be written")
    check = parser.parse_args().check
    try:
        text = joined()
    except NotJoined as error:
        print(error, file=sys.stderr)
        return 1
    if not check:
        TEMPLATE.write_text(text, encoding="utf-8")
    elif TEMPLATE.read_text(encoding="utf-8") != text:
        print("template.yaml is not what template/ makes: change the fragment, then `make template`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
