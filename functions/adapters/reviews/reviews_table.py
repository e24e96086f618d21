"""Reviews table: one item per review, with its task token, and one per verdict for its giver's history.

Every write names the version it was decided on, so that the rules of domain/reviews see each state once.
"""

import os
from collections.abc import Callable

from adapters import payloads, requests_table, subject_index, subject_keys
from adapters.clock import epoch, iso
from adapters.dynamodb import ConditionFailed, client, decimal, get, get_many, transact, update, updated
from adapters.requests_table import DAY_SECONDS, LAST
from adapters.reviews import quality_table
from adapters.sealing import SubjectKey
from domain.api.callers import Caller
from domain.errors import ReviewNotHeld, TableContended
from domain.governance import holds
from domain.outcomes import review_id_of
from domain.requests import Status
from domain.reviews.decisions import ReviewDecision
from domain.reviews.endings import lapse, rule_on
from domain.reviews.review import Change, Kind, ReviewConflict, ReviewStatus
from domain.reviews.tiers import open_tier
from domain.reviews.verdicts import give_verdict, shown_digest

# How long a stored decision may take to reach its execution before the sweeper carries it there.
RESUME_SECONDS = 60
# How long after its last deadline a review may still be open before the sweeper ends it.
LAPSE_SECONDS = 300
MOST_LATE_DECISIONS = 20
ATTEMPTS = 5

Rule = Callable[[dict | None], Change | None]


def find(review_id: str) -> dict | None:
    return get(_table(), {"review_id": review_id})


def change(review_id: str, rule: Rule, *others: dict) -> dict:
    """Apply a rule to a review as it stands, with other actions; gives what stands then.

    Raises what the rule raises, ConditionFailed for one of the others, TableContended after ATTEMPTS.
    """
    for _ in range(ATTEMPTS):
        review = find(review_id)
        changed = rule(review)
        if changed is None:
            return review or {}
        try:
            _write(review_id, review, changed, others)
        except ConditionFailed as failed:
            if failed.index:
                raise
            continue
        return changed.applied_to(review or {"review_id": review_id})
    raise TableContended(f"{ATTEMPTS} attempts met others at work on the same review")


def _write(review_id: str, review: dict | None, changed: Change, others: tuple[dict, ...]) -> None:
    seen = (review or {}).get("version", 0)
    action = update(
        _table(),
        {"review_id": review_id},
        "#version = :seen" if review else "attribute_not_exists(#version)",
        {"seen": seen} if review else {},
        set=changed.set | {"version": seen + 1},
        remove=changed.remove,
    )
    if others:
        transact([action, *others])
        return
    if not updated(action):
        raise ConditionFailed(0, None)


def open_for(review: dict, tier: str, task_token: str, sla_seconds: int, request: dict, now: float) -> dict:
    """Put a review in its queue for a tier; raises MovedOn, or ReviewNotHeld if no request waits for it."""
    # Whose request it is stays out of the workflow's history, which cannot be erased: the request tells.
    requested_by = sorted({request[name] for name in ("user_id", "subject_id") if name in request})
    whose = {name: request[name] for name in ("subject_ref", "subject_mac") if name in request}
    due = now + sla_seconds
    # Risk goes first by a head start, not by a class of its own: whatever waits, its turn comes.
    position = f"{iso(due - review['head_start_seconds'])}#{review['review_id']}"
    kept = (
        "kind tenant use_case request_id request_key risk_class reason on_silence second_reviewer blind "
        "lead_sla_seconds claim_seconds due_notice_seconds retention_class subject_ref"
    ).split()
    first = {name: review[name] for name in kept if name in review} | {
        "confidence": decimal(review["confidence"]),
        "audit_share": decimal(review["audit_share"]),
        **whose,
        "requested_by": requested_by,
        "expires_at": int(now) + review["review_days"] * DAY_SECONDS,
    }
    try:
        return change(
            review["review_id"],
            lambda found: open_tier(found, tier, task_token, iso(now), iso(due), position, first),
            requests_table.move_sweep(review["request_key"], due + LAPSE_SECONDS),
        )
    except ConditionFailed as failed:
        raise ReviewNotHeld(review["review_id"]) from failed


def decide(review: dict, request: dict, caller: Caller, decision: ReviewDecision, now: float) -> dict:
    """Store a verdict, its place in the giver's history, and when the sweeper looks after it; raises ReviewConflict."""
    key = subject_keys.of(review)
    words = _words_of(review, request, decision, key)
    # An edit takes the draft's place with the request: what it was is kept here, to show what changed.
    kept = {f"draft{suffix}": request[f"answer{suffix}"] for suffix in ("", "_ref") if f"answer{suffix}" in request}
    # Read once: while a verdict can still be given, the draft is the same in whatever state the review is found.
    draft = draft_of(review, request, key)

    def rule(found: dict | None) -> Change:
        if found is None:
            raise ReviewConflict("ALREADY_DECIDED", "The review is gone: its time is over, or its subject forgotten.")
        shown, seconds = digest_of(found, request, draft), _seconds_with(found, now)
        changed = give_verdict(found, caller, decision, shown, words, seconds, iso(now))
        return Change(changed.set | kept, changed.remove) if decision.answer else changed

    others = [_history(review, caller, decision, now)]
    if "next" in rule(review).set:  # what stays in its queue has no workflow to be resumed
        others.append(requests_table.move_sweep(review["request_key"], now + RESUME_SECONDS))
    try:
        return change(review["review_id"], rule, *others)
    except ConditionFailed as failed:
        raise ReviewConflict("ALREADY_DECIDED", "The request has come to its end meanwhile.") from failed


