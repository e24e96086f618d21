"""Reviews: who may do what with a held answer and when, and what follows from it.

A review is the item of the reviews table, a dict. The rules here take it and the time, and give a Change: what to set
and remove. Nobody else decides a review's fate, so whatever order things happen in, the same rules apply.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from domain.api.callers import Caller
from domain.policy import UseCase
from domain.requests import Reason, Status

MAX_COMMENT = 4000
MAX_ANSWER = 100_000
# So many people may say that they cannot judge before a lead is asked.
CANNOT_JUDGE_BEFORE_LEAD = 2


class Kind(StrEnum):
    HELD = "HELD"  # the answer waits for the verdict
    AUDIT = "AUDIT"  # the answer was released; the verdict tells how often that is wrong
    PLANTED = "PLANTED"  # known to be bad; the verdict tells whether anybody looks


class Decision(StrEnum):
    APPROVE = "APPROVE"
    EDIT = "EDIT"
    REJECT = "REJECT"
    ESCALATE = "ESCALATE"
    CANNOT_JUDGE = "CANNOT_JUDGE"


class ReviewStatus(StrEnum):
    OPEN = "OPEN"  # in its queue
    ANSWERED = "ANSWERED"  # its workflow is on the way to the next tier
    DECIDED = "DECIDED"
    LAPSED = "LAPSED"


class Tier(StrEnum):
    REVIEWER = "reviewer"
    SECOND = "second"
    LEAD = "lead"


class Next(StrEnum):
    """Where a review goes from a verdict; the workflow's RouteByVerdict reads it."""

    DONE = "done"
    SECOND = "second"
    LEAD = "lead"
    REVIEWER = "reviewer"  # back into its queue, to somebody else


REASON_CODES = ("WRONG", "UNGROUNDED", "UNSAFE", "OFF_TOPIC", "POLICY", "OTHER")
VERDICTS = (Decision.APPROVE, Decision.EDIT, Decision.REJECT)
# One answer for whoever it is: who exists, who has judged and whose request it is, is nobody's to find out.
CANNOT_TAKE = ("NOT_A_REVIEWER", "Nobody of this name can take this review.")
_CLAIM = ("claimed_by", "claimed_by_name", "claimed_at", "claimed_until", "person", "person_at", "claim_attempt")
_QUEUE = ("queue", "queue_position")


class DecisionInvalid(ValueError):
    """The body of a decision is wrong; the first argument is the field, the second what to do."""


class ReviewConflict(Exception):
    """The review is not in the state that the caller takes it to be in; `code` and message say why."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class MovedOn(Exception):
    """The review is past what its workflow wanted to open; `next` says where it is to go."""

    def __init__(self, next: str):
        super().__init__(next)
        self.next = next


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule does to a review."""

    set: dict[str, Any] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    def applied_to(self, review: dict) -> dict:
        return {name: value for name, value in {**review, **self.set}.items() if name not in self.remove}


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    decision: Decision
    shown_digest: str
    answer: str | None
    reason_code: str | None
    comment: str | None


def read_decision(body: object) -> ReviewDecision:
    """Read what a reviewer sent; raises DecisionInvalid."""
    if not isinstance(body, dict):
        raise DecisionInvalid("body", "must be a JSON object")
    if unknown := set(body) - {"decision", "shown_digest", "answer", "reason_code", "comment"}:
        raise DecisionInvalid(sorted(unknown)[0][:80], "is not a field of a decision")
    for name, value in body.items():
        if not isinstance(value, str):
            raise DecisionInvalid(name, "must be a string")
    if body.get("decision") not in set(Decision):
        raise DecisionInvalid("decision", f"must be one of {', '.join(Decision)}")
    decision = Decision(body["decision"])
    if not body.get("shown_digest"):
        raise DecisionInvalid("shown_digest", "is missing: send the one GET /reviews/{id} showed")
    if (decision is Decision.EDIT) != ("answer" in body) or not body.get("answer", "-").strip():
        raise DecisionInvalid("answer", "goes with EDIT, and EDIT needs it")
    if (decision is Decision.REJECT) != ("reason_code" in body):
        raise DecisionInvalid("reason_code", f"goes with REJECT, and REJECT needs one of {', '.join(REASON_CODES)}")
    if "reason_code" in body and body["reason_code"] not in REASON_CODES:
        raise DecisionInvalid("reason_code", f"must be one of {', '.join(REASON_CODES)}")
    if len(body.get("answer", "")) > MAX_ANSWER:
        raise DecisionInvalid("answer", f"is longer than {MAX_ANSWER} characters")
    if len(body.get("comment", "")) > MAX_COMMENT:
        raise DecisionInvalid("comment", f"is longer than {MAX_COMMENT} characters")
    return ReviewDecision(
        decision, body["shown_digest"], body.get("answer"), body.get("reason_code"), body.get("comment")
    )


