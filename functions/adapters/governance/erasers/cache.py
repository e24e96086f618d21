"""Cached answers that a subject's requests were given."""

from adapters.governance.erasers import traces
from adapters.governance.erasers.cases import Case, Hurry, Progress
from adapters.governance.erasers.walks import through_requests
from adapters.inference import answers_table


def erase(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def page(records: list[dict]) -> int:
        kept = [record for record in records if "answer_key" in record]
        return sum(answers_table.forget(record["answer_key"], record["request_key"]) for record in kept)

    return through_requests(case, position, hurry, page)


def search(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def look(requests: list[dict]) -> int:
        kept = [one for one in requests if "answer_key" in one]
        return sum(answers_table.forget(one["answer_key"], one["request_key"]) for one in kept)

    return traces.search(case, position, hurry, look)
