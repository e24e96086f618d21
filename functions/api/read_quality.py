"""ReadQuality: GET /quality; how good answers and their reviews are, by month, tenant and use case."""

import re

from aws_lambda_powertools import Logger

from adapters import policy
from adapters.api.http import answers, respond
from adapters.clock import iso, now
from adapters.reviews import quality_table, review_queues
from domain.api.callers import Caller
from domain.requests import invalid
from domain.reviews.review_quality import month_of, person_key, report_on, reviewers_of

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("reviewers", "leads", "operators")
    month = (event.get("queryStringParameters") or {}).get("month", month_of(iso(now())))
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", month, re.ASCII):
        raise invalid("month", "must be a month such as 2026-11")
    counters = quality_table.read(review_queues.places_of(policy.current(), caller), month)
    reviewers = reviewers_of(list(counters.values()))
    if not caller.groups & {"leads", "operators"}:
        # Which of one's own verdicts met a planted answer stays the leads' knowledge.
        own = [row for row in reviewers if row["person"] == person_key(caller.user_id)]
        reviewers = [{name: row[name] for name in ("reviewer", "decided", "mean_seconds")} for row in own]
    else:
        reviewers = [{name: value for name, value in row.items() if name != "person"} for row in reviewers]
    use_cases = [
        {"tenant": tenant, "use_case": use_case, **report_on(counts)}
        for (tenant, use_case), counts in sorted(counters.items())
    ]
    if not caller.groups & {"leads", "operators"}:
        # A count that moves with one's own verdict would tell which reviews are audits, and which are planted.
        for report in use_cases:
            del report["audits"], report["planted"]
    return respond(200, {"month": month, "use_cases": use_cases, "reviewers": reviewers})