def shown_digest(review: dict, body_digest: str, draft: str) -> str:
    """What a verdict is bound to: the request, the draft, and what of others' verdicts the tier is shown."""
    opinions = [(each["person"], each["given_at"]) for each in opinions_for(review)]
    shown = json.dumps([body_digest, draft, review["tier"], opinions])
    return hashlib.sha256(shown.encode()).hexdigest()


def opinions_for(review: dict) -> list[dict]:
    """The earlier verdicts that the review's tier is shown: a lead decides between them, nobody else is led by them."""
    return review.get("verdicts", []) if review["tier"] == Tier.LEAD else []


def kind_of(status: Status, audited: bool) -> Kind | None:
    """What review an answer gets, if any."""
    if status is Status.HELD:
        return Kind.HELD
    return Kind.AUDIT if status is Status.COMPLETED and audited else None


def plan_review(kind: Kind, use_case: UseCase, blind_chance: float, second_chance: float) -> dict:
    """The rules of the policy that a review keeps for its life; chances are uniform in 0..1.

    An audit shows nothing of the system's view, and some held answers do not either: else blind would mean audit.
    """
    rules = use_case.review
    return {
        "kind": kind,
        "use_case": use_case.name,
        "risk_class": use_case.risk_class.name,
        "blind": kind is not Kind.HELD or blind_chance < rules.blind_share,
        "second_reviewer": use_case.risk_class.second_reviewer or second_chance < rules.second_reviewer_share,
        "head_start_seconds": use_case.risk_class.head_start_seconds,
        "reviewer_sla_seconds": rules.reviewer_sla_seconds,
        "lead_sla_seconds": rules.lead_sla_seconds,
        "claim_seconds": rules.claim_seconds,
        "due_notice_seconds": rules.due_notice_seconds,
        "on_silence": rules.on_silence,
        "audit_share": rules.audit_share,
        "review_days": use_case.review_days,
        "retention_class": use_case.retention.name,
    }


# --- The queue ---------------------------------------------------------------------------


def queue_name(tenant: str, use_case: str, tier: str) -> str:
    """A tenant's queue of one use case and tier: who has judged once is not led past it again at the second one."""
    return f"{tenant}#{use_case}#{tier}"


def is_claimed(review: dict, now_iso: str) -> bool:
    """Whether somebody holds a claim that has not run out."""
    return review.get("claimed_until", "") > now_iso


def is_own(review: dict, caller: Caller) -> bool:
    return caller.user_id in review.get("requested_by", ())


def may_take(review: dict, caller: Caller) -> bool:
    """Whether this review is one that the caller may be given: nobody gets one twice, or one of their own."""
    return (
        review["status"] == ReviewStatus.OPEN
        and (review["tier"] != Tier.LEAD or caller.is_lead)
        and not is_own(review, caller)
        and caller.user_id not in review.get("judged_by", ())
    )


def actions_of(review: dict, caller: Caller) -> list[str]:
    """The decisions that the caller may make on a review now."""
    if not may_take(review, caller):
        return []
    return [each for each in Decision if each != Decision.ESCALATE or review["tier"] != Tier.LEAD]


def claim(review: dict, caller: Caller, now_iso: str, until_iso: str, attempt: str | None = None) -> Change:
    """Give a review to one person for a while, or longer; raises ReviewConflict.

    An attempt to claim whatever is next is kept, so that its repeat finds what it got.
    """
    _check_takeable(review, caller)
    mine = review.get("claimed_by") == caller.user_id
    if is_claimed(review, now_iso) and not mine:
        raise ReviewConflict("CLAIMED", f"{review['claimed_by_name']} has claimed it until {review['claimed_until']}.")
    begun = review["claimed_at"] if mine and is_claimed(review, now_iso) else now_iso
    return Change(
        {
            "claimed_by": caller.user_id,
            "claimed_by_name": caller.name,
            "claimed_at": begun,
            "claimed_until": until_iso,
            "person": caller.user_id,
            "person_at": f"claim#{begun}",
            **({"claim_attempt": attempt} if attempt else {}),
        }
    )


def release(review: dict, caller: Caller) -> Change:
    """Give a claim back; raises ReviewConflict if it is not the caller's."""
    if review.get("claimed_by") != caller.user_id:
        raise ReviewConflict("NOT_CLAIMED", "You have no claim on this review.")
    return Change(remove=_CLAIM)


