"""Recorded answers, replayed for the question they were given to.

Only the question and the answer of a line are read. A file may hold labels (HaluEval says which answers are
wrong); they are dropped here, so that nothing in the system can lean on them.
"""

from pathlib import Path

from bulwark.documents import Unreadable, read_lines
from bulwark.local.bedrock.lexical import normalised

_FIELDS = (("question", "answer"), ("query", "answer"), ("user_query", "chatgpt_response"))


class RecordedAnswers:
    def __init__(self, path: str | Path | None) -> None:
        self._answers: dict[str, str] = {}
        if path is None:
            return
        for number, line in read_lines(Path(path)):
            question, answer = _question_and_answer(line, Path(path), number)
            self._answers.setdefault(normalised(question), answer.strip())

    def __len__(self) -> int:
        return len(self._answers)

    def answer(self, query: str) -> str | None:
        """The recorded answer to a query, or to the one line of it that was recorded as a question."""
        found = self._answers.get(normalised(query))
        if found is not None or not self._answers:
            return found
        for line in query.splitlines():
            asked = normalised(line)
            for candidate in (asked, asked.partition(": ")[2]):
                if candidate in self._answers:
                    return self._answers[candidate]
        return None


def _question_and_answer(line: object, path: Path, number: int) -> tuple[str, str]:
    for question, answer in _FIELDS:
        if isinstance(line, dict) and isinstance(line.get(question), str) and isinstance(line.get(answer), str):
            return line[question], line[answer]
    raise Unreadable(f"{path}, line {number}, is no recorded answer: question, query or user_query, and its answer.")
