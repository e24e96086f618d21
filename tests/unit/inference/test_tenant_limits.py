"""domain/inference/limits.py: shards share out a tenant's limits, no more and no less."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.inference.limits import MAX_SHARDS, seconds_to_next_minute, shards_for
from domain.policy import Tenant

DIGESTS = [f"{number:08x}" + "0" * 56 for number in range(MAX_SHARDS * 50)]


def first_shard(*arguments):
    return next(shards_for(*arguments))


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_the_shares_add_up_to_the_tenant_s_limits(per_minute, in_flight):
    tenant = Tenant("acme", frozenset(), per_minute, in_flight)

    shards = {shard.rate_key: shard for shard in shards_for(tenant, DIGESTS[0], 60)}

    assert sum(shard.rate_limit for shard in shards.values()) == per_minute
    assert sum(shard.in_flight_limit for shard in shards.values()) == in_flight
    assert all(shard.rate_limit >= 1 and shard.in_flight_limit >= 1 for shard in shards.values())
    assert len(shards) <= MAX_SHARDS


@pytest.mark.parametrize(("in_flight", "shards"), [(1, 1), (49, 1), (50, 2), (400, 16), (10_000, 16)])
def test_a_small_tenant_is_counted_in_one_place(in_flight, shards):
    tenant = Tenant("acme", frozenset(), 100_000, in_flight)

    assert len({next(shards_for(tenant, digest, 0)).in_flight_key for digest in DIGESTS}) == shards


def test_a_request_is_counted_where_its_first_delivery_was():
    tenant = Tenant("acme", frozenset(), 6000, 1000)
    digest = hashlib.sha256(b"body").hexdigest()

    assert first_shard(tenant, digest, 119) == first_shard(tenant, digest, 60)
    assert first_shard(tenant, digest, 119).in_flight_key == first_shard(tenant, digest, 120).in_flight_key
    assert first_shard(tenant, digest, 119).rate_key != first_shard(tenant, digest, 120).rate_key


@pytest.mark.parametrize(("now", "wait"), [(0, 60), (1, 59), (59, 1), (60, 60)])
def test_a_minute_s_limit_is_free_again_with_the_next_minute(now, wait):
    assert seconds_to_next_minute(now) == wait


def test_a_full_shard_sends_on_to_every_other():
    tenant = Tenant("acme", frozenset(), 6000, 1000)

    keys = [shard.in_flight_key for shard in shards_for(tenant, DIGESTS[3], 60)]

    assert keys[0] == "in-flight#acme#3" and len(keys) == len(set(keys)) == MAX_SHARDS