def hand_over(review: dict, caller: Caller, to: Caller, now_iso: str, until_iso: str) -> Change:
    """Give one's claim to somebody else who may have it; raises ReviewConflict."""
    release(review, caller)
    reviews_this = to.groups & {"reviewers", "leads"} and to.sees(review["tenant"], review["use_case"])
    if not reviews_this or not may_take(review, to):
        raise ReviewConflict(*CANNOT_TAKE)
    return claim(Change(remove=_CLAIM).applied_to(review), to, now_iso, until_iso)


def _check_takeable(review: dict, caller: Caller) -> None:
    if review["status"] == ReviewStatus.LAPSED:
        raise ReviewConflict(
            "DEADLINE_PASSED",
            f"The review ended at {review['decided_at']} without a decision, and the policy decided "
            f"{review['decision']}.",
        )
    if review["status"] != ReviewStatus.OPEN:
        raise ReviewConflict("ALREADY_DECIDED", "Somebody else has given a verdict; there is nothing left to do here.")
    if caller.user_id in review.get("judged_by", ()):
        raise ReviewConflict("ALREADY_DECIDED", "You have given your verdict on this review; now it is for others.")
    if not may_take(review, caller):
        raise ReviewConflict("DEADLINE_PASSED", f"The review went to a lead at {review['opened_at']}.")


# --- Opening, deciding, ending --------------------------------------------------------------


def open_tier(
    review: dict | None, tier: str, task_token: str, now_iso: str, due_iso: str, position: str, first: dict
) -> Change:
    """Put a review in its queue for a tier, with the token of the workflow that waits; raises MovedOn.

    `first` is what a new review begins with; a later tier keeps what is there.
    """
    base = review or first
    opened = {
        "status": ReviewStatus.OPEN,
        "tier": tier,
        "task_token": task_token,
        "opened_at": now_iso,
        "due_at": due_iso,
        "queue": queue_name(base["tenant"], base["use_case"], tier),
        "queue_position": position,
    }
    if review is None:
        return Change({**first, **opened})
    if review["status"] in (ReviewStatus.DECIDED, ReviewStatus.LAPSED):
        raise MovedOn(Next.DONE)
    if review["status"] == ReviewStatus.ANSWERED:
        if review["next"] != tier:
            raise MovedOn(review["next"])
        return Change(opened, ("next", "due_noticed_at"))
    if list(Tier).index(tier) < list(Tier).index(review["tier"]):  # an attempt that hung while the review went on
        raise MovedOn(review["tier"])
    if review["tier"] == tier:  # opened before, and the process that was to say so has died
        return Change(opened)
    return Change({**opened, "overdue_at": now_iso}, (*_CLAIM, "due_noticed_at"))


def give_verdict(
    review: dict, caller: Caller, decision: ReviewDecision, shown: str, words: dict, seconds: int, now_iso: str
) -> Change:
    """A person's word on a review, after so many seconds with it, and what follows; raises ReviewConflict.

    `shown` is the digest of what the review shows now, `words` the attributes that keep an edited answer and a comment.
    """
    _check_takeable(review, caller)
    if is_claimed(review, now_iso) and review["claimed_by"] != caller.user_id:
        raise ReviewConflict("CLAIMED", f"{review['claimed_by_name']} has claimed it until {review['claimed_until']}.")
    if review.get("claimed_by") != caller.user_id:
        raise ReviewConflict("NOT_CLAIMED", "Claim the review first, so that nobody else works on it.")
    if decision.shown_digest != shown:
        raise ReviewConflict("DRAFT_CHANGED", "The review changed since you read it; read it again and decide on that.")
    if decision.decision is Decision.ESCALATE and review["tier"] == Tier.LEAD:
        raise ReviewConflict("NO_HIGHER_TIER", "A lead decides, or says that they cannot judge.")
    given = {
        "person": caller.user_id,
        "name": caller.name,
        "tier": review["tier"],
        "decision": decision.decision,
        "given_at": now_iso,
        "seconds": seconds,
        "reason_code": decision.reason_code,
        **words,
    }
    given = {name: value for name, value in given.items() if value is not None}
    verdicts = [*review.get("verdicts", []), given]
    following = next_of(verdicts, review["tier"], review["second_reviewer"])
    changed = {"verdicts": verdicts, "judged_by": [*review.get("judged_by", []), caller.user_id]}
    if following is Next.REVIEWER:
        return Change(changed, _CLAIM)
    changed["next"] = following
    if following is not Next.DONE:
        return Change(changed | {"status": ReviewStatus.ANSWERED}, (*_CLAIM, *_QUEUE))
    changed |= {
        "status": ReviewStatus.DECIDED,
        "decision": decision.decision,
        "decided_by": caller.user_id,
        "decided_at": now_iso,
        **{name: given[name] for name in ("reason_code", "answer", "answer_ref", "answer_mac") if name in given},
    }
    return Change(changed, (*_CLAIM, *_QUEUE))


