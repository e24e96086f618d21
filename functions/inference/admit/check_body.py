"""CheckBody: takes a body that a model can be asked with as its tenant's request."""

from adapters import schemas
from domain.requests import check_conversation, check_text, invalid, read_request
from inference.admit.admission import Admission


def check_body(admission: Admission) -> Admission:
    detail = admission.detail
    if detail is None:
        raise invalid("detail", "must be a JSON object")
    check_text(detail)
    schemas.check_request(detail)
    check_conversation(detail)
    request = read_request(detail, admission.tenant, admission.event.get("user_id"), admission.channel)
    return admission._replace(request=request)
