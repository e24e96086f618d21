"""Subject indexes: what a table lists under a person's name, by which all of theirs is found."""

from collections.abc import Iterator
from itertools import islice

from adapters.dynamodb import client

# What each index is by.
_NAMES = {"subject-index": "subject_ref", "user-index": "user_ref"}


def keys(
    table: str, key: str, ref: str, *, index: str = "subject-index", after: str | None = None, limit: int | None = None
) -> Iterator[str]:
    """Keys that an index lists under a subject's name, in their order, behind one of them, and at most so many."""
    pages = client.get_paginator("query").paginate(
        TableName=table,
        IndexName=index,
        KeyConditionExpression="#ref = :ref AND #key > :after" if after else "#ref = :ref",
        ExpressionAttributeNames={"#ref": _NAMES[index]} | ({"#key": key} if after else {}),
        ExpressionAttributeValues={":ref": ref} | ({":after": after} if after else {}),
        PaginationConfig={"PageSize": limit},
    )
    return islice((item[key] for page in pages for item in page["Items"]), limit)
