"""ReadQuality: GET /quality; how good answers and their reviews are, by month, tenant and use case."""

import re

from aws_lambda_powertools import Logger

from adapters import policy
from adapters.api.http import answers, respond
from adapters.clock import iso, now
from adapters.reviews import quality_table
from domain.api.callers import Caller
from domain.api.places import places_of
from domain.requests import invalid
from domain.reviews.review_quality import month_of, person_key, report_on, reviewers_of

Counters = dict[tuple[str, str], dict]

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("reviewers", "leads", "operators")
    month = _month(event)
    counters = quality_table.read(places_of(policy.current(), caller), month)
    use_cases, reviewers = _use_cases(counters, caller), _reviewers(counters, caller)
    return respond(200, {"month": month, "use_cases": use_cases, "reviewers": reviewers})


def _month(event: dict) -> str:
    month = (event.get("queryStringParameters") or {}).get("month", month_of(iso(now())))
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", month, re.ASCII):
        raise invalid("month", "must be a month such as 2026-11")
    return month


def _use_cases(counters: Counters, caller: Caller) -> list[dict]:
    reports = [
        {"tenant": tenant, "use_case": use_case, **report_on(counts)}
        for (tenant, use_case), counts in sorted(counters.items())
    ]
    if not _oversees(caller):
        # A count that moves with one's own verdict would tell which reviews are audits, and which are planted.
        for report in reports:
            del report["audits"], report["planted"]
    return reports


def _reviewers(counters: Counters, caller: Caller) -> list[dict]:
    rows = reviewers_of(list(counters.values()))
    if _oversees(caller):
        return [{name: value for name, value in row.items() if name != "person"} for row in rows]
    # Which of one's own verdicts met a planted answer stays the leads' knowledge.
    own = [row for row in rows if row["person"] == person_key(caller.user_id)]
    return [{name: row[name] for name in ("reviewer", "decided", "mean_seconds")} for row in own]


def _oversees(caller: Caller) -> bool:
    return bool(caller.groups & {"leads", "operators"})
