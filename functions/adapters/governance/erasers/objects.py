"""Objects that a subject's requests lead to, and the events of theirs that came by reference."""

import hashlib

from adapters import payloads, requests_table
from adapters.governance.erasers import traces
from adapters.governance.erasers.cases import Case, Hurry, Progress
from adapters.governance.erasers.references import EVENTS, can_be_key, objects_of
from adapters.governance.erasers.walks import PAGE, through_requests
from adapters.payloads import NotDeleted
from domain.errors import PayloadGone
from domain.foreign_json import NotJson, read_json
from domain.governance.erasures import names
from domain.requests import Status, canonical, request_key


def erase(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def page(records: list[dict]) -> int:
        found = [key for record in records for key in objects_of(record)]
        delete(found)
        return len(found)

    if position is None or not position.startswith(EVENTS):
        progress = through_requests(case, position, hurry, page)
        if not progress.done or case.subject_id is None:
            return progress
        count, position = progress.count, EVENTS
    else:
        count = 0
    while keys := payloads.listed(EVENTS, position, PAGE):
        mine = [key for key in keys if _is_event_of(case, key)]
        delete(mine)
        count, position = count + len(mine), keys[-1]
        if hurry():
            return Progress(count, False, position)
    return Progress(count)


def search(case: Case, position: str | None, hurry: Hurry) -> Progress:
    def look(requests: list[dict]) -> int:
        left = [key for one in requests for folder in one["folders"] for key in payloads.listed(folder)]
        # Nothing leads to them any more: they go now.
        delete(left)
        return len(left)

    return traces.search(case, position, hurry, look)


def delete(names: list[str]) -> None:
    """Delete objects; raises NotDeleted if some are still there."""
    if failed := payloads.delete(names):
        raise NotDeleted(f"{len(failed)} objects: {sorted(set(failed.values()))}")


def _is_event_of(case: Case, key: str) -> bool:
    """Whether an event that came by reference became, or was refused as, a request of the subject."""
    try:
        detail = read_json(payloads.get(key))
        # Half of a surrogate pair is JSON, and no UTF-8.
        digest = hashlib.sha256(canonical(detail).encode(errors="surrogatepass")).hexdigest()
    except (PayloadGone, NotJson):
        return False
    if not isinstance(detail, dict) or not can_be_key(detail.get("request_id")):
        return False
    # Another tenant may use the same id: the body has to be the same too, or to name the subject.
    own = request_key(case.tenant, detail["request_id"])
    for record in filter(None, map(requests_table.find, (own, f"{own}#{digest[:16]}"))):
        if record.get("body_digest") == digest or names(detail, case.subject_id):
            if record.get("subject_ref") == case.ref:
                return True
            # Somebody else's request, of which this person is the user: its own copy is kept once it has ended.
            if record.get("user_ref") == case.ref and record["status"] != Status.ADMITTED:
                return True
    return False
