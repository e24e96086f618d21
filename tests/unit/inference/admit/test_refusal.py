"""inference/admit/refusal.py: every refusal is recorded once, under an id that is its own."""

from domain.requests import Reason, RequestRefused
from inference.admit.refusal import record_refusal

STOPPED = RequestRefused(Reason.STOPPED, "This use case is stopped.", retry_after_seconds=120)
UNKNOWN = RequestRefused(Reason.UNKNOWN_USE_CASE, "There is no such use case.", "use_case")


def test_what_was_read_is_refused_under_its_own_id(admission, requests):
    told = record_refusal(admission("claim_request"), STOPPED).told

    assert (told["admission"], told["outcome"]["request_key"]) == ("REFUSED", "acme#r-1")
    record = requests.get_item(Key={"request_key": "acme#r-1"})["Item"]
    assert (record["reason"], record["retry_after_seconds"], record["source_event_id"]) == ("STOPPED", 120, "event-1")


def test_what_could_not_be_read_is_refused_under_its_event_s_id(admission):
    invalid = RequestRefused(Reason.INVALID_REQUEST, "query is blank.", "query")

    told = record_refusal(admission("check_body"), invalid).told

    assert (told["outcome"]["request_key"], told["outcome"]["request_id"]) == ("acme#event:event-1", "r-1")


def test_what_is_nobody_s_is_kept_as_nobody_s(admission):
    told = record_refusal(admission("identify_tenant"), UNKNOWN).told

    assert told["outcome"]["request_key"] == "-#event:event-1"


def test_a_claim_of_ours_goes_on_though_its_use_case_was_stopped_meanwhile(admission):
    admission("plan_call")

    going_on = record_refusal(admission("claim_request"), STOPPED)

    assert going_on.told is None and going_on.claim.ours and going_on.subject


def test_a_claim_of_ours_whose_use_case_was_taken_away_meanwhile_is_ended(admission, requests, control):
    """Nothing says any more how it would be answered."""
    admission("plan_call")

    told = record_refusal(admission("check_use_case"), UNKNOWN).told

    assert (told["admission"], told["outcome"]["reason"]) == ("REFUSED", "UNKNOWN_USE_CASE")
    record = requests.get_item(Key={"request_key": "acme#r-1"})["Item"]
    assert (record["status"], record["decided_by"]) == ("REFUSED", "policy")
    assert [item["count"] for item in control.scan()["Items"] if "in-flight" in item["control_key"]] == [0]


def test_an_id_of_another_request_is_no_place_for_a_refusal(admission):
    admission("plan_call")
    other = admission("claim_request", {"query": "How far?"})._replace(execution_name="execution-2")

    told = record_refusal(other, STOPPED).told

    assert told["outcome"]["reason"] == Reason.REQUEST_ID_CONFLICT
