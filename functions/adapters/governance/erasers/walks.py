"""Walks through a subject's requests, page by page: they are how everything else of theirs is found."""

from collections.abc import Callable

from adapters import requests_table
from adapters.governance.erasers.cases import Case, Hurry, Progress

PAGE = 50


def through_requests(
    case: Case, position: str | None, hurry: Hurry, erase_page: Callable[[list[dict]], int]
) -> Progress:
    count, after = 0, position
    while True:
        records, after = requests_table.of_subject(case.ref, "subject-index", after, PAGE)
        count += erase_page([record for record in records if case.takes(record)])
        if after is None:
            return Progress(count)
        if hurry():
            return Progress(count, False, after)
