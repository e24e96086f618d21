"""Load of a queue: whether its reviews will be too late, judged by how quickly people work them off."""

from dataclasses import dataclass

# The pace is that of the last so many seconds.
PACE_SECONDS = 900
MOST_SAMPLES = 16
# A queue is called too long when its end would be reached after the deadline, and short enough well before it.
TOO_LONG, SHORT_ENOUGH = 1.0, 0.7
# Without a pace, the wait of the oldest is what tells: half of its time gone, and nobody there.
TOO_OLD, YOUNG_ENOUGH = 0.5, 0.35


@dataclass(frozen=True, slots=True)
class Load:
    waiting: int
    oldest_seconds: float
    drain_seconds: float | None
    breaching: bool


def measure(
    waiting: int, oldest_seconds: float, samples: list[list[float]], now: float, sla_seconds: int, was_breaching: bool
) -> Load:
    """Judge a queue; samples are [moment, reviews ended so far], the oldest first."""
    per_second = pace_of(samples, now)
    drain = waiting / per_second if per_second else None
    if not waiting:
        return Load(0, 0, 0.0, False)
    if drain is not None:
        share, enter, leave = drain / sla_seconds, TOO_LONG, SHORT_ENOUGH
    else:
        share, enter, leave = oldest_seconds / sla_seconds, TOO_OLD, YOUNG_ENOUGH
    return Load(waiting, oldest_seconds, drain, share >= (leave if was_breaching else enter))


def pace_of(samples: list[list[float]], now: float) -> float:
    """Reviews that end in a second, over the last PACE_SECONDS; a count that fell began anew with its month."""
    recent = [sample for sample in samples if now - sample[0] <= PACE_SECONDS]
    if len(recent) < 2 or recent[-1][0] <= recent[0][0]:
        return 0.0
    steps = zip(recent, recent[1:], strict=False)
    ended = sum(later[1] - earlier[1] if later[1] >= earlier[1] else later[1] for earlier, later in steps)
    return ended / (recent[-1][0] - recent[0][0])


def sampled(samples: list[list[float]], now: float, ended: int) -> list[list[float]]:
    """The samples with one more, bounded; a clock that went back begins anew."""
    kept = [sample for sample in samples if sample[0] < now]
    return [*kept[1 - MOST_SAMPLES :], [now, ended]]
