"""Traces: what a subject's requests were, kept sealed until the search has looked for what they led to."""

import json
from collections.abc import Callable

from adapters import payloads
from adapters.clock import now
from adapters.governance import erasures_table
from adapters.governance.erasers.cases import Case, Hurry, Progress, place_of
from adapters.governance.erasers.references import folders_of


def keep(case: Case, records: list[dict]) -> None:
    if case.key is None:
        return
    traces = [
        {name: record[name] for name in ("request_key", "answer_key") if name in record}
        | {"folders": folders_of(record)}
        for record in records
    ]
    name = payloads.owner_of(records[0]["request_key"])[:16]
    sealed = case.key.seal(json.dumps(traces), place_of(case.erasure_id))
    erasures_table.keep_trace(case.erasure_id, name, sealed, now())


def search(case: Case, position: str | None, hurry: Hurry, look: Callable[[list[dict]], int]) -> Progress:
    names = sorted(case.record.get("traces", ())) if case.key else []
    count = 0
    for name in (name for name in names if name > (position or "")):
        count += look(_requests_of(case, name))
        if name != names[-1] and hurry():
            return Progress(count, False, name)
    return Progress(count)


def _requests_of(case: Case, name: str) -> list[dict]:
    """What some of the subject's requests were, though they are gone."""
    sealed = erasures_table.trace(case.erasure_id, name)
    return json.loads(case.key.open(sealed, place_of(case.erasure_id))) if sealed else []
