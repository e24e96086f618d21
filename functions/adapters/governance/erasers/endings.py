"""Endings: what a subject's requests wait for is ended before anything of them is erased."""

from adapters import requests_table
from adapters.clock import iso, now
from adapters.governance.erasers.cases import Case
from adapters.governance.erasers.walks import PAGE
from domain.requests import Reason, Status


def end_requests(case: Case) -> str | None:
    """End what a subject's requests wait for; gives when the last one that was running was admitted."""
    latest, after = None, None
    while True:
        records, after = requests_table.of_subject(case.ref, "subject-index", after, PAGE)
        for record in filter(case.takes, records):
            if record["status"] == Status.ADMITTED:
                end(record)
            if record["status"] == Status.ADMITTED or record.get("reason") == Reason.SUBJECT_ERASED:
                latest = max(latest or "", record["admitted_at"])
        if after is None:
            return latest


def end(record: dict) -> None:
    attributes = {
        "outcome_at": iso(now()),
        "reason": Reason.SUBJECT_ERASED,
        "message": requests_table.ERASED_MESSAGE,
        "decided_by": requests_table.ERASURE,
    }
    requests_table.record_outcome(record["request_key"], record["in_flight_key"], Status.FAILED, attributes)
