"""Titan text embeddings, stood in for by hashed n-grams: near texts share n-grams, and so have near vectors.

Deterministic and free; it knows spelling, not meaning, and its vectors are of no use to a real Titan index.
"""

import math
import zlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from bulwark.local.bedrock.errors import invalid
from bulwark.local.bedrock.lexical import count_tokens, words

LABEL = "hashed n-grams, not Titan's embedding"
DIMENSIONS = (1024, 512, 256)
MAX_CHARACTERS = 50_000


def titan_embedding(body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of amazon.titan-embed-text-v2:0 to a request body."""
    unknown = set(body) - {"inputText", "dimensions", "normalize", "embeddingTypes"}
    if unknown:
        raise invalid(f"Malformed input request: extraneous key [{min(unknown)}] is not permitted")
    text, dimensions = body.get("inputText"), body.get("dimensions", DIMENSIONS[0])
    if not isinstance(text, str) or not text:
        raise invalid("Malformed input request: expected minLength: 1, actual: 0, please reformat your input.")
    if len(text) > MAX_CHARACTERS:
        raise invalid(f"Malformed input request: expected maxLength: {MAX_CHARACTERS}, actual: {len(text)}")
    if dimensions not in DIMENSIONS:
        raise invalid(f"Malformed input request: {dimensions} is not a valid enum value of dimensions")
    vector = embed(text, dimensions)
    if not body.get("normalize", True):
        vector = [value * math.sqrt(len(words(text)) or 1) for value in vector]
    return {
        "embedding": vector,
        "embeddingsByType": {"float": vector},
        "inputTextTokenCount": count_tokens(text),
    }


def embed(text: str, dimensions: int = DIMENSIONS[0]) -> list[float]:
    """A vector of length one from a text's words, word pairs and letter triples."""
    vector = [0.0] * dimensions
    said = words(text) or [text]
    for word in said:
        _add(vector, f"w:{word}", 1.0)
        for start in range(len(word) - 2):
            _add(vector, f"c:{word[start : start + 3]}", 0.4)
    for pair in pairwise(said):
        _add(vector, f"p:{pair}", 0.5)
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


def _add(vector: list[float], feature: str, weight: float) -> None:
    hashed = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
    vector[(hashed >> 1) % len(vector)] += weight if hashed & 1 else -weight
