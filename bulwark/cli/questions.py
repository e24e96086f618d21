"""Files of requests: events to send as they are, and recorded questions with their answers and labels.

A label says whether an answer is acceptable. The scripted reviewer and the scorer read it and nobody else:
what is sent is the question, and what the emulator replays is the question with its answer.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from bulwark.cli.exits import Exit, Problem
from bulwark.documents import read_lines
from bulwark.rules import ROOT

OWN_QUESTIONS = ROOT / "events" / "questions" / "general.jsonl"
HALUEVAL = ROOT.parent / "shared" / "data" / "halueval" / "general.jsonl"


@dataclass(frozen=True)
class Question:
    """A recorded question: the request it makes, the answer it got, and whether that answer is acceptable."""

    detail: dict
    answer: str
    acceptable: bool
    correction: str | None = field(default=None, repr=False)

    @property
    def request_id(self) -> str:
        return self.detail["request_id"]


def read_details(path: Path) -> list[dict]:
    """What each line of a file asks for: an event's detail, or the request of a recorded question."""
    details = []
    for number, line in read_lines(path):
        if question := read_question(line):
            details.append(question.detail)
        elif isinstance(line, dict) and isinstance(line.get("detail"), dict):
            details.append(line["detail"])
        elif isinstance(line, dict):
            details.append(line)
        else:
            raise Problem(f"{path}, line {number}: a request is a JSON object.", code=Exit.USAGE)
    if not details:
        raise Problem(f"{path} holds no request.", code=Exit.USAGE)
    return details


def read_questions(path: Path, most: int) -> list[Question]:
    """At most so many recorded questions, spread evenly over the file."""
    questions = [question for _, line in read_lines(path) if (question := read_question(line))]
    count = min(most, len(questions))
    return [questions[index * len(questions) // count] for index in range(count)]


def read_question(line: object) -> Question | None:
    """A line of our own questions, or of HaluEval's; None if it is neither."""
    if not isinstance(line, dict):
        return None
    if {"query", "answer", "acceptable"} <= set(line):
        labels = ("answer", "acceptable", "correction")
        detail = {name: value for name, value in line.items() if name not in labels}
        return Question(detail, line["answer"], line["acceptable"], line.get("correction"))
    if {"ID", "user_query", "chatgpt_response", "hallucination"} <= set(line):
        detail = {
            "request_id": f"halueval-{line['ID']}",
            "use_case": "general_question",
            "query": line["user_query"],
        }
        answer = line["chatgpt_response"]
        acceptable = line["hallucination"] == "no"
        return Question(detail, answer, acceptable, None if acceptable else _without(answer, line))
    return None


def write_replay(questions: list[Question], path: Path) -> None:
    """What the emulator replays: questions and answers, no labels."""
    with path.open("w", encoding="utf-8") as file:
        for question in questions:
            pair = {"question": question.detail["query"], "answer": question.answer}
            file.write(json.dumps(pair, ensure_ascii=False) + "\n")


def _without(answer: str, line: dict) -> str | None:
    """The answer without what its judges marked as wrong, where enough is left of it to be one."""
    left = answer
    for span in line.get("hallucination_spans", []):
        for piece in span.split("\n"):
            left = left.replace(piece, "") if piece.strip() else left
    left = "\n".join(part.rstrip() for part in left.splitlines() if part.strip())
    return left if left != answer and len(left) >= len(answer) / 2 else None
