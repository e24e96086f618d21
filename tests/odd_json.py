"""What somebody may send instead of JSON: bytes, values, depths, numbers and encodings, the same for each seed."""

import json
import random
from collections.abc import Iterator

_DEPTHS = (7, 8, 9, 50, 98, 99, 100, 101, 900, 3_000, 5_000)
_NUMBERS = ("1e400", "-1e400", "NaN", "Infinity", "1" * 5_000, "0.1e-999", "-0", "1e5")
_TEXTS = ('"\\ud83d"', '"\\u0007"', '"\u202e"', '""', '"[{"', '"' + "x" * 500 + '"', "null", "true", "{}", "[]")
_ENCODINGS = ("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1")


def odd_bodies(seed: int, count: int, valid: dict) -> Iterator[bytes]:
    """So many bodies, some of them the valid one with something odd in it, some of them anything."""
    chance = random.Random(seed)
    for _ in range(count):
        yield chance.choice((_anything, _cut, _changed, _changed, _changed))(chance, valid)


def _anything(chance: random.Random, _: dict) -> bytes:
    pieces = (b"[", b"{", b"]", b"}", b'"', b"\\", b",", b":", b"1e999", b"NaN", b"null", b"\xff\xfe", b"\xef\xbb\xbf")
    return b"".join(chance.choice(pieces) for _ in range(chance.randrange(20))) + chance.randbytes(chance.randrange(20))


def _cut(chance: random.Random, valid: dict) -> bytes:
    whole = json.dumps(valid).encode()
    start, end = sorted(chance.sample(range(len(whole)), 2))
    return whole[start:end]


def _changed(chance: random.Random, valid: dict) -> bytes:
    """The valid body with one of its fields, or a new one, odd; or the odd thing alone."""
    name = chance.choice((*valid, "metadata", "passages", "history"))
    shown = dict.fromkeys(valid) | valid | {name: "<odd>"}
    odd = _odd(chance)
    text = json.dumps(shown, ensure_ascii=False).replace('"<odd>"', odd) if chance.random() < 0.9 else odd
    return text.encode(chance.choice(_ENCODINGS), "backslashreplace")


def _odd(chance: random.Random) -> str:
    kind = chance.randrange(3)
    if kind == 0:
        opened = chance.choice(("[", '{"a":', '[{"a":'))
        depth = chance.choice(_DEPTHS)
        closed = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[opened]
        return opened * depth + "1" + closed * depth
    return chance.choice(_NUMBERS if kind == 1 else _TEXTS)
