"""Requests of a subject, which go last, and the subject's name as the user of somebody else's."""

from adapters import requests_table
from adapters.governance import erasures_table
from adapters.governance.erasers import endings, traces
from adapters.governance.erasers.cases import Case, Hurry, Progress
from adapters.governance.erasers.walks import PAGE, through_requests
from adapters.reviews import reviews_table
from domain.requests import Status

# Of a position: among the requests whose user the subject is.
_USERS = "users "


def erase(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def page(records: list[dict]) -> int:
        if records:
            traces.keep(case, records)
        for record in records:
            if record["status"] == Status.ADMITTED:
                # It was listed too late for EndRequests; its place among those in flight would be lost with it.
                endings.end(record)
            requests_table.delete(record["request_key"])
        return len(records)

    count, after = 0, None
    if position and position.startswith(_USERS):
        after = position.removeprefix(_USERS)
    else:
        progress = through_requests(case, position, hurry, page)
        if not progress.done:
            return progress
        count = progress.count
    while True:
        # Where somebody else is the subject, the request is theirs, and only its user is forgotten.
        records, after = requests_table.of_subject(case.ref, "user-index", after, PAGE)
        for record in records:
            if record.get("user_ref") == case.ref and case.takes(record) and not _is_held(record):
                if "user_id" in record:
                    reviews_table.forget_requester(record["request_key"], record["user_id"])
                requests_table.forget_user(record["request_key"])
                count += 1
        if after is None:
            return Progress(count)
        if hurry():
            return Progress(count, False, f"{_USERS}{after}")


def search(case: Case, position: str | None, hurry: Hurry) -> Progress:
    count, kept = 0, 0
    for index, name in (("subject-index", "subject_ref"), ("user-index", "user_ref")):
        after = None
        while True:
            records, after = requests_table.of_subject(case.ref, index, after, PAGE)
            left = [record for record in records if record.get(name) == case.ref and case.takes(record)]
            count += len(left)
            kept += sum(name == "user_ref" and _is_held(record) for record in left)
            if after is None:
                break
    if kept != case.record.get("kept_under_hold", 0):
        erasures_table.change(case.erasure_id, kept_under_hold=kept)
    return Progress(count)


def _is_held(record: dict) -> bool:
    """Whether a legal hold on somebody else keeps a request as it is, with its user."""
    return "held_expires_at" in record
