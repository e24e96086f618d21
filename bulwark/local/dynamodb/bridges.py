"""Puts the bridges of DynamoDB in place."""

from bulwark.local.dynamodb import queries, scans, streams, transactions, writes


def install() -> None:
    """Make moto's DynamoDB serialisable until the cloud stops."""
    streams.install()
    queries.install()
    scans.install()
    writes.install()
    transactions.install()
