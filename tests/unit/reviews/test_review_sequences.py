"""domain/reviews: whatever people, workflow and clock do, and in whatever order, a review keeps its promises."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import lead, reviewer, saying

from adapters.clock import iso
from domain.api.callers import Caller
from domain.reviews.claims import claim, hand_over, is_claimed, release
from domain.reviews.decisions import Decision
from domain.reviews.endings import lapse
from domain.reviews.notices import notice_due
from domain.reviews.review import Change, ReviewConflict, ReviewStatus, Tier
from domain.reviews.tiers import MovedOn, open_tier, queue_name
from domain.reviews.verdicts import VERDICTS, give_verdict, opinions_for, shown_digest

NOW = 1_800_000_000.0
OWNER = reviewer("user-17")
NARROW = reviewer("narrow", "use-case-product_support")
FOREIGN = Caller.from_groups("foreign", "foreign", ["reviewers", "leads", "tenant-globex"])
OPERATOR = Caller.from_groups("operator", "operator", ["operators", "tenant-acme"])
# Who can get at a review over HTTP: the API lets nobody else come so far.
PEOPLE = [reviewer("rev-1"), reviewer("rev-2"), reviewer("rev-3"), lead("lead-1"), lead("lead-2"), OWNER]
ORDER = list(Tier)
FINAL = (ReviewStatus.DECIDED, ReviewStatus.LAPSED)
OUTCOME = ("status", "decision", "decided_by", "decided_at", "reason_code", "answer", "next")

FIRST = {
    "review_id": "r-1",
    "kind": "HELD",
    "tenant": "acme",
    "use_case": "general_question",
    "requested_by": ["user-17"],
}


class Sequence:
    """One review, and all that can be done to it, at any time and more than once."""

    def __init__(self, second_reviewer: bool) -> None:
        self.first = FIRST | {"second_reviewer": second_reviewer}
        self.review: dict = {}
        self.seconds = NOW
        self.ended: dict | None = None
        self.asked: set[str] = set()
        self.open(Tier.REVIEWER)

    @property
    def now(self) -> str:
        return iso(self.seconds)

    def holder(self) -> Caller:
        held_by = self.review.get("claimed_by", "rev-1")
        return next(one for one in PEOPLE if one.user_id == held_by)

    def apply(self, change: Change | None) -> None:
        if change is not None:
            self.review = change.applied_to(self.review)

    # --- What can happen

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    def go_on(self) -> None:
        """The workflow follows a verdict to where it leads."""
        if self.review["status"] == ReviewStatus.ANSWERED:
            self.open(self.review["next"])

    def deliver_late(self, tier: str) -> None:
        """AwaitReviewer comes twice, or was overtaken."""
        if tier in self.asked:
            self.open(tier)

    def run_out(self) -> None:
        """A tier's time is over, and the workflow asks a lead."""
        self.open(Tier.LEAD)

    def open(self, tier: str) -> None:
        before = self.review
        self.asked.add(tier)
        due = iso(self.seconds + 600)
        try:
            self.apply(open_tier(before or None, tier, f"token-{tier}", self.now, due, f"{due}#r-1", self.first))
        except MovedOn as moved:
            assert moved.next == ("done" if before["status"] in FINAL else before.get("next", before["tier"]))
            return
        assert (self.review["status"], self.review["tier"]) == ("OPEN", tier)
        if before and before["tier"] != tier:
            assert ORDER.index(before["tier"]) < ORDER.index(tier), "what was overtaken takes nothing back"
            assert not is_claimed(self.review, self.now), "a claim is one tier's"

    def claim(self, caller: Caller, seconds: float = 500) -> None:
        before = self.review
        try:
            self.apply(claim(before, caller, self.now, iso(self.seconds + seconds)))
        except ReviewConflict:
            return
        if is_claimed(before, self.now):
            assert before["claimed_by"] == caller.user_id
        assert self.review["claimed_by"] == caller.user_id

    def release(self, caller: Caller) -> None:
        held_by = self.review.get("claimed_by")
        try:
            self.apply(release(self.review, caller))
        except ReviewConflict:
            assert held_by != caller.user_id
        else:
            assert held_by == caller.user_id
            assert "claimed_by" not in self.review

    def hand_over(self, to: Caller) -> None:
        caller = self.holder()
        held_by = self.review.get("claimed_by")
        try:
            self.apply(hand_over(self.review, caller, to, self.now, iso(self.seconds + 500)))
        except ReviewConflict:
            return
        assert held_by == caller.user_id
        assert self.review["claimed_by"] == to.user_id
        assert to not in (NARROW, FOREIGN, OPERATOR, OWNER)

    def judge(self, caller: Caller, decision: Decision) -> None:
        self.claim(caller)
        self.decide(caller, decision)

    def decide(self, caller: Caller, decision: Decision, stale: bool = False) -> None:
        before = self.review
        shown = shown_digest(before, "body", "draft")
        said = saying(decision, "of another time" if stale else shown)
        answer = {"answer": said.answer} if said.answer else {}
        try:
            self.apply(give_verdict(before, caller, said, shown, answer, 7, self.now))
        except ReviewConflict:
            return
        assert not stale
        assert before["status"] == "OPEN" and before["claimed_by"] == caller.user_id
        assert before["tier"] != "lead" or (caller.is_lead and decision != "ESCALATE")
        assert "claimed_by" not in self.review

    def fall_silent(self, on_silence: str) -> None:
        before = self.review
        self.apply(lapse(before, on_silence, self.now))
        assert self.review["status"] in FINAL
        assert (before["status"] in FINAL) == (self.review == before)

    def notice(self) -> None:
        self.apply(notice_due(self.review, self.now))

    # --- What holds at any time

    def check(self) -> None:
        review, verdicts = self.review, self.review.get("verdicts", [])
        self._check_outcome()
        # Nobody gives two verdicts, and nobody one on their own request or somebody else's use case.
        people = [verdict["person"] for verdict in verdicts]
        assert len(people) == len(set(people))
        assert people == review.get("judged_by", [])
        assert not {"user-17", "narrow", "foreign", "operator"} & {*people, review.get("claimed_by")}
        # A lead's tier is a lead's, and tiers do not go back.
        assert all(verdict["person"].startswith("lead") for verdict in verdicts if verdict["tier"] == "lead")
        assert review["tier"] != "lead" or review.get("claimed_by", "lead").startswith("lead")
        tiers = [ORDER.index(each["tier"]) for each in (*verdicts, review)]
        assert tiers == sorted(tiers)
        # An open review is in its queue, and no other one is in any.
        if review["status"] == ReviewStatus.OPEN:
            assert review["queue"] == queue_name("acme", "general_question", review["tier"])
            assert review["queue_position"] and review["task_token"] and "next" not in review
        else:
            assert not {"queue", "queue_position", "claimed_by", "person"} & review.keys()
        if review["status"] == ReviewStatus.ANSWERED:
            assert review["next"] in ("second", "lead")
        # Nobody but a lead is shown what others said, not even by a digest.
        if review["tier"] != "lead":
            assert opinions_for(review) == []
            unsaid = {name: value for name, value in review.items() if name != "verdicts"}
            assert shown_digest(review, "body", "draft") == shown_digest(unsaid, "body", "draft")

    def _check_outcome(self) -> None:
        """There is one outcome, of those who were to be asked, and it stays."""
        review = self.review
        outcome = {name: review.get(name) for name in OUTCOME}
        if self.ended is not None:
            assert outcome == self.ended
            return
        if review["status"] not in FINAL:
            return
        self.ended = outcome
        assert review["next"] == "done"
        if review["status"] == ReviewStatus.LAPSED:
            assert "decided_by" not in review
            spoken = {each["decision"] for each in review.get("verdicts", [])}
            assert review["decision"] == "REJECT" or spoken <= {"APPROVE", "CANNOT_JUDGE"}
            return
        assert review["decision"] in VERDICTS
        assert review["decided_by"] == review["verdicts"][-1]["person"]
        judged = [each["decision"] for each in review["verdicts"] if each["decision"] in VERDICTS]
        if review["tier"] == "second":
            assert len(judged) == 2 and judged[0] == judged[1] != "EDIT"
        if review["tier"] == "reviewer":
            assert len(judged) == 1 and not review["second_reviewer"]


