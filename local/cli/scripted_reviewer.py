"""A reviewer who knows the labels: decides on every held answer through the HTTP API, as a person would."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from local.cli.questions import Question
from local.cli.reviews import list_reviews
from local.cli.target import Api

HANDS = 4
EDITS = 5
_PAGE = 100


class ScriptedReviewer:
    """Approves right answers, corrects a few wrong ones where a correction is at hand, rejects the others."""

    def __init__(self, api: Api, labels: Mapping[str, Question], edits: int = EDITS):
        self.decisions: Counter[str] = Counter()
        self.problems: list[str] = []
        self._api, self._labels, self._edits = api, labels, edits
        self._lock = threading.Lock()

    def decide_all(self, expected: int, patience: float, on_decision: Callable[[str], None]) -> None:
        """Decide on reviews as they open: so many, or until none has opened for `patience` seconds."""
        seen: set[str] = set()
        last_news = time.monotonic()
        with ThreadPoolExecutor(max_workers=HANDS) as hands:
            while len(seen) < expected and time.monotonic() - last_news < patience:
                opened = [one["review_id"] for one in list_reviews(self._api, _PAGE) if one["review_id"] not in seen]
                for decision in hands.map(self._decide, opened):
                    on_decision(decision)
                    last_news = time.monotonic()
                seen.update(opened)
                if not opened:
                    time.sleep(0.2)

    def _decide(self, review_id: str) -> str:
        path = f"/reviews/{quote(review_id, safe='')}"
        review = self._api.expect("GET", path)
        body = self._decision_on(review) | {"draft_digest": review["draft_digest"]}
        status, answer = self._api.call("POST", f"{path}/decision", body)
        with self._lock:
            if status != 200:
                self.problems.append(f"{review_id}: {answer.get('error', status)}")
                return "FAILED"
            self.decisions[body["decision"]] += 1
        return body["decision"]

    def _decision_on(self, review: dict) -> dict:
        question = self._labels.get(review["request_id"])
        if question is not None and question.acceptable:
            return {"decision": "APPROVE"}
        with self._lock:
            if question is not None and question.correction and self._edits:
                self._edits -= 1
                return {
                    "decision": "EDIT",
                    "answer": question.correction,
                    "comment": "the wrong part is taken out",
                }
        return {"decision": "REJECT", "reason_code": "WRONG" if question else "OTHER"}
