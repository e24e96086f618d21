"""inference/admit/claim_request.py: an id is one request's, and one execution's to go on with."""

import pytest

from adapters import requests_table
from domain.requests import Reason, RequestRefused, Status
from inference.admit.claim_request import claim_request


def test_the_first_has_the_claim_and_the_key(admission):
    claimed = claim_request(admission("claim_request"))

    assert claimed.claim.ours and claimed.claim.record["status"] == Status.ADMITTED
    assert claimed.subject.ref == claimed.claim.record["subject_ref"]
    assert claimed.told is None


def test_another_delivery_is_told_what_became_of_the_first(admission):
    claim_request(admission("claim_request"))

    told = claim_request(admission("claim_request")._replace(execution_name="execution-2")).told

    assert (told["admission"], told["outcome"]["status"]) == ("DUPLICATE", "ADMITTED")


def test_another_body_under_the_id_is_refused_beside_it(admission, requests):
    claim_request(admission("claim_request"))

    other = admission("claim_request", {"query": "How far?"})._replace(execution_name="execution-2")
    told = claim_request(other).told

    assert (told["admission"], told["outcome"]["reason"]) == ("REFUSED", Reason.REQUEST_ID_CONFLICT)
    assert requests.get_item(Key={"request_key": "acme#r-1"})["Item"]["status"] == "ADMITTED"


def test_a_claim_that_stands_is_not_made_again(admission, control, monkeypatch):
    claimed = claim_request(admission("claim_request"))
    monkeypatch.setattr(requests_table, "claim", lambda *more: pytest.fail("claimed again"))

    assert claim_request(claimed) is claimed


def test_a_full_limit_says_when_to_come_back(admission, deploy_policy, policy_document):
    policy_document["tenants"]["acme"]["requests_per_minute"] = 1
    tenant = deploy_policy(policy_document).tenants["acme"]
    claim_request(admission("claim_request", known={"tenant": tenant}))

    with pytest.raises(RequestRefused) as refused:
        claim_request(admission("claim_request", {"request_id": "r-2"}, known={"tenant": tenant}))

    assert (refused.value.reason, refused.value.retry_after_seconds) == (Reason.RATE_LIMITED, 60)