def next_of(verdicts: list[dict], tier: str, second_reviewer: bool) -> Next:
    """Where a review goes after its last verdict: to a second pair of eyes, to a lead, to its end, or nowhere."""
    last = verdicts[-1]["decision"]
    if last == Decision.ESCALATE:
        return Next.LEAD
    if last == Decision.CANNOT_JUDGE:
        passed = sum(each["decision"] == Decision.CANNOT_JUDGE for each in verdicts if each["tier"] == tier)
        return Next.LEAD if tier != Tier.LEAD and passed >= CANNOT_JUDGE_BEFORE_LEAD else Next.REVIEWER
    if tier == Tier.LEAD:
        return Next.DONE
    if tier == Tier.REVIEWER:
        return Next.SECOND if second_reviewer else Next.DONE
    first, second = pair_of(verdicts)
    # Two edits are two answers: which one goes out is for a third person.
    agreed = first["decision"] == second["decision"] != Decision.EDIT
    return Next.DONE if agreed else Next.LEAD


def pair_of(verdicts: Iterable[dict]) -> tuple[dict, dict] | None:
    """The verdicts of the two who judged the same draft, neither knowing of the other."""
    judged = [each for each in verdicts if each["decision"] in VERDICTS and each["tier"] != Tier.LEAD]
    return (judged[0], judged[1]) if len(judged) > 1 else None


def silence_means(review: dict, on_silence: str) -> str:
    """What silence decides: never against a person who looked and did not approve."""
    spoken = {verdict["decision"] for verdict in review.get("verdicts", ())}
    return Decision.REJECT if spoken - {Decision.APPROVE, Decision.CANNOT_JUDGE} else on_silence


def lapse(review: dict, on_silence: str, now_iso: str) -> Change | None:
    """End a review as silence ends it; nothing to change where it has ended."""
    if review["status"] not in (ReviewStatus.OPEN, ReviewStatus.ANSWERED):
        return None
    ended = {
        "status": ReviewStatus.LAPSED,
        "decision": silence_means(review, on_silence),
        "decided_at": now_iso,
        "overdue_at": now_iso,
        "next": Next.DONE,
    }
    return Change(ended, (*_CLAIM, *_QUEUE))


def notice_due(review: dict | None, now_iso: str) -> Change | None:
    """Mark an open review as nearly due, once in each tier."""
    if not review or review["status"] != ReviewStatus.OPEN or "due_noticed_at" in review:
        return None
    return Change({"due_noticed_at": now_iso})


_ANNOUNCED = "review_id tenant use_case request_id risk_class tier due_at".split()


def announcements_of(new: dict, old: dict) -> list[tuple[str, dict]]:
    """The notices that a review's change from old to new calls for: detail-type, and detail with its moment `at`."""
    if "status" not in new:
        return []
    found: list[tuple[str, dict]] = []

    def tell(detail_type: str, review: dict, at: str, **more: Any) -> None:
        found.append((detail_type, {name: review[name] for name in _ANNOUNCED} | {"at": at} | more))

    if new.get("overdue_at", "") != old.get("overdue_at", ""):
        # What was too late is the tier before; the review may be at the next one already.
        ended = new["status"] == ReviewStatus.LAPSED
        tell("ReviewOverdue", old, new["overdue_at"], then=new["decision"] if ended else new["tier"])
    if new["status"] == ReviewStatus.OPEN and new["opened_at"] != old.get("opened_at"):
        reason = {} if new["blind"] else {"reason": new["reason"]}
        tell("ReviewRequested", new, new["opened_at"], **reason)
    if new.get("due_noticed_at", "") not in ("", old.get("due_noticed_at", "")):
        tell("ReviewDue", new, new["due_noticed_at"])
    if new["status"] == ReviewStatus.DECIDED != old.get("status") and new["kind"] == Kind.AUDIT:
        tell("AuditDecided", new, new["decided_at"], decision=new["decision"])
    return found


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of the request once its review has ended."""

    status: Status
    decided_by: str
    reason: Reason | None
    message: str | None


def rule_on(review: dict) -> Ruling:
    """Turn a review's decision, or the policy's default after silence, into its request's end."""
    lapsed = review["status"] == ReviewStatus.LAPSED
    decided_by = "silence" if lapsed else review.get("tier", Tier.REVIEWER)
    if review["decision"] in (Decision.APPROVE, Decision.EDIT):
        return Ruling(Status.COMPLETED, decided_by, None, None)
    if lapsed:
        return Ruling(Status.REFUSED, decided_by, Reason.REVIEW_LAPSED, "Nobody decided on the answer in time.")
    return Ruling(Status.REFUSED, decided_by, Reason.REJECTED, "A reviewer held the answer back.")
