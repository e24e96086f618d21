"""WatchReviews: every minute says which reviews are due soon, measures each queue, and has the policy give way."""

from collections import Counter

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from adapters import bus, measurements, modes_table, policy
from adapters.clock import epoch, iso, now
from adapters.reviews import loads_table, quality_table, reviews_table
from domain.modes import REVIEW_LOAD, Mode
from domain.policy import ReviewRules
from domain.reviews.notices import notice_due
from domain.reviews.review import Tier
from domain.reviews.review_load import Load, measure, sampled
from domain.reviews.review_quality import month_of
from domain.reviews.tiers import queue_name

# A mode outlives a few runs that failed, and no more.
MODE_SECONDS = 300
# Counting reads the queue: beyond this it is long, whatever the number.
MOST_COUNTED = 20_000
NOTICES_AT_ONCE = 100
RESERVE_MILLISECONDS = 10_000

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict, context: LambdaContext) -> dict:
    """Looks at every queue; `now` in the event (epoch seconds) stands for the clock in drills."""
    moment = event.get("now") or now()
    rules = policy.current()
    places = [(tenant.name, use_case) for tenant in rules.tenants.values() for use_case in sorted(tenant.use_cases)]
    counters = quality_table.read(places, month_of(iso(moment)))
    watched = Counter(queues=0, noticed=0, breaching=0, failed=0)
    for tenant, use_case in _in_turn(places, moment):
        if context.get_remaining_time_in_millis() < RESERVE_MILLISECONDS:
            logger.warning("queues left to the next run", left=len(places) - watched["queues"])
            break
        ended = int(counters.get((tenant, use_case), {}).get("decided", 0))
        watched.update(_watch(tenant, use_case, rules.use_cases[use_case].review, ended, moment))
    logger.info("queues watched", **watched)
    return dict(watched)


def _in_turn(places: list[tuple[str, str]], moment: float) -> list[tuple[str, str]]:
    """Where there are more than a run has time for, each minute begins with others."""
    first = int(moment // 60) % len(places) if places else 0
    return places[first:] + places[:first]


def _watch(tenant: str, use_case: str, rules: ReviewRules, ended: int, moment: float) -> Counter:
    """What watching one queue came to; it stops no other, and the next minute's run meets it again."""
    watched = Counter(queues=1)
    try:
        watched["noticed"] = _notice(tenant, use_case, moment)
        watched["breaching"] = int(_measure(tenant, use_case, rules, ended, moment).breaching)
    except Exception:
        logger.exception("queue not watched", tenant=tenant, use_case=use_case)
        watched["failed"] = 1
    return watched


def _notice(tenant: str, use_case: str, moment: float) -> int:
    """Mark the reviews whose time is nearly over; their mark in the table's stream is what announces them."""
    noticed = 0
    for tier in Tier:
        for review in reviews_table.due_before(queue_name(tenant, use_case, tier), moment, NOTICES_AT_ONCE):
            changed = reviews_table.change(review["review_id"], lambda found: notice_due(found, iso(moment)))
            noticed += changed.get("due_noticed_at") == iso(moment)
    return noticed


def _measure(tenant: str, use_case: str, rules: ReviewRules, ended: int, moment: float) -> Load:
    before = loads_table.find(tenant, use_case)
    queues = [queue_name(tenant, use_case, tier) for tier in (Tier.REVIEWER, Tier.SECOND)]
    heads = [review for queue in queues for review in reviews_table.page(queue, "", 1)]
    first = sorted(heads, key=lambda review: review["queue_position"])
    oldest = max((moment - epoch(review["opened_at"]) for review in heads), default=0.0)
    waiting = sum(reviews_table.count(queue, MOST_COUNTED) for queue in queues) if heads else 0
    samples = sampled(before.get("samples", []), moment, ended)
    was = before.get("breaching", False)
    load = measure(waiting, oldest, samples, moment, rules.reviewer_sla_seconds, was)
    state = {
        "tenant": tenant,
        "use_case": use_case,
        "waiting": load.waiting,
        "oldest_at": first[0]["opened_at"] if first else None,
        "next_due_at": first[0]["due_at"] if first else None,
        "drain_seconds": None if load.drain_seconds is None else round(load.drain_seconds),
        "sla_seconds": rules.reviewer_sla_seconds,
        "breaching": load.breaching,
        "gives": rules.overload.gives if load.breaching else None,
        "changed_at": iso(moment) if load.breaching != was else before.get("changed_at"),
        "announced": before.get("announced", True) and load.breaching == was,
        "samples": samples,
    }
    loads_table.keep(state, moment)
    if load.breaching:
        floor = rules.overload.confidence_floor if rules.overload.gives == Mode.ASK_LESS else None
        modes_table.hold(tenant, use_case, REVIEW_LOAD, Mode(rules.overload.gives), moment + MODE_SECONDS, floor)
    elif was:
        modes_table.lift(tenant, use_case, REVIEW_LOAD)
    if not state["announced"]:
        _announce(state)
        loads_table.keep(state | {"announced": True}, moment)
    if first or was:
        _emit(use_case, load)
    return load


def _announce(state: dict) -> None:
    """Kept before and told after: told at least once, under the same id, whatever dies in between."""
    detail = {
        "event_id": bus.event_id(
            state["tenant"], state["use_case"], str(state["breaching"]), state["changed_at"] or ""
        ),
        **{name: state[name] for name in ("tenant", "use_case", "waiting", "sla_seconds", "changed_at")},
        "state": "BREACHING" if state["breaching"] else "OK",
    }
    detail |= {name: state[name] for name in ("gives", "drain_seconds") if state[name] is not None}
    bus.announce("ReviewLoadChanged", detail)
    logger.warning("review load changed", **detail)


def _emit(use_case: str, load: Load) -> None:
    metrics = measurements.document(use_case)
    metrics.add_metric("ReviewsWaiting", MetricUnit.Count, load.waiting)
    metrics.add_metric("OldestReview", MetricUnit.Seconds, load.oldest_seconds)
    metrics.add_metric("ReviewsBreaching", MetricUnit.Count, int(load.breaching))
    metrics.flush_metrics()
