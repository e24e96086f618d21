"""Claims: who may have a review, and whose it is for a while."""

from domain.api.callers import Caller
from domain.reviews.decisions import Decision
from domain.reviews.review import CLAIM, Change, ReviewConflict, ReviewStatus, Tier

# One answer for whoever it is: who exists, who has judged and whose request it is, is nobody's to find out.
CANNOT_TAKE = ("NOT_A_REVIEWER", "Nobody of this name can take this review.")


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
    check_takeable(review, caller)
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
    return Change(remove=CLAIM)


def hand_over(review: dict, caller: Caller, to: Caller, now_iso: str, until_iso: str) -> Change:
    """Give one's claim to somebody else who may have it; raises ReviewConflict."""
    release(review, caller)
    reviews_this = to.groups & {"reviewers", "leads"} and to.sees(review["tenant"], review["use_case"])
    if not reviews_this or not may_take(review, to):
        raise ReviewConflict(*CANNOT_TAKE)
    return claim(Change(remove=CLAIM).applied_to(review), to, now_iso, until_iso)


def check_takeable(review: dict, caller: Caller) -> None:
    """Raises ReviewConflict, which says why the caller may not have the review."""
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