def _words_of(review: dict, request: dict, decision: ReviewDecision, key: SubjectKey) -> dict:
    """The attributes that hold an edited answer and a comment, for as long as either record may show them."""
    # Under a hold a record has no end of its own until the hold is lifted.
    ends = [each.get(name, 0) for each in (review, request) for name in ("expires_at", "held_expires_at")]
    kept, until = {}, max(ends)
    if decision.answer:
        kept |= payloads.answer(review["request_key"], decision.answer, key, until)
    if decision.comment:
        kept |= payloads.keep("comment", review["request_key"], decision.comment, key, until)
    return kept


def draft_of(review: dict, request: dict, key: SubjectKey) -> str:
    """The answer under review: kept with the review once an edit has taken its place with the request."""
    return payloads.text_of(review, "draft", key) or payloads.text_of(request, "answer", key) or ""


def digest_of(review: dict, request: dict, draft: str) -> str:
    """The digest of what a review shows now."""
    return shown_digest(review, request.get("body_digest", ""), draft)


def _history(review: dict, caller: Caller, decision: ReviewDecision, now: float) -> dict:
    """A verdict as its giver's history lists it: no words, and nothing that tells an audit from a held answer."""
    item = {
        "review_id": _history_key(review["review_id"], review["tier"], caller.user_id),
        "person": caller.user_id,
        "person_at": f"verdict#{iso(now)}#{review['review_id']}",
        "of_review": review["review_id"],
        "given_at": iso(now),
        "seconds": _seconds_with(review, now),
        "decision": decision.decision,
        # One under a legal hold has no end.
        **{
            name: review[name]
            for name in ("expires_at", "held_expires_at", "retention_class", "subject_ref")
            if name in review
        },
        **{name: review[name] for name in ("tenant", "use_case", "request_id", "tier")},
    }
    if decision.reason_code:
        item["reason_code"] = decision.reason_code
    return {"Put": {"TableName": _table(), "Item": item}}


def _history_key(review_id: str, tier: str, person: str) -> str:
    return f"verdict#{review_id}#{tier}#{person}"


def _seconds_with(review: dict, now: float) -> int:
    """How long the one who holds it has had it."""
    return round(now - epoch(review["claimed_at"])) if "claimed_at" in review else 0


def keep_late(review_id: str, decision: ReviewDecision, decided_by: str, now: float) -> None:
    """Record a decision that came after the review's end; it changes nothing."""
    late = {"decision": decision.decision, "decided_by": decided_by, "decided_at": iso(now)}

    def add(review: dict | None) -> Change | None:
        before = (review or {}).get("late_decisions", [])
        # Who sends the same again and again has been recorded often enough.
        return Change({"late_decisions": [*before, late]}) if review and len(before) < MOST_LATE_DECISIONS else None

    change(review_id, add)


def end_in_silence(review: dict, on_silence: str, now: float, abandoned: dict | None = None) -> dict:
    """End an open review as silence ends it, unless a person was first; gives the review, though it never opened.

    One that moves on between tiers is left to its workflow. An `abandoned` one, as it was when its workflow was found
    to be gone, is ended as well, if nothing has happened since.
    """

    def rule(found: dict | None) -> Change | None:
        if not found:
            return None
        if abandoned:
            return lapse(found, on_silence, iso(now)) if found["version"] == abandoned["version"] else None
        return lapse(found, on_silence, iso(now)) if found["status"] == ReviewStatus.OPEN else None

    stored = change(review["review_id"], rule)
    return stored or {**review, "status": ReviewStatus.LAPSED, "decision": on_silence, "decided_at": iso(now)}


def close(review: dict, request_key: str, now: float) -> bool:
    """Give a review's request its end, count the review, and forget its token, all at once; False if it was done."""
    if review["kind"] == Kind.HELD:
        ruling = rule_on(review)
        attributes = {
            "outcome_at": iso(now),
            "decided_by": ruling.decided_by,
            "reason": ruling.reason,
            "message": ruling.message,
            **{name: review[name] for name in ("answer", "answer_ref", "answer_mac") if name in review},
        }
        ended = requests_table.close_held(
            request_key, ruling.status, {name: value for name, value in attributes.items() if value is not None}
        )
    else:
        ended = requests_table.close_reviewed(request_key)
    actions = [ended]
    if "version" in review:  # it was opened at all
        actions.append(quality_table.counted(review, now))
        forgotten = update(_table(), {"review_id": review["review_id"]}, remove=("task_token",), add={"version": 1})
        actions.append(forgotten)
    try:
        transact(actions)
    except ConditionFailed:
        return False
    return True


