"""ReadBody: takes the body out of its event, or out of the bucket where it was too large for one."""

import json

from adapters import payloads
from inference.admit.admission import Admission


def read_body(admission: Admission) -> Admission:
    detail, recorded = admission.event.get("detail"), {}
    if ref := admission.event.get("detail_ref"):
        detail, recorded = json.loads(payloads.get(ref)), {"event_ref": ref}
    return admission._replace(detail=detail if isinstance(detail, dict) else None, recorded=recorded)
