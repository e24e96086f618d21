"""Reviews table: one item per held answer, with its task token; a review is in its queue while it is open."""

import os

from adapters import payloads, requests_table
from adapters.clock import iso
from adapters.dynamodb import ConditionFailed, client, get, transact, update
from domain.reviews import ReviewDecision, ReviewStatus, Ruling, Tier

# How long a stored decision may take to reach its execution before the sweeper carries it there.
RESUME_SECONDS = 60
# How long after its last deadline a review may still be open before the sweeper ends it.
LAPSE_SECONDS = 300
MOST_LATE_DECISIONS = 20


class ReviewClosed(Exception):
    """The review has been decided or has lapsed; `review` says how."""

    def __init__(self, review: dict):
        super().__init__(review.get("status"))
        self.review = review


def open_for(review: dict, tier: str, task_token: str, sla_seconds: int, expires_at: int, now: float) -> None:
    """Put a review in its queue, for a first tier or the next; raises ReviewClosed, or ConditionFailed if not held."""
    due = now + sla_seconds
    attributes = {
        "tenant": review["tenant"],
        "use_case": review["use_case"],
        "request_id": review["request_id"],
        "request_key": review["request_key"],
        "reason": review["reason"],
        "confidence": requests_table.decimal(review["confidence"]),
        "draft_digest": review["draft_digest"],
        "status": ReviewStatus.OPEN,
        "tier": tier,
        "task_token": task_token,
        "due_at": iso(due),
        "opened_at": iso(now),
        "queue": review["tenant"],
        "expires_at": expires_at,
    }
    opened = update(
        _table(),
        {"review_id": review["review_id"]},
        "attribute_not_exists(#status) OR #status = :open",
        {"open": ReviewStatus.OPEN},
        set=attributes,
    )
    try:
        transact([opened, requests_table.move_sweep(review["request_key"], due + LAPSE_SECONDS)])
    except ConditionFailed as failed:
        if failed.index == 0:
            raise ReviewClosed(failed.item or {}) from failed
        raise


def decide(review: dict, decision: ReviewDecision, decided_by: str, now: float, *, is_lead: bool) -> None:
    """Store the first decision on a review; raises ReviewClosed for every other one."""
    kept = payloads.keep("answer", review["request_key"], decision.answer) if decision.answer else {}
    attributes = {
        "status": ReviewStatus.DECIDED,
        "decision": decision.decision,
        "decided_by": decided_by,
        "decided_at": iso(now),
        "reason_code": decision.reason_code,
        "comment": decision.comment,
        **kept,
    }
    decided = update(
        _table(),
        {"review_id": review["review_id"]},
        "#status = :open AND #draft_digest = :digest" + ("" if is_lead else " AND #tier <> :lead"),
        {"open": ReviewStatus.OPEN, "digest": decision.draft_digest} | ({} if is_lead else {"lead": Tier.LEAD}),
        set={name: value for name, value in attributes.items() if value is not None},
        remove=("queue",),
    )
    try:
        transact([decided, requests_table.move_sweep(review["request_key"], now + RESUME_SECONDS)])
    except ConditionFailed as failed:
        raise ReviewClosed(find(review["review_id"]) or review) from failed


def keep_late(review_id: str, decision: ReviewDecision, decided_by: str, now: float) -> None:
    """Record a decision that came after the review's end; it changes nothing."""
    late = {"decision": decision.decision, "decided_by": decided_by, "decided_at": iso(now)}
    try:
        client.update_item(
            TableName=_table(),
            Key={"review_id": review_id},
            UpdateExpression="SET #late = list_append(if_not_exists(#late, :none), :late)",
            ConditionExpression="attribute_exists(review_id) AND (attribute_not_exists(#late) OR size(#late) < :most)",
            ExpressionAttributeNames={"#late": "late_decisions"},
            ExpressionAttributeValues={":none": [], ":late": [late], ":most": MOST_LATE_DECISIONS},
        )
    except client.exceptions.ConditionalCheckFailedException:
        pass  # who sends the same again and again has been recorded often enough


def lapse(review_id: str, decision: str, now: float) -> dict:
    """End an open review as silence ends it, unless a person was first; gives the review, though it never opened."""
    ending = {"status": ReviewStatus.LAPSED, "decision": decision, "decided_at": iso(now)}
    lapsed = update(
        _table(),
        {"review_id": review_id},
        "#status = :open",
        {"open": ReviewStatus.OPEN},
        set=ending,
        remove=("queue", "task_token"),
    )
    try:
        transact([lapsed])
    except ConditionFailed as failed:
        # Nothing stood there: the review never opened, and there is no item to end.
        return failed.item or ending
    return find(review_id) or ending


def close_request(review: dict, request_key: str, ruling: Ruling, now: float) -> bool:
    """Give a held request its end; False if it had one."""
    attributes = {
        "outcome_at": iso(now),
        "decided_by": ruling.decided_by,
        "reason": ruling.reason,
        "message": ruling.message,
        **{name: review[name] for name in ("answer", "answer_ref") if name in review},
    }
    try:
        transact(
            [
                requests_table.close_held(
                    request_key,
                    ruling.status,
                    {name: value for name, value in attributes.items() if value is not None},
                )
            ]
        )
    except ConditionFailed:
        return False
    return True


def find(review_id: str) -> dict | None:
    return get(_table(), {"review_id": review_id})


def page(tenant: str, limit: int, start: dict | None) -> tuple[list[dict], dict | None]:
    """Open reviews of a tenant, the most urgent first, and where the next page starts."""
    result = client.query(
        TableName=_table(),
        IndexName="queue-index",
        KeyConditionExpression="#queue = :tenant",
        ExpressionAttributeNames={"#queue": "queue"},
        ExpressionAttributeValues={":tenant": tenant},
        Limit=limit,
        **({"ExclusiveStartKey": start} if start else {}),
    )
    return result["Items"], result.get("LastEvaluatedKey")


def _table() -> str:
    return os.environ["REVIEWS_TABLE"]
