"""Puts the bridges of DynamoDB in place."""

from local.dynamodb import queries, streams, transactions, writes


def install() -> None:
    """Make moto's DynamoDB serialisable until the cloud stops."""
    streams.install()
    queries.install()
    writes.install()
    transactions.install()
