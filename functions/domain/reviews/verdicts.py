"""Verdicts: a person's word on what a review shows them, and where it leads."""

import hashlib
import json
from collections.abc import Iterable

from domain.api.callers import Caller
from domain.reviews.claims import check_takeable, is_claimed
from domain.reviews.decisions import Decision, ReviewDecision
from domain.reviews.review import CLAIM, QUEUE, Change, Next, ReviewConflict, ReviewStatus, Tier

# So many people may say that they cannot judge before a lead is asked.
CANNOT_JUDGE_BEFORE_LEAD = 2
VERDICTS = (Decision.APPROVE, Decision.EDIT, Decision.REJECT)


def shown_digest(review: dict, body_digest: str, draft: str) -> str:
    """What a verdict is bound to: the request, the draft, and what of others' verdicts the tier is shown."""
    opinions = [(each["person"], each["given_at"]) for each in opinions_for(review)]
    shown = json.dumps([body_digest, draft, review["tier"], opinions])
    return hashlib.sha256(shown.encode()).hexdigest()


def opinions_for(review: dict) -> list[dict]:
    """The earlier verdicts that the review's tier is shown: a lead decides between them, nobody else is led by them."""
    return review.get("verdicts", []) if review["tier"] == Tier.LEAD else []


def give_verdict(
    review: dict, caller: Caller, decision: ReviewDecision, shown: str, words: dict, seconds: int, now_iso: str
) -> Change:
    """A person's word on a review, after so many seconds with it, and what follows; raises ReviewConflict.

    `shown` is the digest of what the review shows now, `words` the attributes that keep an edited answer and a comment.
    """
    check_takeable(review, caller)
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
        return Change(changed, CLAIM)
    changed["next"] = following
    if following is not Next.DONE:
        return Change(changed | {"status": ReviewStatus.ANSWERED}, (*CLAIM, *QUEUE))
    changed |= {
        "status": ReviewStatus.DECIDED,
        "decision": decision.decision,
        "decided_by": caller.user_id,
        "decided_at": now_iso,
        **{name: given[name] for name in ("reason_code", "answer", "answer_ref", "answer_mac") if name in given},
    }
    return Change(changed, (*CLAIM, *QUEUE))


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
