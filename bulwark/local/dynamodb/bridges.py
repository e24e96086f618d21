"""Puts the bridges of DynamoDB in place."""

from bulwark.local.dynamodb import queries, rest, scans, streams, transactions, writes


def install() -> None:
    """Make moto's DynamoDB serialisable until the cloud stops."""
    rest.install()
    streams.install()
    queries.install()
    scans.install()
    writes.install()
    transactions.install()
