"""ReadBody: takes the body out of its event, or out of the bucket where it was too large for one."""

import json
from dataclasses import replace

from adapters import payloads
from inference.admit.admission import Admission


def read_body(admission: Admission) -> Admission:
    event = admission.event
    detail = json.loads(payloads.get(event["detail_ref"])) if "detail_ref" in event else event.get("detail")
    return replace(admission, detail=detail if isinstance(detail, dict) else None)