def take_out(record: dict, now: float) -> tuple[dict, int]:
    """End whatever waits for a request's review and delete it, with its objects and the verdicts on it.

    Gives the request as it stands then, with the token to be resumed as `erase_token`, and how many items went.
    """
    request_key, gone = record["request_key"], 0
    for _ in range(ATTEMPTS):
        review = find(review_id_of(request_key))
        if review is None and record["status"] != Status.HELD and "sweep" not in record:
            return record, gone
        deletes = [] if review is None else [_deleted(review["review_id"], review["version"]), *_verdicts_of(review)]
        token = (review or {}).get("task_token")
        # Nothing leads to them once the review is gone.
        if failed := payloads.delete(sorted(holds.objects(review or {}))):
            raise payloads.NotDeleted(f"{len(failed)} objects: {sorted(set(failed.values()))}")
        try:
            transact([requests_table.close_erased(record, token, now), *deletes])
            gone += len(deletes)
        except ConditionFailed:
            pass  # somebody was at work on either: look again
        record = requests_table.find(request_key) or {}
        if not record:
            return {}, gone
    raise TableContended(f"{ATTEMPTS} attempts met others at work on the same review")


def _deleted(key: str, version: int | None = None) -> dict:
    action: dict = {"TableName": _table(), "Key": {"review_id": key}}
    if version is not None:
        action |= {"ConditionExpression": "version = :seen", "ExpressionAttributeValues": {":seen": version}}
    return {"Delete": action}


def _verdicts_of(review: dict) -> list[dict]:
    given = {(verdict["tier"], verdict["person"]) for verdict in review.get("verdicts", ())}
    return [_deleted(_history_key(review["review_id"], tier, person)) for tier, person in sorted(given)]


def of_subject(ref: str, limit: int) -> list[dict]:
    """Reviews and verdicts on a subject's requests, also of requests that are gone; not all, if there are many."""
    keys = subject_index.keys(_table(), "review_id", ref, limit=limit)
    return get_many(_table(), [{"review_id": key} for key in keys], consistent=True)


def delete(key: str) -> None:
    """Delete a review or a verdict, whatever it is by now."""
    client.delete_item(**_deleted(key)["Delete"])


def forget_requester(request_key: str, user_id: str) -> None:
    """Take a person out of those who asked for what a review is about."""

    def rule(review: dict | None) -> Change | None:
        asked = (review or {}).get("requested_by", [])
        return Change({"requested_by": [one for one in asked if one != user_id]}) if user_id in asked else None

    change(review_id_of(request_key), rule)


def page(queue: str, after: str, limit: int, until: str = LAST) -> list[dict]:
    """Reviews of a queue whose position is behind one and not behind another, the most urgent first."""
    return client.query(
        TableName=_table(),
        IndexName="queue-index",
        KeyConditionExpression="#queue = :queue AND #position BETWEEN :after AND :until",
        ExpressionAttributeNames={"#queue": "queue", "#position": "queue_position"},
        # No position ends with a space, so this one is behind `after` and before every other.
        ExpressionAttributeValues={":queue": queue, ":after": f"{after} ", ":until": until},
        Limit=limit,
    )["Items"]


def due_before(queue: str, now: float, limit: int) -> list[dict]:
    """Open reviews of a queue whose notice is due and has not been given, the most urgent first."""
    found: list[dict] = []
    after = ""
    while True:
        reviews = page(queue, after, limit)
        near = [each for each in reviews if epoch(each["due_at"]) - int(each["due_notice_seconds"]) <= now]
        found += [each for each in near if "due_noticed_at" not in each]
        # Behind the first one that is not near yet, only those with a head start could be nearer.
        if len(near) < len(reviews) or len(reviews) < limit or len(found) >= limit:
            return found
        after = reviews[-1]["queue_position"]


def count(queue: str, most: int) -> int:
    """How many reviews a queue holds, counted no further than about `most`."""
    found, start = 0, {}
    while found < most:
        result = client.query(
            TableName=_table(),
            IndexName="queue-index",
            KeyConditionExpression="#queue = :queue",
            ExpressionAttributeNames={"#queue": "queue"},
            ExpressionAttributeValues={":queue": queue},
            Select="COUNT",
            **start,
        )
        found += result["Count"]
        if "LastEvaluatedKey" not in result:
            break
        start = {"ExclusiveStartKey": result["LastEvaluatedKey"]}
    return found


def of_person(person: str, what: str, before: str, limit: int) -> list[dict]:
    """What a person has claimed ('claim') or decided ('verdict') before a position, the latest first."""
    last = f"{what}#{before}"
    items = client.query(
        TableName=_table(),
        IndexName="person-index",
        KeyConditionExpression="#person = :person AND #at BETWEEN :first AND :last",
        ExpressionAttributeNames={"#person": "person", "#at": "person_at"},
        ExpressionAttributeValues={":person": person, ":first": f"{what}#", ":last": last},
        ScanIndexForward=False,
        # BETWEEN takes in the position itself.
        Limit=limit + 1,
    )["Items"]
    return [item for item in items if item["person_at"] != last][:limit]


def _table() -> str:
    return os.environ["REVIEWS_TABLE"]
