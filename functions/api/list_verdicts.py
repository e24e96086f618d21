"""ListVerdicts: GET /verdicts; the caller's own verdicts, the latest first."""

from aws_lambda_powertools import Logger

from adapters.api.http import answers, limit_of, position_of, respond
from adapters.reviews import reviews_table
from domain.api.callers import Caller

_SHOWN = "tenant use_case request_id tier decision reason_code seconds given_at".split()

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("reviewers", "leads")
    query = event.get("queryStringParameters") or {}
    limit = limit_of(query)
    found = reviews_table.of_person(caller.user_id, "verdict", position_of(query) or "~", limit)
    verdicts = [{"review_id": one["of_review"], **{n: one[n] for n in _SHOWN if n in one}} for one in found]
    page: dict = {"verdicts": verdicts}
    if len(found) == limit:
        page["next"] = found[-1]["person_at"].removeprefix("verdict#")
    return respond(200, page)
