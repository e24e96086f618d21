"""Tiers: the queue that a review is put into, and where it went if it is past it."""

from domain.reviews.review import CLAIM, Change, Next, ReviewStatus, Tier


class MovedOn(Exception):
    """The review is past what its workflow wanted to open; `next` says where it is to go."""

    def __init__(self, next: str):
        super().__init__(next)
        self.next = next


def queue_name(tenant: str, use_case: str, tier: str) -> str:
    """A tenant's queue of one use case and tier: who has judged once is not led past it again at the second one."""
    return f"{tenant}#{use_case}#{tier}"


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
    return Change({**opened, "overdue_at": now_iso}, (*CLAIM, "due_noticed_at"))
