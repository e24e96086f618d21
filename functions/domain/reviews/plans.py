"""Plans: which answers are reviewed, and the rules of the policy that a review keeps for its life."""

from domain.policy import UseCase
from domain.requests import Status
from domain.reviews.review import Kind


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
