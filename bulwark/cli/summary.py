"""What became of the requests that were sent: outcomes with reasons, latency and cost."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from bulwark.cli.render import cell, dollars, say, seconds, table
from bulwark.cli.sending import Sent

_ORDER = ("RELEASED", "COMPLETED", "HELD", "REFUSED", "FAILED", "UNANSWERED")
_MEANING = {
    "RELEASED": "answered without a person",
    "COMPLETED": "answered after a review",
}


def as_json(everything: Sequence[Sent]) -> dict:
    """The summary for a script."""
    latencies = _latencies(everything)
    return {
        "requests": len(everything),
        "outcomes": dict(Counter(sent.kind for sent in everything)),
        "reasons": {
            kind: dict(Counter(_reason(sent) for sent in everything if sent.kind == kind and _reason(sent)))
            for kind in ("HELD", "REFUSED", "FAILED")
        },
        "latency_seconds": {"p50": percentile(latencies, 50), "p95": percentile(latencies, 95)},
        "cost_usd": _cost(everything),
        "results": [
            {"request_id": sent.detail.get("request_id"), **sent.record, "status": sent.status} for sent in everything
        ],
    }


def show(everything: Sequence[Sent], title: str | None = None) -> None:
    """Print the summary for a person."""
    counts = Counter((sent.kind, _reason(sent)) for sent in everything)
    rows, last = [], None
    for (kind, reason), count in sorted(counts.items(), key=lambda each: (_ORDER.index(each[0][0]), -each[1])):
        about = _MEANING.get(kind) or reason or ("no outcome came in time" if kind == "UNANSWERED" else "-")
        rows.append((kind if kind != last else "", count, f"{count / len(everything):.1%}", about))
        last = kind
    table(("outcome", ">requests", ">share", "why"), rows, title)
    latencies, cost = _latencies(everything), _cost(everything)
    if latencies:
        p50, p95 = (seconds(percentile(latencies, share)) for share in (50, 95))
        each = dollars(cost / len(everything))
        say(f"Latency p50 {p50}, p95 {p95} from claim to outcome · model cost {dollars(cost)}, {each} a request")


def explain(everything: Iterable[Sent], kinds: Sequence[str] = ("REFUSED", "FAILED"), most: int = 12) -> None:
    """Print each refusal and failure with the message its sender got."""
    told = [sent for sent in everything if sent.kind in kinds]
    rows = [(sent.record.get("reason"), _name(sent), sent.record.get("message")) for sent in told[:most]]
    if rows:
        table(("reason", "request", "message"), rows)
    if len(told) > most:
        say(f"... and {len(told) - most} more: bulwark requests --status REFUSED")


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile."""
    if not values:
        return None
    rank = math.ceil(len(values) * share / 100)
    return sorted(values)[max(0, rank - 1)]


def first_result(sent: Sent, after: float) -> str:
    record = sent.record
    told = f"{cell(sent.kind)} {cell(record.get('reason') or '')}".rstrip()
    confidence = f", confidence {float(record['confidence']):.2f}" if "confidence" in record else ""
    return f"First result after [bold]{after:.1f} s[/]: {cell(_name(sent))} {told}{confidence}"


def _name(sent: Sent) -> str:
    name = str(sent.detail.get("request_id") or sent.record.get("request_id") or "-")
    return name if len(name) <= 40 else name[:37] + "..."


def _reason(sent: Sent) -> str | None:
    return sent.record.get("reason") if sent.kind in ("HELD", "REFUSED", "FAILED") else None


def _latencies(everything: Iterable[Sent]) -> list[float]:
    """From claim to outcome, of what a model answered: a person's time and a refusal's are other things."""
    spans = []
    for sent in everything:
        end = sent.record.get("held_at") or sent.record.get("outcome_at")
        if sent.kind in ("RELEASED", "HELD") and end and "admitted_at" in sent.record:
            start = datetime.fromisoformat(sent.record["admitted_at"])
            spans.append((datetime.fromisoformat(end) - start).total_seconds())
    return spans


def _cost(everything: Iterable[Sent]) -> float:
    """Each request once, however often it was sent."""
    costs = {sent.record.get("request_key") or id(sent): sent.record.get("cost_usd", 0) for sent in everything}
    return float(sum(float(cost) for cost in costs.values()))
