"""ReadBody: takes the body out of its event, or out of the bucket where it was too large for one."""

from adapters import payloads
from domain.foreign_json import NotJson, read_json
from inference.admit.admission import Admission


def read_body(admission: Admission) -> Admission:
    detail, recorded = admission.event.get("detail"), {}
    if ref := admission.event.get("detail_ref"):
        detail, recorded = _read(payloads.get(ref)), {"event_ref": ref}
    return admission._replace(detail=detail if isinstance(detail, dict) else None, recorded=recorded)


def _read(data: bytes) -> object:
    try:
        return read_json(data, finite=False)
    except NotJson:
        # Refused as no object, but not before its tenant is known: the refusal is told to somebody.
        return None
