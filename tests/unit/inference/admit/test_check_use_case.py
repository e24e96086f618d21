"""inference/admit/check_use_case.py: a tenant asks what the policy opens to it, on its own terms."""

import pytest

from domain.requests import Reason, RequestRefused
from inference.admit.check_use_case import check_use_case


@pytest.mark.parametrize(
    ("source", "use_case", "reason"),
    [
        ("acme.app", "horoscope", Reason.UNKNOWN_USE_CASE),
        ("globex.app", "policy_advice", Reason.USE_CASE_NOT_ALLOWED),
    ],
)
def test_what_is_not_open_is_refused(admission, source, use_case, reason):
    with pytest.raises(RequestRefused) as refused:
        check_use_case(admission("check_use_case", {"use_case": use_case}, source=source))

    assert (refused.value.reason, refused.value.field) == (reason, "use_case")


def test_a_tenant_s_stricter_retention_counts(admission, deploy_policy, policy_document):
    policy_document["tenants"]["acme"]["retention_class"] = {"general_question": "sensitive"}
    rules = deploy_policy(policy_document)

    checked = check_use_case(admission("check_use_case", known={"rules": rules}))

    assert (checked.use_case.name, checked.use_case.request_days) == ("general_question", 7)
