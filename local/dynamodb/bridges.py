"""Puts the bridges of DynamoDB in place."""

from local.dynamodb import streams, transactions, writes


def install() -> None:
    """Make moto's DynamoDB serialisable until the cloud stops."""
    streams.install()
    writes.install()
    transactions.install()
