"""Reviewers who know the labels: they take what is most urgent through the HTTP API and decide, as people would."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from urllib.parse import quote

from bulwark.cli.questions import Question
from bulwark.cli.target import Api

EDITS = 5


class ScriptedReviewers:
    """Approve right answers, correct a few wrong ones where a correction is at hand, and reject the others.

    The lead takes only what the reviewers leave to a lead: whoever has judged a review may not decide between its
    judges, and there is no other lead.
    """

    def __init__(self, reviewers: Collection[Api], lead: Api, labels: Mapping[str, Question], edits: int = EDITS):
        self.decisions: Counter[str] = Counter()
        self.problems: list[str] = []
        self._labels, self._edits = labels, edits
        self._people = [*((reviewer, {}) for reviewer in reviewers), (lead, {"tier": "lead"})]
        self._lock = threading.Lock()
        self._last_news = 0.0
        self._in_hand, self._leave = 0, 0

    def work_off(
        self, waiting: Collection[str], patience: float, on_end: Callable[[str], None], leave: int = 0
    ) -> None:
        """Decide until all but `leave` of these requests' reviews have ended, or none comes for `patience` seconds."""
        left = set(waiting)
        self._leave, self._last_news = leave, time.monotonic()
        hands = [threading.Thread(target=self._work, args=(*one, left, patience, on_end)) for one in self._people]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join()

    def _work(
        self, api: Api, wanted: dict[str, str], left: set[str], patience: float, on_end: Callable[[str], None]
    ) -> None:
        while len(left) > self._leave and time.monotonic() - self._last_news < patience:
            if not self._take_up(api, wanted, left, on_end):
                time.sleep(0.2)

    def _take_up(self, api: Api, wanted: dict[str, str], left: set[str], on_end: Callable[[str], None]) -> bool:
        """Decide on what is most urgent; False where there is nothing, or as much in hand as is not to be left."""
        with self._lock:
            if len(left) - self._in_hand <= self._leave:
                return False
            self._in_hand += 1
        try:
            claimed = api.expect("POST", "/reviews/claim", wanted)["review"]
            if claimed is not None:
                self._note(claimed, *self._decide(api, claimed["review_id"]), left, on_end)
        finally:
            with self._lock:
                self._in_hand -= 1
        return claimed is not None

    def _note(
        self, claimed: dict, decision: str | None, answer: dict, left: set[str], on_end: Callable[[str], None]
    ) -> None:
        with self._lock:
            self._last_news = time.monotonic()
            if decision is None:
                self.problems.append(f"{claimed['review_id']}: {answer.get('error', answer)}")
            elif answer["next"] == "done" and claimed["request_id"] in left:
                left.remove(claimed["request_id"])
                self.decisions[decision] += 1
                on_end(decision)

    def _decide(self, api: Api, review_id: str) -> tuple[str | None, dict]:
        path = f"/reviews/{quote(review_id, safe='')}"
        review = api.expect("GET", path)
        body = self._decision_on(review) | {"shown_digest": review["shown_digest"]}
        status, answer = api.call("POST", f"{path}/decision", body)
        return (body["decision"] if status == 200 else None), answer

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