who = st.sampled_from(PEOPLE)
decision = st.sampled_from(list(Decision))
seconds = st.sampled_from([0.001, 50, 500, 1000])
JUDGED = st.tuples(st.just("judge"), who, decision)
STEP = st.one_of(
    JUDGED,
    JUDGED,
    JUDGED,
    st.tuples(st.just("decide"), who, decision, st.booleans()),
    st.tuples(st.just("claim"), who, seconds),
    st.tuples(st.just("release"), who),
    st.tuples(st.just("hand_over"), st.sampled_from([*PEOPLE, NARROW, FOREIGN, OPERATOR])),
    st.tuples(st.just("go_on")),
    st.tuples(st.just("go_on")),
    st.tuples(st.just("deliver_late"), st.sampled_from(ORDER)),
    st.tuples(st.sampled_from(["run_out", "notice"])),
    st.tuples(st.just("wait"), seconds),
)


@settings(max_examples=300)
@given(st.booleans(), st.lists(STEP, min_size=8, max_size=24), st.lists(STEP, max_size=4))
def test_in_whatever_order_things_happen_a_review_keeps_its_promises(second_reviewer, steps, afterwards):
    sequence = Sequence(second_reviewer)
    sequence.check()
    for name, *arguments in [*steps, ("fall_silent", "APPROVE"), *afterwards, ("fall_silent", "REJECT")]:
        getattr(sequence, name)(*arguments)
        sequence.check()

    assert sequence.ended, "silence can end it, however far it came"


@pytest.mark.parametrize("second_reviewer", [False, True])
@pytest.mark.parametrize("said", list(itertools.product(Decision, repeat=3)), ids="-".join)
def test_a_workflow_that_follows_each_verdict_comes_to_an_end(said, second_reviewer):
    """As the machine does it: where a verdict leads, the review is opened, until it is done or silent."""
    people = iter([reviewer("rev-1"), reviewer("rev-2"), reviewer("rev-3")])
    leads = iter([lead("lead-1"), lead("lead-2"), lead("lead-3")])
    review = open_tier(None, "reviewer", "t", "0", "9", "9#r", FIRST | {"second_reviewer": second_reviewer})
    review = review.applied_to({})
    for number, decision in enumerate(said):
        caller = next(leads) if review["tier"] == "lead" else next(people)
        now = str(number)
        review = claim(review, caller, now, "99").applied_to(review)
        if review["tier"] == "lead" and decision == "ESCALATE":
            decision = Decision.CANNOT_JUDGE
        shown = shown_digest(review, "body", "draft")
        review = give_verdict(review, caller, saying(decision, shown), shown, {}, 1, now).applied_to(review)
        if review["status"] == "DECIDED":
            break
        if review["status"] == "ANSWERED":
            review = open_tier(review, review["next"], "t", now, "9", "9#r", FIRST).applied_to(review)
        assert review["status"] == "OPEN"
    else:
        review = lapse(review, "REJECT", "9").applied_to(review)

    assert review["status"] in FINAL
    assert "queue" not in review
