"""Rate and concurrency limits of a tenant, counted in shards so that a busy tenant's writers do not collide."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.policy import Tenant
from domain.requests import Reason, RequestRefused

# A transaction holds an item for some 10 ms, so one counter takes about 100 admissions a second.
IN_FLIGHT_PER_SHARD = 25
MAX_SHARDS = 16
# By then one of a tenant's requests is likely to have ended.
FREE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class LimitShard:
    """One share of a tenant's limits: the two counters' keys and how high each may go."""

    in_flight_key: str
    in_flight_limit: int
    rate_key: str
    rate_limit: int


def shards_for(tenant: Tenant, digest: str, epoch_seconds: int) -> Iterator[LimitShard]:
    """The shards a request may count in, the one its digest picks first; all shards' limits add up to the tenant's."""
    shards = max(1, min(MAX_SHARDS, tenant.requests_in_flight // IN_FLIGHT_PER_SHARD, tenant.requests_per_minute))
    first = int(digest[:8], 16)
    for step in range(shards):
        shard = (first + step) % shards
        yield LimitShard(
            in_flight_key=f"in-flight#{tenant.name}#{shard}",
            in_flight_limit=_share(tenant.requests_in_flight, shards, shard),
            rate_key=f"rate#{tenant.name}#{epoch_seconds // 60}#{shard}",
            rate_limit=_share(tenant.requests_per_minute, shards, shard),
        )


def refusal_at(which: str, tenant: Tenant, epoch_seconds: int) -> RequestRefused:
    """The refusal of a request that found a limit (rate or in_flight) reached in every shard."""
    if which == "rate":
        reason, limit = Reason.RATE_LIMITED, f"{tenant.requests_per_minute} requests a minute"
        wait = seconds_to_next_minute(epoch_seconds)
    else:
        reason, limit, wait = Reason.TOO_MANY_IN_FLIGHT, f"{tenant.requests_in_flight} requests at once", FREE_SECONDS
    message = f"The tenant's limit of {limit} is reached; send the request under a new request_id in {wait} s."
    return RequestRefused(reason, message, retry_after_seconds=wait)


def seconds_to_next_minute(epoch_seconds: int) -> int:
    return 60 - epoch_seconds % 60


def _share(limit: int, shards: int, shard: int) -> int:
    return limit // shards + (shard < limit % shards)
