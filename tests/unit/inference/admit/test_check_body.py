"""inference/admit/check_body.py: a body that no model could be asked with is no request."""

import pytest

from domain.requests import Reason, RequestRefused
from inference.admit.check_body import check_body


def test_a_body_becomes_its_tenant_s_request(admission):
    request = check_body(admission("check_body")).request

    assert (request.key, request.user_id, request.subject_id, request.channel) == (
        "acme#r-1",
        "user-17",
        "user-17",
        "event",
    )


def test_a_proven_user_beats_the_body_s(admission):
    request = check_body(admission("check_body", tenant="acme", user_id="user-9")).request

    assert (request.user_id, request.channel) == ("user-9", "sync")


@pytest.mark.parametrize(
    ("detail", "field"),
    [
        (None, "detail"),
        ({"request_id": "r-1", "use_case": "general_question"}, "query"),
        ({"request_id": "r-1", "use_case": "general_question", "query": " "}, "query"),
        ({"request_id": "r-1", "use_case": "general_question", "query": "bell \x07"}, "query"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(admission, detail, field):
    with pytest.raises(RequestRefused) as refused:
        check_body(admission("check_body")._replace(detail=detail))

    assert (refused.value.reason, refused.value.field) == (Reason.INVALID_REQUEST, field)
