"""A knowledge base over a folder of text and markdown files, searched by BM25."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulwark.local.bedrock.errors import invalid
from bulwark.local.bedrock.lexical import content_words, words

PASSAGE_CHARACTERS = 1_200
MAX_QUERY_CHARACTERS = 20_000
_K1, _B = 1.2, 0.75


@dataclass(frozen=True)
class Passage:
    text: str
    uri: str
    terms: Counter


class KnowledgeBase:
    """Passages of the documents in a folder; a first line `# title` stays with its passage."""

    def __init__(self, folder: str | Path | None) -> None:
        self._passages = list(_read(Path(folder))) if folder else []
        self._frequency = Counter(term for passage in self._passages for term in passage.terms)
        total = sum(passage.terms.total() for passage in self._passages)
        self._mean_length = total / len(self._passages) if self._passages else 1.0

    def __len__(self) -> int:
        return len(self._passages)

    def retrieve(self, query: str, number: int = 5) -> list[dict[str, Any]]:
        """The passages nearest to a query in Bedrock's form, scores falling from at most 1."""
        if not query.strip():
            raise invalid("The retrieval query is blank.")
        if len(query) > MAX_QUERY_CHARACTERS:
            raise invalid(f"The retrieval query is longer than {MAX_QUERY_CHARACTERS} characters.")
        terms = content_words(query) or set(words(query))
        best = sum(self._idf(term) * (_K1 + 1) for term in terms) or 1.0
        scored = [(self._score(terms, passage) / best, passage) for passage in self._passages]
        scored = sorted((each for each in scored if each[0] > 0), key=lambda each: (-each[0], each[1].uri))
        return [
            {
                "content": {"type": "TEXT", "text": passage.text},
                "location": {"type": "S3", "s3Location": {"uri": passage.uri}},
                "metadata": {"x-amz-bedrock-kb-source-uri": passage.uri},
                "score": round(min(1.0, score), 6),
            }
            for score, passage in scored[:number]
        ]

    def _idf(self, term: str) -> float:
        holding = self._frequency[term]
        return math.log(1 + (len(self._passages) - holding + 0.5) / (holding + 0.5))

    def _score(self, terms: set[str], passage: Passage) -> float:
        length = _K1 * (1 - _B + _B * passage.terms.total() / self._mean_length)
        return sum(
            self._idf(term) * passage.terms[term] * (_K1 + 1) / (passage.terms[term] + length)
            for term in terms
            if term in passage.terms
        )


def _read(folder: Path) -> list[Passage]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of documents at {folder}")
    passages = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".md", ".markdown", ".txt"):
            uri = f"s3://local-knowledge-base/{path.relative_to(folder).as_posix()}"
            passages += [Passage(text, uri, _terms(text)) for text in _split(path.read_text(encoding="utf-8"))]
    return passages


def _split(text: str) -> list[str]:
    """Paragraphs gathered up to a passage's size, a heading always with what follows it."""
    passages, current = [], ""
    for paragraph in filter(None, (part.strip() for part in re.split(r"\n\s*\n", text))):
        full = len(current) + len(paragraph) > PASSAGE_CHARACTERS
        starts_section = paragraph.startswith("#") and not _is_heading(current)
        if current and (full or starts_section):
            passages.append(current)
            current = ""
        current = f"{current}\n\n{paragraph}" if current else paragraph
    return [*passages, current] if current else passages


def _is_heading(text: str) -> bool:
    return bool(text) and all(line.startswith("#") for line in text.splitlines() if line.strip())


def _terms(text: str) -> Counter:
    stems = Counter()
    for word in words(text):
        stems.update(content_words(word))
    return stems
