"""RecordOutcome: writes all of it at once, unless the request has an outcome already."""

from adapters import requests_table
from adapters.clock import iso
from adapters.dynamodb import as_json
from adapters.requests_table import REVIEW_START_SECONDS
from inference.assess.assessment import Assessment


def record_outcome(assessment: Assessment) -> Assessment:
    request, status, review = assessment.request, assessment.verdict.status, assessment.review
    outcome = {
        "outcome_at": iso(assessment.moment),
        "policy_version": assessment.rules.version,
        "mode": request["mode"],
        **assessment.attributes,
    }
    sweep_at = assessment.moment + REVIEW_START_SECONDS if review else None
    first = requests_table.record_outcome(request["request_key"], request["in_flight_key"], status, outcome, sweep_at)
    if first is not None:
        # A retry of ours, or the sweeper, was first: its record is the outcome.
        status, review = first.get("status"), as_json(first.get("review"))
    return assessment._replace(ours=first is None, told={"status": status, "review": review})
