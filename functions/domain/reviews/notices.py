"""Notices: what of a review's course is told to those whom it concerns."""

from typing import Any

from domain.reviews.review import Change, Kind, ReviewStatus

ANNOUNCED = "review_id tenant use_case request_id risk_class tier due_at".split()


def notice_due(review: dict | None, now_iso: str) -> Change | None:
    """Mark an open review as nearly due, once in each tier."""
    if not review or review["status"] != ReviewStatus.OPEN or "due_noticed_at" in review:
        return None
    return Change({"due_noticed_at": now_iso})


def announcements_of(new: dict, old: dict) -> list[tuple[str, dict]]:
    """The notices that a review's change from old to new calls for: detail-type, and detail with its moment `at`."""
    if "status" not in new:
        return []
    found: list[tuple[str, dict]] = []

    def tell(detail_type: str, review: dict, at: str, **more: Any) -> None:
        found.append((detail_type, {name: review[name] for name in ANNOUNCED} | {"at": at} | more))

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
