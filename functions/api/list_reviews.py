"""ListReviews: GET /reviews; the open reviews of the caller's tenants, the most urgent first."""

import base64
import json

from aws_lambda_powertools import Logger

from adapters import reviews_table
from adapters.http import answers, respond
from adapters.review_view import is_for, summary_of
from domain.callers import Caller
from domain.requests import invalid

DEFAULT_LIMIT, MAX_LIMIT = 25, 100
LIMITS = {str(number) for number in range(1, MAX_LIMIT + 1)}

logger = Logger()


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@answers
def handler(event: dict, caller: Caller) -> dict:
    caller.require("reviewers", "leads")
    query = event.get("queryStringParameters") or {}
    limit = query.get("limit", str(DEFAULT_LIMIT))
    if limit not in LIMITS:
        raise invalid("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    tenant, start = _position(query.get("next"), caller)
    reviews: list[dict] = []
    position = None
    for tenant in [name for name in caller.tenants if name >= tenant]:
        found, last = reviews_table.page(tenant, int(limit) - len(reviews), start)
        reviews += [review for review in found if is_for(review, caller)]
        start, position = None, last and [tenant, last]
        if position or len(reviews) >= int(limit):
            position = position or _after(tenant, caller)
            break
    page: dict = {"reviews": [summary_of(review) for review in reviews]}
    if position:
        page["next"] = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
    return respond(200, page)


def _after(tenant: str, caller: Caller) -> list | None:
    later = [name for name in caller.tenants if name > tenant]
    return [later[0], None] if later else None


def _position(token: str | None, caller: Caller) -> tuple[str, dict | None]:
    """Where the last page ended: a tenant of the caller's and a key in its queue."""
    if token is None:
        return "", None
    try:
        tenant, start = json.loads(base64.urlsafe_b64decode(token))
        if start is not None:
            start = {name: start[name] for name in ("queue", "due_at", "review_id")}
            if not all(isinstance(value, str) and value for value in start.values()):
                raise TypeError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise invalid("next", "is not what the last page gave") from error
    if tenant not in caller.tenants or (start and start["queue"] != tenant):
        raise invalid("next", "is not what the last page gave")
    return tenant, start
